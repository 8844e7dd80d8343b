"""Rules that tell a page of prose from the rest of a crawl.

In reading order: what the rules know of a language, `RULES` (a page -> does it break the rule), and
`quality_rules`, which asks them all.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "ru"]

MIN_WORDS = 20
MIN_STOP_WORDS = 2
MAX_SYMBOL_SHARE = 0.2
MIN_SENTENCE_LINES = 0.5
MAX_REPEATED = 0.3
SENTENCE_ENDS = (".", "!", "?", "…", '"', "»")


@dataclass(frozen=True)
class Words:
    """The words that prose cannot do without, and the phrases that only boilerplate has."""

    stop_words: frozenset[str]
    boilerplate: tuple[str, ...]


WORDS = {
    "en": Words(
        frozenset({"the", "be", "to", "of", "and", "that", "have", "with"}),
        ("use cookies", "uses cookies", "cookie policy", "privacy policy", "terms of use"),
    ),
    "ru": Words(
        frozenset({"и", "в", "не", "на", "что", "с", "по", "за"}),
        ("файлы cookie", "файлов cookie", "политика конфиденциальности"),
    ),
}


def is_too_short(document: str, words: Words) -> bool:
    """Fewer than 20 words."""
    return len(document.split()) < MIN_WORDS


def has_few_stop_words(document: str, words: Words) -> bool:
    """Fewer than 2 different stop words: no prose of this language."""
    return len(words.stop_words & set(re.findall(r"\w+", document.lower()))) < MIN_STOP_WORDS


def is_full_of_symbols(document: str, words: Words) -> bool:
    """More than 20 % of the words have no letter."""
    parts = document.split()
    without = sum(not any(map(str.isalpha, part)) for part in parts)
    return without > MAX_SYMBOL_SHARE * len(parts)


def has_no_sentences(document: str, words: Words) -> bool:
    """Fewer than half of the lines that are not empty end as a sentence does."""
    lines = [line.rstrip() for line in document.splitlines() if line.strip()]
    ended = sum(line.endswith(SENTENCE_ENDS) for line in lines)
    return ended < MIN_SENTENCE_LINES * len(lines)


def is_repetitive(document: str, words: Words) -> bool:
    """More than 30 % of the sentences stood before."""
    parts = re.split(r"[.!?…\n]+", document.lower())
    sentences = [" ".join(part.split()) for part in parts if part.strip()]
    return len(sentences) - len(set(sentences)) > MAX_REPEATED * len(sentences)


def has_boilerplate(document: str, words: Words) -> bool:
    """A phrase of a cookie banner or of a policy; the word *cookie* alone is no sign of one."""
    text = " ".join(document.lower().split())
    return any(phrase in text for phrase in words.boilerplate)


def has_markup(document: str, words: Words) -> bool:
    """An HTML tag, or the curly bracket of a script."""
    return bool(re.search(r"</?[a-zA-Z][^<>]*>|[{}]", document))


RULES: dict[str, Callable[[str, Words], bool]] = {
    "too short": is_too_short,
    "few stop words": has_few_stop_words,
    "symbols": is_full_of_symbols,
    "no sentences": has_no_sentences,
    "repetition": is_repetitive,
    "boilerplate": has_boilerplate,
    "markup": has_markup,
}


def quality_rules(document: str, *, language: Language = "en") -> list[str]:
    """The names of the rules that a page breaks, in the order of `RULES`; none for good prose.

    Each is a threshold on a count: fast, the same for everyone, and blind to meaning. An empty page
    is too short and has no stop words; the shares of nothing break no rule.

    Rae et al. 2021, https://arxiv.org/abs/2112.11446, appendix A; boilerplate and markup as in
    Raffel et al. 2019, https://arxiv.org/abs/1910.10683, section 2.2. Chapter 08.
    """
    if language not in WORDS:
        raise ValueError(f"language = {language!r} must be one of {', '.join(WORDS)}")
    return [name for name, is_broken in RULES.items() if is_broken(document, WORDS[language])]
