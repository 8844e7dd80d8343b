"""The unigram tokenizer: Viterbi with ids and byte fallback, on text that loses nothing.

In reading order: `UnigramModel` (pieces with log probabilities -> ids), `UnigramTokenizer`.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import regex

from course_lib.text.tokenizers.added_tokens import AddedToken
from course_lib.text.tokenizers.alignment import Span
from course_lib.text.tokenizers.base import Tokenizer
from course_lib.text.tokenizers.byte_fallback import BYTE_PIECES, byte_fallback
from course_lib.text.tokenizers.decoders import ByteFallbackDecoder, DecoderSequence, FuseDecoder
from course_lib.text.tokenizers.normalizers import TextPattern
from course_lib.text.tokenizers.pre_tokenizers import PreTokenizerSequence, Split
from course_lib.text.tokenizers.unigram import best_segmentation
from course_lib.text.tokenizers.unigram_training import train_unigram
from course_lib.text.tokenizers.word_counts import count_words

UNKNOWN = "<unk>"
UNKNOWN_PENALTY = 10.0  # an unknown character scores this much below the rarest piece

PUNCTUATION = r"!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~«»—–…“”„"
WORD_PATTERN = rf" ?[^\s0-9{PUNCTUATION}]+| ?[0-9]| ?[{PUNCTUATION}]+|\s+(?!\S)|\s"
"""A word with the space before it, one digit, a run of punctuation, or whitespace.

