"""Stems and endings found without a dictionary, from nothing but a list of words.

In reading order: `train_morphs` (a word is a stem and an ending, each shared with other words),
`MorphModel` (how it cuts a word), pre-segmentation so that no token crosses a morph boundary, and
how well boundaries agree with known ones.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.text.tokenizers.alignment import Span

NEW_STEM = (
    1.0  # pseudo-counts: how readily a word gets a stem, or an ending, that no other word has
)
NEW_ENDING = 1.0
ENDING_STOP = 0.5  # probability that a new ending stops before its next letter
FIRST_POWER = 0.25  # posteriors are flattened by this power at first, so that early luck fades


def train_morphs(words: Iterable[str], *, num_steps: int = 60) -> MorphModel:
    """p(word) = sum over its cuts of p(stem) p(ending): the counts of stems and endings.

    Each different word counts once. A cut is worth what the *other* words say of its stem and its
    ending, plus the probability of spelling a new one letter by letter. Counted with the word
    itself, every word would stay whole: it is its own best stem.
    Deterministic; all words at once in numpy, about 1 s for 30,000 words.

    Model: Goldwater, Griffiths and Johnson 2011, https://jmlr.org/papers/v12/goldwater11a.html,
    section 5.1. Inference: Asuncion et al. 2009, https://arxiv.org/abs/1205.2662, eq. 14 (CVB0).
    Chapter 01.
    """
    vocabulary = sorted({word for word in words if word})
    letters = Counter(letter for word in vocabulary for letter in word)
    total = letters.total() + len(vocabulary)
    spelling = {letter: count / total for letter, count in letters.items()}
    model = MorphModel({}, {}, spelling, stem_stop=len(vocabulary) / max(total, 1))
    cuts = _AllCuts.of(vocabulary)
    new_stem = np.array([model.new_stem(stem) for stem in cuts.stems])[cuts.stem]
    new_ending = np.array([model.new_ending(ending) for ending in cuts.endings])[cuts.ending]
    share = cuts.normalise(np.zeros(len(cuts.stem)))
    for step in range(num_steps if vocabulary else 0):
        power = min(1.0, FIRST_POWER + (1 - FIRST_POWER) * step / (0.8 * num_steps))
        stem_counts, ending_counts = cuts.count(share)
        others_stem = np.maximum(stem_counts[cuts.stem] - share, 0)
        others_ending = np.maximum(ending_counts[cuts.ending] - share, 0)
        scores = np.log(others_stem + new_stem) + np.log(others_ending + new_ending)
        share = cuts.normalise(power * scores)
    stem_counts, ending_counts = cuts.count(share)
    return MorphModel(
        dict(zip(cuts.stems, stem_counts.tolist(), strict=True)),
        dict(zip(cuts.endings, ending_counts.tolist(), strict=True)),
        spelling,
        model.stem_stop,
    )


@dataclass(frozen=True)
class MorphModel:
    """How many words have each stem and each ending; cuts any word, also one never seen."""

    stems: dict[str, float]
    endings: dict[str, float]
    spelling: dict[str, float]
    stem_stop: float

    def segment(self, word: str) -> list[str]:
        """собаками -> ["собак", "ами"]: the most probable cut into stem and ending, if it has one.

        Joining the result gives the word back. Ties: the longer stem.
        """
        if not word:
            return []
        cut = max(range(len(word), 0, -1), key=lambda cut: self.score(word[:cut], word[cut:]))
        return [part for part in (word[:cut], word[cut:]) if part]

    def score(self, stem: str, ending: str) -> float:
        """log (count(stem) + new) + log (count(ending) + new): comparable within one word."""
        return math.log(self.stems.get(stem, 0.0) + self.new_stem(stem)) + math.log(
            self.endings.get(ending, 0.0) + self.new_ending(ending)
        )

    def new_stem(self, stem: str) -> float:
        """Pseudo-count of a stem that is spelled for the first time."""
        return NEW_STEM * self._spelled(stem, self.stem_stop)

    def new_ending(self, ending: str) -> float:
        """Pseudo-count of an ending that is spelled for the first time."""
        return NEW_ENDING * self._spelled(ending, ENDING_STOP)

    def _spelled(self, letters: str, stop: float) -> float:
        unseen = min(self.spelling.values(), default=1.0)
        probability = stop * math.prod(self.spelling.get(letter, unseen) for letter in letters)
        return max(probability, 1e-300)  # of a very long string: never log 0


@dataclass(frozen=True)
class _AllCuts:
    """Every cut of every word, a row each: its stem and its ending; rows of a word are adjacent."""

    stems: list[str]
    endings: list[str]
    stem: np.ndarray
    ending: np.ndarray
    first_row: np.ndarray
    num_rows: np.ndarray

    @classmethod
    def of(cls, words: Sequence[str]) -> _AllCuts:
        stem_ids: dict[str, int] = {}
        ending_ids: dict[str, int] = {}
        rows = [
            (
                stem_ids.setdefault(word[:cut], len(stem_ids)),
                ending_ids.setdefault(word[cut:], len(ending_ids)),
            )
            for word in words
            for cut in range(1, len(word) + 1)
        ]
        stem, ending = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        num_rows = np.array([len(word) for word in words], dtype=np.int64)
        return cls(
            list(stem_ids), list(ending_ids), stem, ending, np.cumsum(num_rows) - num_rows, num_rows
        )

    def count(self, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected number of words with each stem, and with each ending."""
        stems = np.bincount(self.stem, share, len(self.stems))
        return stems, np.bincount(self.ending, share, len(self.endings))

    def normalise(self, scores: np.ndarray) -> np.ndarray:
        """Softmax over the cuts of each word."""
        if not len(scores):
            return scores
        largest = np.maximum.reduceat(scores, self.first_row)
        weights = np.exp(scores - np.repeat(largest, self.num_rows))
        return weights / np.repeat(np.add.reduceat(weights, self.first_row), self.num_rows)


