"""How often each word occurs: what every trainer starts from."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from course_lib.text.tokenizers.base import check_unicode, cut_words


def count_words(texts: Iterable[str], steps: Sequence[Any]) -> Counter[str]:
    """The words that the steps of normalizer and pre-tokenizer make of the texts, counted."""
    if isinstance(texts, str):
        raise ValueError("texts is one str: give a list of texts, [text]")
    counts: Counter[str] = Counter()
    for text in texts:
        check_unicode(text)
        counts.update(cut_words(text, steps))
    return counts