Classes like \\p{L} would be shorter, but what they contain depends on an engine's Unicode tables.
"""

LITERAL_PATTERN = r"<(?=0x[0-9A-F]{2}>|unk>)"
"""The < of a text that looks like a byte piece: cut off, or "<0x41>" would come back as "A"."""


@dataclass(frozen=True)
class UnigramModel:
    """Viterbi with ids: `pieces` are (piece, log probability), a piece's place is its id.

    Characters that no piece spells are joined to stretches, which become bytes if `byte_fallback`
    and all their byte pieces are there, else one `unk_id` a stretch.
    """

    pieces: tuple[tuple[str, float], ...]
    unk_id: int | None = 0
    byte_fallback: bool = False
    type: ClassVar[str] = "Unigram"

    def __post_init__(self) -> None:
        if len(self.vocab) < len(self.pieces):
            twice = next(p for p, n in Counter(p for p, _ in self.pieces).items() if n > 1)
            raise ValueError(f"piece {twice!r} is given twice: each needs one id")
        if self.unk_id is not None and not 0 <= self.unk_id < len(self.pieces):
            raise ValueError(f"unk_id = {self.unk_id} is none of the {len(self.pieces)} pieces")

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Piece -> id."""
        return {piece: number for number, (piece, _) in enumerate(self.pieces)}

    @cached_property
    def _log_probs(self) -> dict[str, float]:
        return dict(self.pieces)

    @cached_property
    def _longest(self) -> int:
        return max((len(piece) for piece, _ in self.pieces), default=0)

    @cached_property
    def _unknown_score(self) -> float:
        return min((score for _, score in self.pieces), default=0.0) - UNKNOWN_PENALTY

    def encode_word(self, word: str) -> list[int]:
        """Ids of the most probable segmentation."""
        return [number for number, _ in self._placed(word)]

    def spans(self, word: str) -> list[Span]:
        """Where each id stands; the bytes of a character share its span."""
        return [span for _, span in self._placed(word)]

    def _placed(self, word: str) -> Iterator[tuple[int, Span]]:
        segmentation = best_segmentation(
            word, self._log_probs, longest=self._longest, unknown=self._unknown_score
        )
        start = 0
        for is_unknown, run in itertools.groupby(segmentation or (), key=self._is_unknown):
            for piece in ["".join(run)] if is_unknown else run:
                yield from self._ids(piece, start)
                start += len(piece)

    def _is_unknown(self, piece: str) -> bool:
        return self.vocab.get(piece, self.unk_id) == self.unk_id

    def _ids(self, piece: str, start: int) -> Iterator[tuple[int, Span]]:
        if piece in self.vocab:
            yield self.vocab[piece], (start, start + len(piece))
            return
        spelled = [
            (byte_piece, (start + i, start + i + 1))
            for i, character in enumerate(piece)
            for byte_piece in byte_fallback([character], ())
        ]
        if self.byte_fallback and all(byte_piece in self.vocab for byte_piece, _ in spelled):
            for byte_piece, span in spelled:
                yield self.vocab[byte_piece], span
        elif self.unk_id is not None:
            yield self.unk_id, (start, start + len(piece))
        else:
            raise ValueError(f"{piece!r} has no piece, and the model has no unknown token")

    def to_json(self) -> dict[str, Any]:
        """The `model` of a tokenizer.json."""
        return {
            "type": self.type,
            "unk_id": self.unk_id,
            "vocab": [list(entry) for entry in self.pieces],
            "byte_fallback": self.byte_fallback,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "UnigramModel":
        """From the `model` of a tokenizer.json."""
        vocab, unk_id = fields.get("vocab"), fields.get("unk_id")
        if not isinstance(vocab, list) or not all(map(is_scored_piece, vocab)):
            raise ValueError("the Unigram model's vocab must be a list of [piece, log probability]")
        if type(unk_id) not in (int, type(None)):
            raise ValueError(f"the Unigram model has unk_id = {unk_id!r}, which is no id")
        pieces = tuple((piece, float(score)) for piece, score in vocab)
        return cls(pieces, unk_id, fields.get("byte_fallback") is True)


def is_scored_piece(entry: Any) -> bool:
    """True for ["the", -3.2]."""
    if not isinstance(entry, list) or len(entry) != 2:
        return False
    piece, score = entry
    return isinstance(piece, str) and type(score) in (int, float) and math.isfinite(score)


class UnigramTokenizer(Tokenizer):
    """The most probable pieces, with bytes for what training never saw: decode(encode(x)) == x.

    Pieces hold their spaces as spaces. SentencePiece writes ▁ for a space and puts one before the
    text, which loses a ▁ that was in the text, and whether it began with a space.
    Chapter 01.
    """

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = (),
        byte_fallback: bool = True,
        character_coverage: float = 0.9995,
        pattern: str = WORD_PATTERN,
    ) -> "UnigramTokenizer":
        """A vocabulary of at most `vocab_size`: <unk>, 256 bytes, pieces, then special tokens.

        The rarest characters, together at most 1 - `character_coverage` of the text, get no piece.
        Without `byte_fallback` they are <unk> and there is no way back. No piece crosses a word
        of `pattern`, nor will it in `encode`.
        """
        pre_tokenizer = PreTokenizerSequence(
            (
                Split(TextPattern("Regex", pattern)),
                Split(TextPattern("Regex", LITERAL_PATTERN)),
            )
        )
        steps = pre_tokenizer.steps(False)
        words = count_words(texts, steps)
        bytes_ = BYTE_PIECES if byte_fallback else ()
        room = vocab_size - 1 - len(bytes_) - len(special_tokens)
        if room < 1:
            raise ValueError(
                f"vocab_size = {vocab_size} leaves no room for pieces beside <unk>, "
                f"{len(bytes_)} bytes and {len(special_tokens)} special tokens: raise it"
            )
        trained = train_unigram(without_rare_characters(words, character_coverage), room)
        # Six decimals: short numbers are read back exactly by every JSON reader.
        learned = [(piece, round(score, 6)) for piece, score in trained.items()]
        lowest = min((score for _, score in learned), default=0.0)
        pieces = ((UNKNOWN, 0.0), *((piece, lowest) for piece in bytes_), *learned)
        return cls(
            UnigramModel(pieces, 0, byte_fallback),
            pre_tokenizer=pre_tokenizer,
            decoder=DecoderSequence((ByteFallbackDecoder(), FuseDecoder())),
            added_tokens=[
                AddedToken(token, len(pieces) + i) for i, token in enumerate(special_tokens)
            ],
        )


def without_rare_characters(word_counts: Mapping[str, int], coverage: float) -> dict[str, int]:
    """The words, cut at the characters that are not needed to cover `coverage` of the text."""
    if not 0 < coverage <= 1:
        raise ValueError(f"character_coverage = {coverage} must be above 0 and at most 1")
    counts: Counter[str] = Counter()
    for word, count in word_counts.items():
        for character in word:
            counts[character] += count
    rare, spare = set(), (1 - coverage) * counts.total()
    for character in sorted(counts, key=lambda character: (counts[character], character)):
        spare -= counts[character]
        if spare < 0:
            break
        rare.add(character)
    if not rare:
        return dict(word_counts)
    at_rare = regex.compile("[" + regex.escape("".join(sorted(rare)), special_only=False) + "]")
    parts: Counter[str] = Counter()
    for word, count in word_counts.items():
        for part in filter(None, at_rare.split(word)):
            parts[part] += count
    return dict(parts)
