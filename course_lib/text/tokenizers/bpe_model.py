"""The BPE model: vocabulary and merges as in a tokenizer.json, words to ids."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from course_lib.text.tokenizers.alignment import Span
from course_lib.text.tokenizers.bpe import Pair
from course_lib.text.tokenizers.bpe_fast import merge_word
from course_lib.text.tokenizers.bpe_linear import LinearEncoder
from course_lib.text.tokenizers.byte_fallback import BYTE_PIECES

SUPPORTED = ("vocab", "merges", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges")
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
            names = [BYTE_PIECES[byte] for byte in character.encode()]
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
    def from_json(cls, fields: dict[str, Any]) -> "BPE":
        """From the `model` of a tokenizer.json; merges may be pairs or "a b" as in old files."""
        for name in REFUSED:
            if fields.get(name):
                raise ValueError(f"the BPE model has {name} = {fields[name]!r}, not supported here")
        given = {name: fields[name] for name in SUPPORTED if name in fields}
        vocab, merges = given.get("vocab"), given.get("merges")
        if not isinstance(vocab, dict) or not isinstance(merges, list):
            raise ValueError("the BPE model needs an object vocab and a list of merges")
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