def cut_at_morphs(text: str, segment: Callable[[str], list[str]]) -> list[str]:
    """« домами.» -> [" дом", "ами", "."]: `segment` cuts each run of letters; all else is kept.

    What stands before a run of letters (a space) stays with its first morph. Joining the result
    gives the text back. Words are looked up in lower case, as they were learned.
    """
    parts: list[str] = []
    for before, word in re.findall(r"(\W*)([^\W\d_]+|[\d_]+|$)", text):
        lengths = [len(morph) for morph in segment(word.lower())] if word.isalpha() else []
        if sum(lengths) != len(word):  # digits; or "İ", whose lower case is two characters
            lengths = [len(word)]
        ends = [0, *itertools.accumulate(lengths)]
        morphs = [word[start:end] for start, end in itertools.pairwise(ends)] or [""]
        parts += [before + morphs[0], *morphs[1:]]
    return [part for part in parts if part]


@dataclass(frozen=True)
class MorphCut:
    """A pre-tokenizer that cuts words at their morphs: put it after one that cuts text into words.

    It needs `segment`, so a tokenizer with it cannot be written as a tokenizer.json.
    """

    segment: Callable[[str], list[str]]

    def steps(self, at_start: bool) -> list[MorphCut]:
        """One cut."""
        return [self]

    def __call__(self, text: str) -> list[str]:
        return cut_at_morphs(text, self.segment)

    def spans(self, text: str) -> list[Span]:
        """Where the parts of `__call__` stand."""
        return list(itertools.pairwise(itertools.accumulate(map(len, self(text)), initial=0)))


def presegment(
    word_counts: Mapping[str, int], segment: Callable[[str], list[str]]
) -> dict[str, int]:
    """Counts of morphs from counts of words: trained on these, no token crosses a boundary."""
    counts: Counter[str] = Counter()
    for word, count in word_counts.items():
        for part in cut_at_morphs(word, segment):
            counts[part] += count
    return dict(counts)


def boundary_agreement(
    found: Mapping[str, Sequence[str]], known: Mapping[str, Sequence[str]]
) -> tuple[float, float]:
    """Precision and recall of inner boundaries: `found[word]` and `known[word]` are its parts.

    Only words of `known` count; with no boundary found (or known) precision (or recall) is 1.
    """
    true = num_found = num_known = 0
    for word, parts in known.items():
        ours, theirs = _boundaries(found[word]), _boundaries(parts)
        true += len(ours & theirs)
        num_found += len(ours)
        num_known += len(theirs)
    return (true / num_found if num_found else 1.0), (true / num_known if num_known else 1.0)


def _boundaries(parts: Sequence[str]) -> set[int]:
    return set(itertools.accumulate(map(len, parts[:-1])))
