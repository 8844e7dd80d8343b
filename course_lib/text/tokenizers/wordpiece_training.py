"""Training a WordPiece vocabulary: merge the pair whose parts belong together.

In reading order: the score; the trainer that counts everything anew for each merge; the one that
keeps its counts, which gives the same pieces.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

Pair = tuple[str, str]


def pair_score(pair_count: int, left_count: int, right_count: int) -> float:
    """count(ab) / (count(a) count(b)): how much more often a and b meet than chance would have it.

    BPE's count(ab) asks how often they meet; this asks whether they are seen apart.
    """
    return pair_count / (left_count * right_count)


def train_wordpiece_plain(
    word_counts: Mapping[str, int], vocab_size: int, *, min_count: int = 2, prefix: str = "##"
) -> list[str]:
    """`train_wordpiece`, counting all words again for each merge: O(vocab_size * words)."""
    words = [(split_characters(word, prefix=prefix), count) for word, count in word_counts.items()]
    vocab = _alphabet(words, vocab_size, min_count)
    while len(vocab) < vocab_size:
        pieces, pairs = Counter[str](), Counter[Pair]()
        for word, count in words:
            for piece in word:
                pieces[piece] += count
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        ranked = [
            (-pair_score(count, pieces[pair[0]], pieces[pair[1]]), pair)
            for pair, count in pairs.items()
            if count >= min_count
        ]
        if not ranked:
            break
        _, best = min(ranked)
        words = [(merge_in_word(word, best, prefix=prefix), count) for word, count in words]
        merged = join_pieces(*best, prefix=prefix)
        vocab += [merged] if merged not in vocab else []  # a+bc and ab+c spell one piece
    return vocab


def train_wordpiece(
    word_counts: Mapping[str, int], vocab_size: int, *, min_count: int = 2, prefix: str = "##"
) -> list[str]:
    """Characters, then merges of the pair with the largest count(ab) / (count(a) count(b)).

    Pairs seen fewer than `min_count` times are left alone: without it the winner is two rare
    characters seen once, together. Ties: the smaller pair of strings. May end early.
    Google's trainer is unpublished: this is how Hugging Face's course reads it, while Hugging
    Face's own `WordPieceTrainer` merges by count(ab), as BPE does.

    Schuster and Nakajima 2012, "Japanese and Korean voice search", section 3. Chapter 01.
    """
    words = [(split_characters(word, prefix=prefix), count) for word, count in word_counts.items()]
    vocab = dict.fromkeys(_alphabet(words, vocab_size, min_count))
    pairs = _PairTable(words, min_count, prefix)
    while len(vocab) < vocab_size and (best := pairs.pop_best()) is not None:
        merged = join_pieces(*best, prefix=prefix)
        pairs.merge(best, merged)
        vocab[merged] = None
    return list(vocab)


def split_characters(word: str, *, prefix: str = "##") -> list[str]:
    """cat -> ["c", "##a", "##t"]."""
    return [prefix + char if index else char for index, char in enumerate(word)]


def join_pieces(left: str, right: str, *, prefix: str = "##") -> str:
    """("##ca", "##t") -> "##cat": the right piece loses its prefix."""
    return left + right.removeprefix(prefix)


def merge_in_word(word: list[str], pair: Pair, *, prefix: str = "##") -> list[str]:
    """The word with each occurrence of `pair` merged, from the left."""
    merged, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            merged.append(join_pieces(*pair, prefix=prefix))
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged


def _alphabet(words: Iterable[tuple[list[str], int]], vocab_size: int, min_count: int) -> list[str]:
    alphabet = sorted({piece for word, _ in words for piece in word})
    if vocab_size < len(alphabet):
        raise ValueError(
            f"vocab_size = {vocab_size} is less than the {len(alphabet)} characters of the words "
            "(one inside a word counts apart from one that begins it): raise it"
        )
    if min_count < 1:
        raise ValueError(f"min_count = {min_count} must be at least 1: a merged pair must occur")
    return alphabet


class _PairTable:
    """Counts of pieces and pairs, kept from merge to merge, and a heap of pairs by score.

    A merge lowers count(a) and count(b), so the score of *every* pair with a or b rises, in words
    that were not touched too: all of them are pushed again. An old entry is known by its score.
    """

    def __init__(self, words: Iterable[tuple[list[str], int]], min_count: int, prefix: str) -> None:
        self.words = list(words)
        self.min_count, self.prefix = min_count, prefix
        self.piece_counts: Counter[str] = Counter()
        self.pair_counts: Counter[Pair] = Counter()
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        self.pairs_with: defaultdict[str, set[Pair]] = defaultdict(set)
        for index in range(len(self.words)):
            self._count(index, +1)
        self.heap = [(-self._score(pair), pair) for pair in self.pair_counts]
        heapq.heapify(self.heap)

    def pop_best(self) -> Pair | None:
        """The pair with the highest score, of equals the smaller; None if none is left."""
        while self.heap:
            negative_score, pair = heapq.heappop(self.heap)
            if self.pair_counts[pair] >= self.min_count and -negative_score == self._score(pair):
                return pair
        return None

    def merge(self, pair: Pair, merged: str) -> None:
        """Merge `pair` in every word that has it, and push every pair whose score changed."""
        for index in self.words_with.pop(pair):
            self._count(index, -1)
            word, count = self.words[index]
            self.words[index] = (merge_in_word(word, pair, prefix=self.prefix), count)
            self._count(index, +1)
        for changed in {near for piece in (*pair, merged) for near in self.pairs_with[piece]}:
            if self.pair_counts[changed] >= self.min_count:
                heapq.heappush(self.heap, (-self._score(changed), changed))

    def _score(self, pair: Pair) -> float:
        left, right = pair
        return pair_score(self.pair_counts[pair], self.piece_counts[left], self.piece_counts[right])

    def _count(self, index: int, sign: int) -> None:
        word, count = self.words[index]
        for piece in word:
            self.piece_counts[piece] += sign * count
        for pair in itertools.pairwise(word):
            self.pair_counts[pair] += sign * count
            if sign > 0:
                self.words_with[pair].add(index)
                self.pairs_with[pair[0]].add(pair)
                self.pairs_with[pair[1]].add(pair)
            elif self.pair_counts[pair] == 0:
                self.pairs_with[pair[0]].discard(pair)
                self.pairs_with[pair[1]].discard(pair)
