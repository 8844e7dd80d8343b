"""Educational value: features by hand, and a classifier that learns from labelled pages."""

from collections import Counter

import numpy
import pytest

from course_lib.text.duplicates import stable_hash
from course_lib.text.quality import (
    educational_value,
    fit_educational_value,
    hashed_features,
    word_features,
)


def test_words_signs_and_pairs_are_features_and_numbers_are_one_word():
    expected = Counter({"0": 2, "+": 1, "fox": 1, "0 +": 1, "+ 0": 1, "0 fox": 1})
    assert word_features("12 + 7 Fox") == expected


def test_features_have_norm_one_and_shared_buckets_are_added():
    vector = hashed_features("the owl saw the owl", num_buckets=1)
    assert vector.tolist() == [1.0]
    vector = hashed_features("owl owl owl fox", num_buckets=997)
    assert numpy.linalg.norm(vector) == pytest.approx(1)
    owl, fox = (vector[stable_hash(word) % 997] for word in ("owl", "fox"))
    assert owl == pytest.approx(3 * fox)
    assert not hashed_features("", num_buckets=3).any()


def test_a_learned_classifier_ranks_new_pages():
    good = [f"{a} + {b} = {a + b}, so the sum is {a + b}." for a in range(8) for b in range(8)]
    bad = [f"Who knows what {a} plus {b} is? Help me!" for a in range(8) for b in range(8)]
    labels = [True] * 32 + [False] * 32
    classifier = fit_educational_value(good[::2] + bad[::2], labels, num_buckets=256)
    scores = [classifier(page) for page in good[1::2] + bad[1::2]]
    assert min(scores[:32]) > 0.9 > 0.1 > max(scores[32:])
    by_hand = educational_value(good[1], classifier.weights, bias=classifier.bias)
    assert scores[0] == by_hand


def test_labels_of_one_kind_teach_nothing():
    with pytest.raises(ValueError, match="all 2 labels are the same"):
        fit_educational_value(["a", "b"], [True, True])
