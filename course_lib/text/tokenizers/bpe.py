"""Byte-pair encoding, as plainly as it can be written.

In reading order: `count_pairs` and `merge_pair` (the two halves of a step), `train_bpe` (repeat
it), `encode_bpe` (replay it on new text). `bpe_fast` has the same results sooner.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

Pair = tuple[int, int]

FIRST_MERGED_ID = 256


def count_pairs(word_counts: Mapping[tuple[int, ...], int]) -> Counter[Pair]:
    """How often each pair of neighbours occurs: {(1, 2, 2): 5} -> {(1, 2): 5, (2, 2): 5}.

    Every position counts, overlapping ones too: (7, 7, 7) has the pair (7, 7) twice, although
    only one of them can be merged. So do Hugging Face's trainer and rustbpe.
    """
    counts: Counter[Pair] = Counter()
    for word, count in word_counts.items():
        for pair in pairwise(word):
            counts[pair] += count
    return counts


def merge_pair(ids: Sequence[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    """Every `pair` becomes `new_id`, left to right: (1, 1, 1), (1, 1), 9 -> (9, 1)."""
    merged = []
    i = 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return tuple(merged)


def train_bpe(
    word_counts: Mapping[tuple[int, ...], int],
    num_merges: int,
    *,
    first_id: int = FIRST_MERGED_ID,
) -> list[Pair]:
    """Merge the most frequent pair, again and again; merge i makes id `first_id` + i.

    Of equally frequent pairs the smaller one is merged, a convention that Hugging Face's trainer
    and rustbpe share. Fewer merges come back if every word has become one token.
    Costs O(num_merges * text): see bpe_fast.train_bpe_fast.

    Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, algorithm 1. Chapter 01.
    """
    merges: list[Pair] = []
    while len(merges) < num_merges:
        counts = count_pairs(word_counts)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merged: Counter[tuple[int, ...]] = Counter()
        for word, count in word_counts.items():
            merged[merge_pair(word, best, first_id + len(merges))] += count
        word_counts = merged
        merges.append(best)
    return merges


def encode_bpe(
    text: str | Sequence[int], merges: Sequence[Pair], *, first_id: int = FIRST_MERGED_ID
) -> list[int]:
    """Apply the earliest learned merge that is possible, until none is.

    A str is taken as its UTF-8 bytes. This is not the longest match: the order of learning
    decides. Costs O(length^2): see bpe_fast.merge_word.

    Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, sec. 3.2. Chapter 01.
    """
    ids = tuple(text.encode() if isinstance(text, str) else text)
    rank = {pair: i for i, pair in enumerate(merges)}
    while True:
        possible = [rank[pair] for pair in pairwise(ids) if pair in rank]
        if not possible:
            return list(ids)
        first = min(possible)
        ids = merge_pair(ids, merges[first], first_id + first)
