"""The unigram language model over pieces: the best segmentation, and all of them at once.

In reading order: Viterbi's best segmentation; the E-step of EM by forward-backward. The trainer is
in `unigram_training`, the tokenizer in `unigram_tokenizer`.
"""

import math
from collections.abc import Iterable, Mapping


def viterbi_segment(text: str, log_probs: Mapping[str, float]) -> list[str]:
    """argmax over segmentations of sum log p(piece): the most probable split of `text`.

    best[end] = max over start of best[start] + log p(text[start:end]); O(length * longest piece).
    Of equally probable splits, the one whose last piece is longest, then the one before it, and so
    on (as SentencePiece and Hugging Face do). ValueError if the pieces cannot spell the text.

    Kudo 2018, https://arxiv.org/abs/1804.10959, eq. 7. Chapter 01.
    """
    longest = max(map(len, log_probs), default=0)
    pieces = best_segmentation(text, log_probs, longest=longest)
    if pieces is None:
        raise ValueError(_cannot_spell(text, log_probs))
    return pieces


def best_segmentation(
    text: str, log_probs: Mapping[str, float], *, longest: int, unknown: float = -math.inf
) -> list[str] | None:
    """Viterbi where a character that is no piece scores `unknown`; None if there is no path."""
    best = [0.0] + [-math.inf] * len(text)
    piece_start = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - longest), end - 1):
            score = best[start] + log_probs.get(text[start:end], -math.inf)
            if score > best[end]:
                best[end], piece_start[end] = score, start
        score = best[end - 1] + log_probs.get(text[end - 1], unknown)
        if score > best[end]:
            best[end], piece_start[end] = score, end - 1
    if best[-1] == -math.inf:
        return None
    pieces, end = [], len(text)
    while end > 0:
        pieces.append(text[piece_start[end] : end])
        end = piece_start[end]
    return pieces[::-1]


def unigram_expectations(
    word_counts: Mapping[str, int], log_probs: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """E-step: the expected count of every piece over all segmentations, and the log-likelihood.

    Forward-backward, with log-sum-exp: the probability of a long word is below the smallest float.
    Every piece of `log_probs` has an entry, zero if it is never used. A word counts as often as
    `word_counts` says. ValueError if a word cannot be spelled.

    Kudo 2018, https://arxiv.org/abs/1804.10959, section 3.2, step 2a. Chapter 01.
    """
    expected = dict.fromkeys(log_probs, 0.0)
    longest = max(map(len, log_probs), default=0)
    log_likelihood = 0.0
    for word, count in word_counts.items():
        edges = [
            (start, end, log_probs[word[start:end]])
            for end in range(1, len(word) + 1)
            for start in range(max(0, end - longest), end)
            if word[start:end] in log_probs
        ]
        before = _path_sums(len(word), edges)
        mirrored = [(len(word) - end, len(word) - start, score) for start, end, score in edges]
        after = _path_sums(len(word), mirrored)[::-1]
        if before[-1] == -math.inf:
            raise ValueError(_cannot_spell(word, log_probs))
        for start, end, score in edges:
            posterior = math.exp(before[start] + score + after[end] - before[-1])
            expected[word[start:end]] += count * posterior
        log_likelihood += count * before[-1]
    return expected, log_likelihood


def _path_sums(length: int, edges: list[tuple[int, int, float]]) -> list[float]:
    """log of the summed probability of all paths from 0 to each position."""
    arriving: list[list[tuple[int, float]]] = [[] for _ in range(length + 1)]
    for start, end, score in edges:
        arriving[end].append((start, score))
    sums = [0.0]
    for end in range(1, length + 1):
        sums.append(_log_sum_exp(sums[start] + score for start, score in arriving[end]))
    return sums


def _log_sum_exp(values: Iterable[float]) -> float:
    values = list(values)
    largest = max(values, default=-math.inf)
    if largest == -math.inf:
        return -math.inf
    return largest + math.log(sum(math.exp(value - largest) for value in values))


def _cannot_spell(text: str, log_probs: Mapping[str, float]) -> str:
    missing = sorted({char for char in text if char not in log_probs})
    shown = text if len(text) <= 40 else text[:40] + "..."
    return (
        f"text = {shown!r} cannot be spelled with these {len(log_probs)} pieces; its characters "
        f"{missing} are no pieces: add them, or use byte fallback"
    )
