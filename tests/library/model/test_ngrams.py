"""n-grams: counts by hand, Kneser-Ney in exact fractions from its definition, the model."""

import itertools
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch

from course_lib.model.ngrams import (
    NGramModel,
    continuation_counts,
    count_ngrams,
    kneser_ney_probability,
    ngram_probability,
)


def random_tokens(seed, length, vocab_size):
    rng = random.Random(seed)
    return [min(rng.randrange(vocab_size), rng.randrange(vocab_size)) for _ in range(length)]


def kneser_ney_by_definition(token, context, tokens, vocab_size, discount, *, is_longest=True):
    """The paper's sums, read off the list of n-grams of the text itself, in exact fractions."""
    size = len(context) + 1
    if is_longest:
        ngrams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    else:  # every different longer n-gram counts once, without its first token
        longer = {tuple(tokens[i : i + size + 1]) for i in range(len(tokens) - size)}
        ngrams = [ngram[1:] for ngram in longer]
    if context:
        shorter = kneser_ney_by_definition(
            token, context[1:], tokens, vocab_size, discount, is_longest=False
        )
    else:
        shorter = Fraction(1, vocab_size)
    counts = Counter(ngram[-1] for ngram in ngrams if ngram[:-1] == tuple(context))
    if not counts:
        return shorter
    kept = max(Fraction(counts[token]) - discount, Fraction(0))
    return (kept + discount * len(counts) * shorter) / counts.total()


def test_counts_worked_by_hand():
    assert count_ngrams([5, 6, 5], 2) == {(): {5: 2, 6: 1}, (5,): {6: 1}, (6,): {5: 1}}
    assert count_ngrams([5], 3) == {(): {5: 1}}
    assert count_ngrams([], 3) == {}


def test_a_token_with_one_left_neighbour_counts_once():
    """9 is the most frequent token and always follows 1: as a continuation it is worth one."""
    counts = continuation_counts(count_ngrams([1, 9, 1, 9, 1, 9, 2, 3, 1, 3], 2))
    assert counts[()] == {9: 1, 1: 2, 2: 1, 3: 2}
    assert counts[(1,)] == {9: 3, 3: 1}


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_what_its_definition_says(order):
    tokens, discount = random_tokens(order, 60, 5), Fraction(3, 4)
    counts = continuation_counts(count_ngrams(tokens, order))
    for context in itertools.islice(itertools.product(range(6), repeat=order - 1), 120):
        for token in range(6):
            theirs = kneser_ney_by_definition(token, context, tokens, 6, discount)
            mine = kneser_ney_probability(token, context, counts, vocab_size=6)
            assert mine == pytest.approx(float(theirs)), (context, token)


def test_the_model_gives_what_the_function_gives_and_sums_to_one():
    tokens = random_tokens(7, 200, 11)
    model = NGramModel.fit(tokens, order=3, vocab_size=13, discount=0.6)
    batch = torch.tensor([[3, 12, 0, 1], [1, 1, 2, 7]])
    log_probs = model(batch)
    assert log_probs.shape == (2, 4, 13)
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(2, 4))
    for row, end, token in itertools.product(range(2), range(1, 5), range(13)):
        context = batch[row, max(0, end - 2) : end].tolist()
        by_hand = kneser_ney_probability(token, context, model.counts, vocab_size=13, discount=0.6)
        assert log_probs[row, end - 1, token].exp().item() == pytest.approx(by_hand, rel=1e-5)


def test_only_the_last_tokens_of_a_context_matter():
    model = NGramModel.fit(random_tokens(1, 300, 7), order=3, vocab_size=7)
    np.testing.assert_array_equal(model.distribution([6, 5, 0, 1]), model.distribution([0, 1]))
    single = NGramModel.fit(random_tokens(1, 300, 7), order=1, vocab_size=7)
    np.testing.assert_array_equal(single.distribution([0, 1]), single.distribution([]))


def test_the_history_of_calls_changes_nothing():
    tokens = random_tokens(2, 300, 7)
    fresh, used = (NGramModel.fit(tokens, order=4, vocab_size=7) for _ in range(2))
    for context in itertools.product(range(7), repeat=2):
        used.distribution(context)
    np.testing.assert_array_equal(fresh.distribution([1, 2, 0]), used.distribution([1, 2, 0]))


def test_a_model_of_nothing_knows_nothing():
    model = NGramModel.fit([], order=3, vocab_size=4)
    assert model.distribution([2, 1]).tolist() == [0.25] * 4
    assert ngram_probability(0, (1,), {}, vocab_size=4, k=0.0) == 0.25


def test_wrong_settings_are_answered_with_the_rule():
    with pytest.raises(ValueError, match="order=0 must be at least 1"):
        count_ngrams([1, 2], 0)
    with pytest.raises(ValueError, match="must be below vocab_size=3"):
        NGramModel.fit([0, 3], order=2, vocab_size=3)
    with pytest.raises(ValueError, match=r"discount=1\.5 must be above 0"):
        NGramModel.fit([0, 1], order=2, vocab_size=3, discount=1.5)
