"""The BPE model and its tokenizer: byte-level as GPT-2's, or characters with byte fallback.

In reading order: `BPE` (vocabulary and merges as in a tokenizer.json), `BPETokenizer` (training,
and building one from tiktoken's ranks).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from course_lib.text.tokenizers.alignment import Span
from course_lib.text.tokenizers.base import AddedToken, Tokenizer, check_unicode
from course_lib.text.tokenizers.bpe import Pair
from course_lib.text.tokenizers.bpe_fast import merge_word, train_bpe_fast
from course_lib.text.tokenizers.bpe_linear import LinearEncoder
from course_lib.text.tokenizers.decoders import (
    ByteFallbackDecoder,
    ByteLevelDecoder,
    DecoderSequence,
    FuseDecoder,
)
from course_lib.text.tokenizers.normalizers import TextPattern
from course_lib.text.tokenizers.pre_tokenizers import (
    BYTE_CHARACTERS,
    GPT4_PATTERN,
    ByteLevel,
    PreTokenizerSequence,
    Split,
    write_bytes,
)

BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]
SUPPORTED = "vocab merges unk_token fuse_unk byte_fallback ignore_merges".split()
REFUSED = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")


class BPE:
    """Merges the pair of lowest rank, leftmost first, until none is left.

    A character outside the vocabulary becomes its bytes (`byte_fallback`), else `unk_token`
    (`fuse_unk`: one for a run), else nothing. `ignore_merges` takes a word that is in the
    vocabulary whole. Linear in the word's length where the merges allow it (`bpe_linear`).

    Sennrich et al. 2016, https://arxiv.org/abs/1508.07909. Chapter 01.
    """

    type: ClassVar[str] = "BPE"

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[tuple[str, str]],
        *,
        unk_token: str | None = None,
        fuse_unk: bool = False,
        byte_fallback: bool = False,
        ignore_merges: bool = False,
    ):
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self.unk_token = unk_token
        self.fuse_unk = fuse_unk
        self.byte_fallback = byte_fallback
        self.ignore_merges = ignore_merges
        for left, right in self.merges:
            for token in (left, right, left + right):
                if token not in self.vocab:
                    raise ValueError(
                        f"merge ({left!r}, {right!r}) needs the token {token!r}, which is not in "
                        "the vocabulary"
                    )
        if unk_token is not None and unk_token not in self.vocab:
            raise ValueError(f"unk_token = {unk_token!r} is not in the vocabulary")

    @cached_property
    def _ranks(self) -> dict[Pair, tuple[int, int]]:
        vocab = self.vocab
        return {
            (vocab[left], vocab[right]): (rank, vocab[left + right])
            for rank, (left, right) in enumerate(self.merges)
        }

    @cached_property
    def _linear(self) -> Callable[[str], list[int] | None]:
        return LinearEncoder.of(self.vocab, self.merges) or (lambda word: None)

    @cached_property
    def _lengths(self) -> dict[int, int]:
        return {number: len(token) for token, number in self.vocab.items()}

    def encode_word(self, word: str) -> list[int]:
        """The word's ids."""
        if self.ignore_merges and word in self.vocab:
            return [self.vocab[word]]
        ids = self._linear(word)
        return [token for token, _ in self._merged(word)] if ids is None else ids

    def spans(self, word: str) -> list[Span]:
        """The characters behind each id of `encode_word(word)`."""
        if self.ignore_merges and word in self.vocab:
            return [(0, len(word))]
        ids = self._linear(word)
        if ids is None:
            return [span for _, span in self._merged(word)]
        spans, at = [], 0
        for number in ids:
            spans.append((at, at := at + self._lengths[number]))
        return spans

    def _merged(self, word: str) -> list[tuple[int, Span]]:
        symbols = self._symbols(word)
        merged, at = [], 0
        for token, length in merge_word([number for number, _ in symbols], self._ranks):
            merged.append((token, (symbols[at][1][0], symbols[at + length - 1][1][1])))
            at += length
        return merged

    def _symbols(self, word: str) -> list[tuple[int, Span]]:
        """What the merging begins with: ids of characters, bytes and unknowns."""
        symbols: list[tuple[int, Span]] = []
        unknown_before = False
        for i, character in enumerate(word):
            numbers = self._character(character)
            unknown = numbers is None and self.unk_token is not None
            if unknown and unknown_before and self.fuse_unk:
                symbols[-1] = (symbols[-1][0], (symbols[-1][1][0], i + 1))
            elif unknown:
                symbols.append((self.vocab[self.unk_token], (i, i + 1)))
            else:
                symbols += [(number, (i, i + 1)) for number in numbers or ()]
            unknown_before = unknown
        return symbols

    def _character(self, character: str) -> list[int] | None:
        if character in self.vocab:
            return [self.vocab[character]]
        if self.byte_fallback:
            names = [BYTE_TOKENS[byte] for byte in character.encode()]
            if all(name in self.vocab for name in names):
                return [self.vocab[name] for name in names]
        return None

    def to_json(self) -> dict[str, Any]:
        """The `model` of a tokenizer.json."""
        return {
            "type": self.type,
            "dropout": None,
            "unk_token": self.unk_token,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": self.fuse_unk,
            "byte_fallback": self.byte_fallback,
            "ignore_merges": self.ignore_merges,
            "vocab": self.vocab,
            "merges": [list(merge) for merge in self.merges],
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """From the `model` of a tokenizer.json; merges may be pairs or "a b" as in old files."""
        for name in REFUSED:
            if fields.get(name):
                raise ValueError(f"the BPE model has {name} = {fields[name]!r}, not supported here")
        given = {name: fields[name] for name in SUPPORTED if name in fields}
        merges = given.get("merges")
        if not isinstance(merges, list):
            raise ValueError("the BPE model needs a list of merges")
        for name in ("fuse_unk", "byte_fallback", "ignore_merges"):
            if not isinstance(given.get(name, False), bool):
                raise ValueError(f"the BPE model has {name} = {given[name]!r}, which is no boolean")
        if not isinstance(given.get("unk_token"), str | None):
            raise ValueError(f"the BPE model has unk_token = {given['unk_token']!r}, no text")
        return cls(**given | {"merges": list(map(read_merge, merges))})


def read_merge(merge: Any) -> tuple[str, str]:
    """["a", "b"] or "a b" -> ("a", "b")."""
    pair = merge.split(" ") if isinstance(merge, str) else merge
    if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)):
        raise ValueError(f"the BPE model has the merge {str(merge)[:80]!r}: it must be two tokens")
    return pair[0], pair[1]


