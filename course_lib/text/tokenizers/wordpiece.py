"""WordPiece: the longest piece that fits, and one [UNK] for a word that has none."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from course_lib.text.tokenizers.added_tokens import AddedToken
from course_lib.text.tokenizers.alignment import Span
from course_lib.text.tokenizers.base import Tokenizer
from course_lib.text.tokenizers.decoders import WordPieceDecoder
from course_lib.text.tokenizers.normalizers import BertNormalizer
from course_lib.text.tokenizers.post_processors import BertProcessing
from course_lib.text.tokenizers.pre_tokenizers import BertPreTokenizer
from course_lib.text.tokenizers.word_counts import count_words
from course_lib.text.tokenizers.wordpiece_training import train_wordpiece

BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpiece_encode(
    word: str,
    vocab: Container[str],
    *,
    prefix: str = "##",
    unknown: str = "[UNK]",
    max_chars: int = 100,
) -> list[str]:
    """ "unaffable" -> ["un", "##aff", "##able"]: the longest piece that fits, from the left.

    Pieces inside a word carry `prefix`. Greedy: it never goes back, so if the rest cannot be
    matched the whole word is one `unknown`, even where another split exists. So is a word longer
    than `max_chars`, because the search is quadratic in its length.

    Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3 (released code). Chapter 01.
    """
    if len(word) > max_chars:
        return [unknown]
    pieces, start = [], 0
    while start < len(word):
        mark = prefix if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if mark + word[start:end] in vocab), None)
        if end is None:
            return [unknown]
        pieces.append(mark + word[start:end])
        start = end
    return pieces


@dataclass(frozen=True)
class WordPieceModel:
    """`wordpiece_encode` with ids."""

    vocab: dict[str, int]
    unknown: str = "[UNK]"
    prefix: str = "##"
    max_chars: int = 100
    type: ClassVar[str] = "WordPiece"

    def __post_init__(self) -> None:
        if self.unknown not in self.vocab:
            raise ValueError(f"the unknown token {self.unknown!r} is not in the vocabulary: add it")

    def encode_word(self, word: str) -> list[int]:
        """Ids of the pieces of one word."""
        return [self.vocab[piece] for piece in self._pieces(word)]

    def spans(self, word: str) -> list[Span]:
        """Where the pieces stand; [UNK] stands for the whole word."""
        pieces = self._pieces(word)
        if pieces == [self.unknown]:
            return [(0, len(word))]
        lengths = [len(piece) - len(self.prefix) * (i > 0) for i, piece in enumerate(pieces)]
        return list(itertools.pairwise(itertools.accumulate(lengths, initial=0)))

    def _pieces(self, word: str) -> list[str]:
        return wordpiece_encode(
            word,
            self.vocab,
            prefix=self.prefix,
            unknown=self.unknown,
            max_chars=self.max_chars,
        )

    def to_json(self) -> dict[str, Any]:
        """The `model` of a tokenizer.json."""
        return {
            "type": self.type,
            "unk_token": self.unknown,
            "continuing_subword_prefix": self.prefix,
            "max_input_chars_per_word": self.max_chars,
            "vocab": self.vocab,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> WordPieceModel:
        """From the `model` of a tokenizer.json."""
        unknown, prefix = fields.get("unk_token"), fields.get("continuing_subword_prefix", "##")
        max_chars = fields.get("max_input_chars_per_word", 100)
        if not isinstance(unknown, str) or not isinstance(prefix, str):
            raise ValueError(
                f"the WordPiece model has unk_token = {unknown!r} and prefix = {prefix!r}, not text"
            )
        if type(max_chars) is not int:
            raise ValueError(f"the WordPiece model has max_input_chars_per_word = {max_chars!r}")
        return cls(fields["vocab"], unknown, prefix, max_chars)


class WordPieceTokenizer(Tokenizer):
    """BERT's tokenizer: text is cleaned and cut at spaces and punctuation, words into pieces.

    A word with a character that training never saw is [UNK], and spaces are not kept: it does not
    round-trip, which is why models that write text use byte-level BPE or byte fallback.
    Chapter 01.
    """

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        min_count: int = 2,
        lowercase: bool = True,
        special_tokens: Sequence[str] = BERT_TOKENS,
    ) -> WordPieceTokenizer:
        """A vocabulary of `vocab_size` in all; see `train_wordpiece`.

        The special tokens come first; [UNK] must be one of them. With [CLS] and [SEP] among them
        `encode(text, special=True)` puts these around the text.
        """
        if "[UNK]" not in special_tokens:
            raise ValueError(f"special_tokens = {special_tokens} must have [UNK] among them")
        normalizer = BertNormalizer(lowercase=lowercase)
        pre_tokenizer = BertPreTokenizer()
        steps = [*normalizer.steps(), *pre_tokenizer.steps(False)]
        word_counts = count_words(texts, steps)
        pieces = train_wordpiece(word_counts, vocab_size - len(special_tokens), min_count=min_count)
        vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*special_tokens, *pieces]))}
        framed = "[CLS]" in vocab and "[SEP]" in vocab
        return cls(
            WordPieceModel(vocab),
            normalizer=normalizer,
            pre_tokenizer=pre_tokenizer,
            post_processor=BertProcessing(
                sep=("[SEP]", vocab["[SEP]"]), cls=("[CLS]", vocab["[CLS]"])
            )
            if framed
            else None,
            decoder=WordPieceDecoder(),
            added_tokens=[AddedToken(token, vocab[token]) for token in special_tokens],
        )
