"""Byte-pair encoding again, fast: the results of `bpe`, in pure Python.

In reading order: `train_bpe_fast` (words are strings whose characters are ids, so that merging is
`str.replace`; pair counts are kept up to date; a lazy heap finds the best pair), `merge_word`
(linked list and heap, any merges, n log n). `bpe_linear` has the linear form of the latter.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

from course_lib.text.tokenizers.bpe import FIRST_MERGED_ID, Pair


def train_bpe_fast(
    word_counts: Mapping[tuple[int, ...], int],
    num_merges: int,
    *,
    first_id: int = FIRST_MERGED_ID,
) -> list[Pair]:
    """The merges of `bpe.train_bpe`.

    A merge costs as much as the words it changes are long: an inverted index pair -> words finds
    them. Heap entries are not updated when a count falls but checked when they come up.
    """
    words = ["".join(map(chr, word)) for word in word_counts]
    weights = list(word_counts.values())
    counts: defaultdict[str, int] = defaultdict(int)
    where: defaultdict[str, list[int]] = defaultdict(list)
    for index, (word, weight) in enumerate(zip(words, weights, strict=True)):
        for i in range(len(word) - 1):
            pair = word[i : i + 2]
            counts[pair] += weight
            where[pair].append(index)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < num_merges:
        count, pair = heappop(heap)
        if -count != counts[pair]:
            if counts[pair] > 0:
                heappush(heap, (-counts[pair], pair))
            continue
        new = chr(first_id + len(merges))
        merges.append((ord(pair[0]), ord(pair[1])))
        for new_pair in merge_everywhere(pair, new, words, weights, counts, where):
            heappush(heap, (-counts[new_pair], new_pair))
    return merges


def merge_everywhere(
    pair: str,
    new: str,
    words: list[str],
    weights: list[int],
    counts: defaultdict[str, int],
    where: defaultdict[str, list[int]],
) -> set[str]:
    """Replace the pair in all words, keep counts and index true; the pairs that are new."""
    left, right = pair
    created: set[str] = set()
    for index in where.pop(pair):
        word = words[index]
        at = word.find(pair)
        if at < 0:
            continue
        weight = weights[index]
        words[index] = word.replace(pair, new)
        if left == right or word.find(pair, at + 1) > 0:
            recount(word, words[index], new, index, weight, counts, where, created)
            continue
        if at:
            before = word[at - 1]
            counts[before + left] -= weight
            fresh = before + new
            counts[fresh] += weight
            where[fresh].append(index)
            created.add(fresh)
        after = word[at + 2 : at + 3]
        if after:
            counts[right + after] -= weight
            fresh = new + after
            counts[fresh] += weight
            where[fresh].append(index)
            created.add(fresh)
    del counts[pair]
    return created


def recount(
    old: str,
    word: str,
    new: str,
    index: int,
    weight: int,
    counts: defaultdict[str, int],
    where: defaultdict[str, list[int]],
    created: set[str],
) -> None:
    """Take all pairs of the old word back and count the new word's: several merges in one word."""
    for first, second in pairwise(old):
        counts[first + second] -= weight
    for first, second in pairwise(word):
        fresh = first + second
        counts[fresh] += weight
        if new in fresh:
            where[fresh].append(index)
            created.add(fresh)


def merge_word(ids: Sequence[int], ranks: Mapping[Pair, tuple[int, int]]) -> list[tuple[int, int]]:
    """The tokens of a word, each with how many of the ids it spans; n log n for n ids.

    `ranks` maps a pair to (rank, new id). The lowest rank is merged first, of equal ones the
    leftmost, as in `bpe.encode_bpe`; any ranks will do.
    """
    ids = list(ids)
    lengths = [1] * len(ids)
    following = list(range(1, len(ids) + 1))
    before = list(range(-1, len(ids) - 1))
    heap = [(*ranks[pair], i, pair) for i, pair in enumerate(pairwise(ids)) if pair in ranks]
    heapify(heap)
    while heap:
        _, new, i, pair = heappop(heap)
        j = following[i]
        if not lengths[i] or j == len(ids) or (ids[i], ids[j]) != pair:
            continue
        ids[i] = new
        lengths[i] += lengths[j]
        lengths[j] = 0
        following[i] = after = following[j]
        if after < len(ids):
            before[after] = i
        for start, end in ((before[i], i), (i, after)):
            if start >= 0 and end < len(ids) and (found := ranks.get((ids[start], ids[end]))):
                heappush(heap, (*found, start, (ids[start], ids[end])))
    return [(token, length) for token, length in zip(ids, lengths, strict=True) if length]
