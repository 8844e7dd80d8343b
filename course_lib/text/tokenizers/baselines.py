"""The baselines that subwords stand between: bytes, characters, whole words.

In reading order: `WordLevel` (a table of words), `ByteTokenizer`, `CharacterTokenizer`,
`WordTokenizer`, and the rate of tokens that none of them knows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from course_lib.text.tokenizers.added_tokens import AddedToken
from course_lib.text.tokenizers.alignment import Span
from course_lib.text.tokenizers.base import Tokenizer
from course_lib.text.tokenizers.bpe_model import BPE
from course_lib.text.tokenizers.decoders import ByteLevelDecoder, FuseDecoder
from course_lib.text.tokenizers.normalizers import TextPattern
from course_lib.text.tokenizers.pre_tokenizers import BYTE_CHARACTERS, ByteLevel, Split, Whitespace
from course_lib.text.tokenizers.word_counts import count_words

UNKNOWN = "<unk>"


@dataclass(frozen=True)
class WordLevel:
    """A word's id, or that of `unk_token`: the model of a table."""

    vocab: dict[str, int]
    unk_token: str = UNKNOWN
    type: ClassVar[str] = "WordLevel"

    def __post_init__(self) -> None:
        if self.unk_token not in self.vocab:
            raise ValueError(f"unk_token = {self.unk_token!r} is not in the vocabulary: add it")

    def encode_word(self, word: str) -> list[int]:
        """One id."""
        return [self.vocab.get(word, self.vocab[self.unk_token])]

    def spans(self, word: str) -> list[Span]:
        """The whole word."""
        return [(0, len(word))]

    def to_json(self) -> dict[str, Any]:
        """The `model` of a tokenizer.json."""
        return {"type": self.type, "vocab": self.vocab, "unk_token": self.unk_token}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "WordLevel":
        """From the `model` of a tokenizer.json."""
        if not isinstance(fields.get("unk_token"), str):
            raise ValueError(f"the WordLevel model has unk_token = {fields.get('unk_token')!r}")
        return cls(fields["vocab"], fields["unk_token"])


class Baseline(Tokenizer):
    """A tokenizer whose file names only its model: `load` makes it the class that was asked for."""

    model_class: ClassVar[type] = WordLevel

    @classmethod
    def load(cls, path: str | Path) -> "Baseline":
        """Read a tokenizer.json (path: the file, or its folder) with this kind of model."""
        from course_lib.text.tokenizers.tokenizer_json import load_tokenizer  # imports this module

        found = load_tokenizer(path)
        if not isinstance(found.model, cls.model_class):
            raise ValueError(f"{path} holds a {found.model.type} model, no {cls.__name__}")
        return cls(
            found.model,
            normalizer=found.normalizer,
            pre_tokenizer=found.pre_tokenizer,
            post_processor=found.post_processor,
            decoder=found.decoder,
            added_tokens=found.added_tokens,
        )


class ByteTokenizer(Baseline):
    """Every UTF-8 byte is a token and its own id: nothing to learn, nothing unknown, long.

    It is BPE before the first merge, and is written as such. Chapter 01.
    """

    model_class = BPE

    @classmethod
    def train(
        cls,
        texts: Iterable[str] = (),
        vocab_size: int | None = None,
        *,
        special_tokens: Sequence[str] = (),
    ) -> "ByteTokenizer":
        """256 bytes, then the special tokens, whatever the texts."""
        vocab = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}
        size = len(vocab) + len(special_tokens)
        if vocab_size is not None and vocab_size < size:
            raise ValueError(f"vocab_size = {vocab_size} must hold 256 bytes and the rest: {size}")
        return cls(
            BPE(vocab, []),
            pre_tokenizer=ByteLevel(add_prefix_space=False, use_regex=False),
            decoder=ByteLevelDecoder(add_prefix_space=False, use_regex=False),
            added_tokens=added_after(vocab, special_tokens),
        )


class CharacterTokenizer(Baseline):
    """Every character is a token; one that training never saw is <unk>. Chapter 01."""

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int | None = None,
        *,
        special_tokens: Sequence[str] = (),
    ) -> "CharacterTokenizer":
        """<unk>, the most frequent characters (all of them by default), the special tokens."""
        cut = Split(TextPattern("Regex", r"[\s\S]"))
        vocab = most_frequent(texts, cut, vocab_size, len(special_tokens))
        return cls(
            WordLevel(vocab),
            pre_tokenizer=cut,
            decoder=FuseDecoder(),
            added_tokens=added_after(vocab, special_tokens),
        )


class WordTokenizer(Baseline):
    r"""The most frequent words and runs of punctuation (`\w+|[^\w\s]+`); others are <unk>.

    `decode` puts one space between all of them: spaces and line ends are not kept. Chapter 01.
    """

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int | None = None,
        *,
        special_tokens: Sequence[str] = (),
    ) -> "WordTokenizer":
        """<unk>, the most frequent words (all of them by default), the special tokens."""
        vocab = most_frequent(texts, Whitespace(), vocab_size, len(special_tokens))
        return cls(
            WordLevel(vocab),
            pre_tokenizer=Whitespace(),
            added_tokens=added_after(vocab, special_tokens),
        )


def most_frequent(
    texts: Iterable[str], pre_tokenizer: Any, vocab_size: int | None, num_special: int
) -> dict[str, int]:
    """<unk> and as many of the most frequent words as leave room for the special tokens."""
    if vocab_size is not None and vocab_size < 1 + num_special:
        raise ValueError(
            f"vocab_size = {vocab_size} must hold <unk> and {num_special} special tokens"
        )
    counts = count_words(texts, pre_tokenizer.steps(False))
    del counts[UNKNOWN]
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    room = None if vocab_size is None else vocab_size - 1 - num_special
    return {word: number for number, word in enumerate([UNKNOWN, *ranked[:room]])}


def added_after(vocab: Mapping[str, int], special_tokens: Sequence[str]) -> list[AddedToken]:
    """The special tokens with the ids that follow the vocabulary."""
    return [AddedToken(token, len(vocab) + i) for i, token in enumerate(special_tokens)]


def unknown_rate(tokenizer: Tokenizer, texts: Iterable[str], *, unknown: str = UNKNOWN) -> float:
    """The share of tokens of the texts that are `unknown`: the out-of-vocabulary rate.

    0 for a tokenizer without such a token, and for no text at all.
    """
    unknown_id = tokenizer.vocab.get(unknown)
    ids = [number for text in texts for number in tokenizer.encode(text)]
    return ids.count(unknown_id) / len(ids) if ids and unknown_id is not None else 0.0
