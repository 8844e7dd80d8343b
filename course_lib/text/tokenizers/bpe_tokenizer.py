"""The BPE tokenizer: byte-level as GPT-2's, or characters with byte fallback.

In reading order: `BPETokenizer` (training, and building one from tiktoken's ranks), then the
steps of both.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from course_lib.text.tokenizers.base import AddedToken, Tokenizer
from course_lib.text.tokenizers.bpe_fast import train_bpe_fast
from course_lib.text.tokenizers.bpe_model import BPE
from course_lib.text.tokenizers.byte_fallback import BYTE_PIECES
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
from course_lib.text.tokenizers.word_counts import count_words


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
    ) -> "BPETokenizer":
        """Learn merges from texts; ids are the base alphabet, then merges, then special tokens.

        Byte level by default: 256 bytes (id = byte) are the alphabet and every text round-trips.
        `byte_fallback`: the alphabet is 256 byte tokens and every character of the texts.
        Words are cut by `pattern`. `vocab_size` counts everything; small texts give fewer tokens.
        """
        split = Split(TextPattern("Regex", pattern))
        words = count_words(texts, split.steps(True))
        base = BYTE_PIECES if byte_fallback else BYTE_CHARACTERS
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
    ) -> "BPETokenizer":
        """From tiktoken's mergeable ranks: a token's id is its rank, its merge is not stored.

        The merge is the last one that BPE with lower ranks makes of the token's bytes.
        """
        vocab = {write_bytes(token): rank for token, rank in ranks.items()}
        return cls(
            BPE(vocab, merges_of_ranks(ranks), ignore_merges=True),
            added_tokens=[AddedToken(s, number) for s, number in (special_tokens or {}).items()],
            **byte_level_parts(Split(TextPattern("Regex", pattern))),
        )


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
            joined = [ranks.get(a + b, rank) for a, b in pairwise(parts)]
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