class BPETokenizer(Tokenizer):
    """A tokenizer whose model is BPE. Chapter 01."""

    model: BPE

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        pattern: str = GPT4_PATTERN,
        special_tokens: Sequence[str] = (),
        byte_fallback: bool = False,
    ) -> Self:
        """Learn merges from texts; ids are the base alphabet, then merges, then special tokens.

        Byte level by default: 256 bytes (id = byte) are the alphabet and every text round-trips.
        `byte_fallback`: the alphabet is 256 byte tokens and every character of the texts.
        Words are cut by `pattern`. `vocab_size` counts everything; small texts give fewer tokens.
        """
        split = Split(TextPattern("Regex", pattern))
        if isinstance(texts, str):
            raise ValueError("texts is one str: give a list of texts, [text]")
        words = count_words(texts, split)
        base = BYTE_TOKENS if byte_fallback else BYTE_CHARACTERS
        if byte_fallback:
            letters = sorted({letter for word in words for letter in word})
        else:
            letters = []
            words = Counter({write_bytes(word.encode()): n for word, n in words.items()})
        tokens = [*base, *letters]
        room = vocab_size - len(tokens) - len(special_tokens)
        if room < 0:
            raise ValueError(
                f"vocab_size = {vocab_size} must hold the alphabet ({len(tokens)}) and "
                f"{len(special_tokens)} special tokens: at least {vocab_size - room}"
            )
        vocab, merges = learn_merges(tokens, words, room)
        first = max(vocab.values()) + 1
        return cls(
            BPE(vocab, merges, byte_fallback=byte_fallback),
            added_tokens=[AddedToken(s, first + i) for i, s in enumerate(special_tokens)],
            **(character_parts(split) if byte_fallback else byte_level_parts(split)),
        )

    @classmethod
    def from_ranks(
        cls,
        ranks: Mapping[bytes, int],
        pattern: str,
        special_tokens: Mapping[str, int] | None = None,
    ) -> Self:
        """From tiktoken's mergeable ranks: a token's id is its rank, its merge is not stored.

        The merge is the last one that BPE with lower ranks makes of the token's bytes.
        """
        vocab = {write_bytes(token): rank for token, rank in ranks.items()}
        return cls(
            BPE(vocab, merges_of_ranks(ranks), ignore_merges=True),
            added_tokens=[AddedToken(s, number) for s, number in (special_tokens or {}).items()],
            **byte_level_parts(Split(TextPattern("Regex", pattern))),
        )


def count_words(texts: Iterable[str], split: Split) -> Counter[str]:
    """How often each word occurs."""
    words: Counter[str] = Counter()
    for text in texts:
        check_unicode(text)
        words.update(split(text))
    return words


def learn_merges(
    tokens: Sequence[str], words: Mapping[str, int], num_merges: int
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges, as text, over words of characters that are among the tokens."""
    number = {token: i for i, token in enumerate(tokens)}
    ids = {tuple(map(number.__getitem__, word)): count for word, count in words.items()}
    names = list(tokens)
    merges = []
    for left, right in train_bpe_fast(ids, num_merges, first_id=len(tokens)):
        merges.append((names[left], names[right]))
        names.append(names[left] + names[right])
    vocab = {name: i for i, name in enumerate(names)}
    if len(vocab) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"two merges make the token {twice!r}: use a pattern with shorter words")
    return vocab, merges


def merges_of_ranks(ranks: Mapping[bytes, int]) -> list[tuple[str, str]]:
    """The merges behind tiktoken's ranks, in order."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            joined = [ranks.get(a + b, rank) for a, b in zip(parts, parts[1:], strict=False)]
            lowest = min(joined)
            if lowest >= rank:
                break
            i = joined.index(lowest)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        if len(parts) == 2:
            merges.append((write_bytes(parts[0]), write_bytes(parts[1])))
    return merges


def byte_level_parts(split: Split) -> dict[str, Any]:
    """The parts around a byte-level model."""
    byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
    return {
        "pre_tokenizer": PreTokenizerSequence((split, byte_level)),
        "decoder": ByteLevelDecoder(add_prefix_space=False, use_regex=False),
    }


def character_parts(split: Split) -> dict[str, Any]:
    """The parts around a model of characters with byte fallback."""
    return {
        "pre_tokenizer": split,
        "decoder": DecoderSequence((ByteFallbackDecoder(), FuseDecoder())),
    }
