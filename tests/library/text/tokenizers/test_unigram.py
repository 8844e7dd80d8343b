"""The unigram model against brute force over all segmentations."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers.unigram import unigram_expectations, viterbi_segment


def every_segmentation(text):
    for number_of_cuts in range(len(text)):
        for cuts in itertools.combinations(range(1, len(text)), number_of_cuts):
            yield [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]


def possible_segmentations(text, log_probs):
    for pieces in every_segmentation(text):
        if all(piece in log_probs for piece in pieces):
            yield pieces, sum(log_probs[piece] for piece in pieces)


words = st.text("abя", min_size=1, max_size=7)
models = st.dictionaries(st.text("abя", min_size=1, max_size=4), st.floats(-30, -0.01), max_size=12)


@given(words, models)
def test_viterbi_is_the_best_of_all_segmentations(text, log_probs):
    scores = [score for _, score in possible_segmentations(text, log_probs)]
    if not scores:
        with pytest.raises(ValueError, match="cannot be spelled"):
            viterbi_segment(text, log_probs)
        return
    pieces = viterbi_segment(text, log_probs)
    assert "".join(pieces) == text
    assert sum(log_probs[piece] for piece in pieces) == pytest.approx(max(scores), abs=1e-9)


def test_viterbi_is_not_greedy():
    log_probs = {"abc": -1.0, "ab": -1.0, "cd": -1.0, "d": -9.0}
    assert viterbi_segment("abcd", log_probs) == ["ab", "cd"]


def test_of_equally_probable_splits_the_one_with_the_longest_last_piece_wins():
    log_probs = {"a": -1.0, "aa": -2.0, "aaa": -3.0}
    assert viterbi_segment("aaaa", log_probs) == ["a", "aaa"]
    assert viterbi_segment("ab", {"a": -1.0, "b": -1.0, "ab": -2.0}) == ["ab"]


def test_viterbi_reads_a_text_whose_probability_is_below_the_smallest_float():
    text = "ab" * 5_000
    assert viterbi_segment(text, {"a": -1.0, "b": -1.0, "ba": -1.5}) == (
        ["a", *["ba"] * 4_999, "b"]
    )


def test_the_empty_text_has_the_empty_segmentation():
    assert viterbi_segment("", {"a": -1.0}) == []
    assert viterbi_segment("", {}) == []


def test_a_text_that_cannot_be_spelled_is_refused_with_the_missing_characters():
    with pytest.raises(ValueError, match=r"'aé'.*'é'"):
        viterbi_segment("aé", {"a": -1.0})
    with pytest.raises(ValueError, match="cannot be spelled"):
        viterbi_segment("aa", {"a": -math.inf})


@given(st.dictionaries(words, st.integers(1, 9), max_size=4), models)
def test_expectations_equal_the_posterior_weighted_counts_of_all_segmentations(counts, log_probs):
    expected = dict.fromkeys(log_probs, 0.0)
    log_likelihood = 0.0
    for word, count in counts.items():
        weighted = [(p, math.exp(score)) for p, score in possible_segmentations(word, log_probs)]
        total = sum(weight for _, weight in weighted)
        if not weighted:
            with pytest.raises(ValueError, match="cannot be spelled"):
                unigram_expectations(counts, log_probs)
            return
        log_likelihood += count * math.log(total)
        for pieces, weight in weighted:
            for piece in pieces:
                expected[piece] += count * weight / total
    ours, our_log_likelihood = unigram_expectations(counts, log_probs)
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert our_log_likelihood == pytest.approx(log_likelihood, rel=1e-9, abs=1e-9)


def test_expectations_by_hand():
    """ "ab" is "ab" (0.2) or "a" + "b" (0.5 * 0.3 = 0.15), seen seven times."""
    log_probs = {"a": math.log(0.5), "b": math.log(0.3), "ab": math.log(0.2)}
    expected, log_likelihood = unigram_expectations({"ab": 7}, log_probs)
    assert expected == pytest.approx({"a": 3.0, "b": 3.0, "ab": 4.0})
    assert log_likelihood == pytest.approx(7 * math.log(0.35))


def test_expected_counts_spell_every_character_exactly_once_even_in_a_very_long_word():
    log_probs = {"a": -9.0, "b": -11.0, "ab": -20.5, "bab": -30.0}
    expected, log_likelihood = unigram_expectations({"ab" * 1_000: 2}, log_probs)
    letters = sum(len(piece) * count for piece, count in expected.items())
    assert letters == pytest.approx(4_000)
    assert -math.inf < log_likelihood < -20_000
