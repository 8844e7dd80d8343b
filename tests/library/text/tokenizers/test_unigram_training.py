"""The unigram trainer: its lattice against the plain E-step, its result against sentencepiece."""

import io
import itertools
import math
import random
from collections import Counter
from pydoc_data.topics import topics  # half a megabyte of English in every Python

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers.unigram import unigram_expectations
from course_lib.text.tokenizers.unigram_training import (
    Lattice,
    frequent_substrings,
    maximise,
    most_useful,
    train_unigram,
)

word_counts = st.dictionaries(
    st.text("abcя", min_size=1, max_size=9), st.integers(1, 9), max_size=8
)


@given(word_counts, st.lists(st.text("abcя", min_size=2, max_size=5), unique=True), st.randoms())
def test_the_lattice_of_all_words_gives_the_plain_expectations(counts, longer, generator):
    pieces = [*"abcя", *longer]
    log_probs = np.array([generator.uniform(-20, -0.1) for _ in pieces])
    lattice = Lattice.of(list(counts), pieces)
    expected, log_likelihood = lattice.expectations(np.array(list(counts.values())), log_probs)
    plain, plain_log_likelihood = unigram_expectations(
        counts, dict(zip(pieces, log_probs.tolist(), strict=True))
    )
    np.testing.assert_allclose(expected, list(plain.values()), rtol=1e-9, atol=1e-9)
    assert log_likelihood == pytest.approx(plain_log_likelihood, rel=1e-9, abs=1e-9)


def test_a_restricted_lattice_is_the_lattice_of_fewer_pieces():
    words, pieces = ["abcab", "bca"], ["a", "ab", "b", "bc", "c", "ca"]
    keep = np.array([0, 1, 2, 4])
    log_probs = np.array([-1.0, -2.5, -0.7, -3.0])
    theirs = Lattice.of(words, [pieces[i] for i in keep]).expectations(np.ones(2), log_probs)
    ours = Lattice.of(words, pieces).restricted(keep).expectations(np.ones(2), log_probs)
    np.testing.assert_allclose(ours[0], theirs[0])
    assert ours[1] == pytest.approx(theirs[1])


@given(word_counts, st.integers(2, 5))
def test_frequent_substrings_are_all_that_occur_twice(counts, max_length):
    found = Counter()
    for word, count in counts.items():
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + max_length) + 1):
                found[word[start:end]] += count
    brute_force = {s: n for s, n in found.items() if n > 1 or len(s) == 1}
    assert frequent_substrings(counts, 10_000, max_length=max_length) == brute_force


def test_candidates_beyond_the_limit_are_those_with_the_smallest_count_times_length():
    counts = {"abab": 3, "cd": 4}
    assert frequent_substrings(counts, 6, max_length=4) == (
        {"a": 6, "b": 6, "c": 4, "d": 4, "abab": 3, "ab": 6}
    )


def test_em_never_lowers_the_likelihood():
    counts = english_words(3_000)
    pieces = list(frequent_substrings(counts, 500, max_length=8))
    lattice = Lattice.of(list(counts), pieces)
    numbers = np.array(list(counts.values()), dtype=float)
    log_probs = np.full(len(pieces), -math.log(len(pieces)))
    likelihoods = []
    for _ in range(8):
        expected, log_likelihood = lattice.expectations(numbers, log_probs)
        likelihoods.append(log_likelihood)
        log_probs = maximise(expected)
    # the floor of maximise may cost a little; EM itself only climbs
    assert all(b >= a - 1e-6 * abs(a) for a, b in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0]


def test_the_piece_that_others_spell_as_well_goes_first():
    pieces = ["a", "b", "c", "ab", "bc"]
    log_probs = np.log([0.3, 0.3, 0.1, 0.09, 0.21])  # ab is worth a + b; bc far more than b + c
    keep = most_useful(pieces, np.array([9.0, 9.0, 2.0, 5.0, 5.0]), log_probs, 4)
    assert [pieces[i] for i in keep] == ["a", "b", "c", "bc"]


@pytest.mark.parametrize("vocab_size", [40, 60, 131])
def test_training_gives_the_size_asked_for_and_spells_every_word(vocab_size):
    counts = english_words(4_000)
    log_probs = train_unigram(counts, vocab_size)
    assert len(log_probs) == vocab_size
    assert {char for word in counts for char in word} <= set(log_probs)
    assert sum(map(math.exp, log_probs.values())) == pytest.approx(1)
    assert list(log_probs.values()) == sorted(log_probs.values(), reverse=True)
    unigram_expectations(counts, log_probs)


def test_training_is_the_same_every_time_whatever_the_order_of_the_words():
    counts = english_words(3_000)
    shuffled = list(counts.items())
    random.Random(3).shuffle(shuffled)
    assert list(train_unigram(counts, 70)) == list(train_unigram(dict(shuffled), 70))


def test_a_vocabulary_too_small_for_the_characters_is_refused():
    with pytest.raises(ValueError, match=r"vocab_size = 2 .* 3 different characters"):
        train_unigram({"abc": 5}, 2)


def test_few_words_give_fewer_pieces_than_asked():
    assert set(train_unigram({"ab": 1}, 100)) == {"a", "b"}
    assert set(train_unigram({"ab": 2}, 100)) == {"a", "b", "ab"}
    assert train_unigram({}, 100) == {}
    assert train_unigram({"": 3, "x": 0}, 100) == {}


def test_a_word_of_thousands_of_letters_is_no_trouble():
    log_probs = train_unigram({"ab" * 2_000: 1, "c": 1}, 12)
    assert all(map(math.isfinite, log_probs.values()))


def english_words(num_words):
    """Zipf-distributed words made of syllables: real structure for a unigram model to find."""
    generator = random.Random(7)
    syllables = [a + b for a in "bcdfglmnprst" for b in ("a", "e", "in", "or", "us")]
    lexicon = ["".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(900)]
    weights = [1 / rank for rank in range(1, 901)]
    return Counter("▁" + word for word in generator.choices(lexicon, weights, k=num_words))


@pytest.mark.slow
@pytest.mark.budget(60)
@pytest.mark.parametrize("vocab_size", [500, 3000])
def test_the_likelihood_is_not_below_that_of_sentencepiece(vocab_size):
    """The same words, as many pieces; also after EM has tuned sentencepiece's probabilities."""
    lines = [line for text in topics.values() for line in text.splitlines() if line.strip()]
    counts = Counter("▁" + word for line in lines for word in line.split())
    theirs = sentencepiece_log_probs(lines, vocab_size)
    ours = train_unigram(counts, vocab_size)
    assert len(ours) == len(theirs) == vocab_size
    numbers = np.array(list(counts.values()), dtype=float)

    def log_likelihood(log_probs, em_steps=0):
        lattice, scores = Lattice.of(list(counts), list(log_probs)), list(log_probs.values())
        scores = np.array(scores) - np.logaddexp.reduce(scores)
        for _ in range(em_steps):
            scores = maximise(lattice.expectations(numbers, scores)[0])
        return float(numbers @ lattice.log_likelihoods(scores))

    assert log_likelihood(ours) >= log_likelihood(theirs)
    assert log_likelihood(ours) >= log_likelihood(theirs, em_steps=5)


def sentencepiece_log_probs(lines, vocab_size):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=vocab_size + 3,  # <unk>, <s>, </s>
        character_coverage=1.0,
        normalization_rule_name="identity",
        split_by_unicode_script=False,
        split_by_number=False,
        max_sentence_length=100_000,
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    return {model.id_to_piece(i): model.get_score(i) for i in range(3, model.vocab_size())}
