"""Training a unigram vocabulary: many candidates, EM, and pruning by what each piece is worth.

In reading order: the trainer; the candidates; the lattice of all segmentations, in numpy, where
the E-step of `unigram_expectations` runs on all words at once; one round of pruning.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

RARELY_USED = 0.5  # expected count below which a candidate goes at once, as in SentencePiece


def train_unigram(
    word_counts: Mapping[str, int],
    vocab_size: int,
    *,
    max_piece_length: int = 16,
    num_candidates: int | None = None,
    keep_fraction: float = 0.75,
    num_em_steps: int = 2,
) -> dict[str, float]:
    """Pieces with log probabilities: EM, drop the least useful quarter, repeat to `vocab_size`.

    Candidates: `num_candidates` frequent substrings (default: ten times the vocabulary, at least
    100,000), counted length by length, without the suffix array of a compiled trainer.
    Characters stay pieces, so that every word can be spelled; ValueError if they alone exceed
    `vocab_size`. Fewer pieces come back if fewer are of use.

    Kudo 2018, https://arxiv.org/abs/1804.10959, section 3.2. Chapter 01.
    """
    words = {word: count for word, count in word_counts.items() if word and count > 0}
    check_training(words, vocab_size, keep_fraction)
    candidates = frequent_substrings(
        words, num_candidates or max(10 * vocab_size, 100_000), max_length=max_piece_length
    )
    pieces = list(candidates)
    log_probs = maximise(
        np.array([len(piece) * candidates[piece] for piece in pieces], dtype=float)
    )
    lattice = Lattice.of(list(words), pieces)
    counts = np.array(list(words.values()), dtype=float)
    while True:
        for _ in range(num_em_steps):
            expected, _ = lattice.expectations(counts, log_probs)
            log_probs = maximise(expected)
        if len(pieces) <= vocab_size:
            break
        size = max(vocab_size, int(keep_fraction * len(pieces)))
        keep = most_useful(pieces, expected, log_probs, size)
        pieces = [pieces[index] for index in keep]
        lattice, log_probs = lattice.restricted(keep), log_probs[keep]
    order = np.argsort(-log_probs, kind="stable")
    return {pieces[index]: float(log_probs[index]) for index in order}


def check_training(words: Mapping[str, int], vocab_size: int, keep_fraction: float) -> None:
    """ValueError if the characters alone do not fit, or if nothing would ever be dropped."""
    num_characters = len({char for word in words for char in word})
    if vocab_size < num_characters:
        raise ValueError(
            f"vocab_size = {vocab_size} is less than the {num_characters} different characters of "
            "the words, which all stay pieces: raise it, or leave rare characters to byte fallback"
        )
    if not 0 < keep_fraction < 1:
        raise ValueError(f"keep_fraction = {keep_fraction} must be between 0 and 1")


def frequent_substrings(
    word_counts: Mapping[str, int], num_substrings: int, *, max_length: int
) -> dict[str, int]:
    """All characters, and the substrings seen twice or more with the largest count * length.

    A substring cannot be more frequent than its beginning, so length n only looks where length
    n - 1 was frequent.
    """
    characters = Counter[str]()
    for word, count in word_counts.items():
        for char in word:
            characters[char] += count
    longer: dict[str, int] = {}
    frequent: Mapping[str, int] = characters
    for length in range(2, max_length + 1):
        found = Counter[str]()
        for word, count in word_counts.items():
            for start in range(len(word) - length + 1):
                if word[start : start + length - 1] in frequent:
                    found[word[start : start + length]] += count
        frequent = {piece: count for piece, count in found.items() if count > 1}
        if not frequent:
            break
        longer |= frequent
    room = max(0, num_substrings - len(characters))
    best = sorted(longer, key=lambda piece: (-len(piece) * longer[piece], piece))[:room]
    return {char: characters[char] for char in sorted(characters)} | {
        piece: longer[piece] for piece in best
    }


def maximise(expected: np.ndarray) -> np.ndarray:
    """M-step: log(expected / sum). A character that EM never uses keeps a small probability."""
    floored = np.maximum(expected, 1e-3)
    return np.log(floored / floored.sum())


def most_useful(
    pieces: Sequence[str], expected: np.ndarray, log_probs: np.ndarray, size: int
) -> np.ndarray:
    """Indices of the `size` pieces whose loss would cost most likelihood; characters stay always.

    Without a piece its occurrences are spelled by the others:
    loss = expected count * (log p(piece) - log of the summed probability of its other spellings).
    """
    is_character = np.array([len(piece) == 1 for piece in pieces])
    others = Lattice.of(pieces, pieces, whole_words=False).log_likelihoods(log_probs)
    with np.errstate(invalid="ignore"):
        loss = expected * (log_probs - others)
    loss[expected < RARELY_USED] = -np.inf
    loss[is_character] = np.inf
    order = np.argsort(-loss, kind="stable")[:size]
    return np.sort(order[loss[order] > -np.inf])


@dataclass(frozen=True)
class Lattice:
    """All segmentations of all words as one graph: an edge is a piece between two positions.

    Position i of a word is the node `first + i`, where `first` counts the nodes of earlier words.
    """

    lengths: np.ndarray  # of the words
    source: np.ndarray  # of the edges, as are target and piece
    target: np.ndarray
    piece: np.ndarray
    num_pieces: int

    @classmethod
    def of(
        cls, words: Sequence[str], pieces: Sequence[str], *, whole_words: bool = True
    ) -> Lattice:
        """Every occurrence of a piece in a word; without `whole_words`, no piece is the word."""
        number_of = {piece: number for number, piece in enumerate(pieces)}
        longest = max(map(len, pieces), default=0)
        edges: list[tuple[int, int, int]] = []
        first = 0
        for word in words:
            for start in range(len(word)):
                for end in range(start + 1, min(start + longest, len(word)) + 1):
                    number = number_of.get(word[start:end])
                    if number is not None and (whole_words or end - start < len(word)):
                        edges.append((first + start, first + end, number))
            first += len(word) + 1
        columns = np.array(edges, dtype=np.int64).reshape(-1, 3).T
        lengths = np.array([len(word) for word in words], dtype=np.int64)
        return cls(lengths, *columns, len(pieces))

    def restricted(self, keep: np.ndarray) -> Lattice:
        """The same words with the pieces `keep` only, renumbered in that order."""
        renumbered = np.full(self.num_pieces, -1)
        renumbered[keep] = np.arange(len(keep))
        piece = renumbered[self.piece]
        alive = piece >= 0
        return Lattice(
            self.lengths, self.source[alive], self.target[alive], piece[alive], len(keep)
        )

    def expectations(self, counts: np.ndarray, log_probs: np.ndarray) -> tuple[np.ndarray, float]:
        """Expected count of each piece and the log-likelihood: `unigram_expectations`."""
        before = self._forward.path_sums(log_probs)
        after = self._backward.path_sums(log_probs)
        word = np.repeat(np.arange(len(self.lengths)), self.lengths + 1)[self.source]
        totals = before[self._last]
        path = before[self.source] + log_probs[self.piece] + after[self.target]
        weights = counts[word] * np.exp(path - totals[word])
        expected = np.bincount(self.piece, weights, minlength=self.num_pieces)
        return expected, float(counts @ totals)

    def log_likelihoods(self, log_probs: np.ndarray) -> np.ndarray:
        """log p(word), summed over its segmentations; -inf where there is none."""
        return self._forward.path_sums(log_probs)[self._last]

    @cached_property
    def _last(self) -> np.ndarray:
        return np.cumsum(self.lengths + 1) - 1

    @cached_property
    def _forward(self) -> _Sweep:
        steps = np.concatenate([np.arange(length + 1) for length in self.lengths] or [[]])
        return _Sweep(self.source, self.target, self.piece, steps.astype(np.int64))

    @cached_property
    def _backward(self) -> _Sweep:
        steps = np.concatenate([np.arange(length, -1, -1) for length in self.lengths] or [[]])
        return _Sweep(self.target, self.source, self.piece, steps.astype(np.int64))


class _Sweep:
    """Sums over paths, all words in step: first all nodes one position away, then two, and so on.

    Edges are sorted by the step of their head, then by head, so that each step is a slice and each
    node in it a run, which `reduceat` adds up.
    """

    def __init__(
        self, tail: np.ndarray, head: np.ndarray, piece: np.ndarray, step_of_node: np.ndarray
    ) -> None:
        order = np.lexsort((head, step_of_node[head]))
        self.tail, self.piece, head = tail[order], piece[order], head[order]
        self.origins = step_of_node == 0
        self.runs = np.flatnonzero(np.diff(head, prepend=-1))
        self.run_heads = head[self.runs]
        run_steps = step_of_node[self.run_heads]
        self.steps = np.flatnonzero(np.diff(run_steps, prepend=0))

    def path_sums(self, log_probs: np.ndarray) -> np.ndarray:
        """For each node the log of the summed probability of all paths that lead to it."""
        sums = np.where(self.origins, 0.0, -np.inf)
        edge_scores = log_probs[self.piece]
        runs = np.append(self.runs, len(self.piece))
        for first, last in itertools.pairwise([*self.steps, len(self.runs)]):
            edges = slice(runs[first], runs[last])
            starts = runs[first:last] - runs[first]
            scores = sums[self.tail[edges]] + edge_scores[edges]
            largest = np.maximum.reduceat(scores, starts)
            sizes = np.diff(runs[first : last + 1])
            total = np.add.reduceat(np.exp(scores - np.repeat(largest, sizes)), starts)
            sums[self.run_heads[first:last]] = largest + np.log(total)
        return sums
