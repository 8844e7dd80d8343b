"""Filters against brute force and transformers' warpers; draws against their probabilities."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper

from course_lib.inference.sampling import (
    next_token_probabilities,
    sample,
    top_k_filter,
    top_p_filter,
)

LOGITS = st.lists(
    st.one_of(st.integers(-4, 4).map(float), st.floats(-90, 90)), min_size=1, max_size=9
)


def kept(filtered):
    return {index for index, value in enumerate(filtered.tolist()) if value != -math.inf}


@given(LOGITS, st.integers(1, 12))
def test_top_k_keeps_what_fewer_than_k_exceed(values, k):
    logits = torch.tensor(values)
    expected = {i for i, x in enumerate(logits) if sum(y > x for y in logits) < k}
    filtered = top_k_filter(logits, k)
    assert kept(filtered) == expected
    assert all(filtered[i] == logits[i] for i in expected)


@given(LOGITS, st.floats(0, 1))
def test_top_p_keeps_the_shortest_beginning_that_reaches_p(values, p):
    """Most probable first, of equals the smaller id; the one that crosses p is in."""
    logits = torch.tensor(values)
    probabilities = logits.double().softmax(dim=-1).tolist()
    order = sorted(range(len(values)), key=lambda i: (-float(logits[i]), i))
    total, expected, doubtful = 0.0, set(), False
    for index in order:
        doubtful |= 0 < abs(total - p) < 1e-5 or (total == p and p > 0)
        if total >= p and expected and p < 1:
            break
        expected.add(index)
        total += probabilities[index]
    if not doubtful:  # rounding decides
        assert kept(top_p_filter(logits, p)) == expected


def random_logits(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(5, 37, generator=generator) * 4).to(dtype)


@pytest.mark.parametrize("k", [1, 2, 9, 36, 37, 99])
def test_top_k_is_transformers(k):
    logits = random_logits(k).round()  # many ties
    assert torch.equal(top_k_filter(logits, k), TopKLogitsWarper(k)(None, logits))


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.1, 0.5, 0.9, 0.999])
def test_top_p_is_transformers(p):
    logits = random_logits(3)
    assert torch.equal(top_p_filter(logits, p), TopPLogitsWarper(p)(None, logits))


@pytest.mark.parametrize("shape", [(7,), (2, 7), (2, 3, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_filters_keep_shape_and_dtype_and_change_no_input(shape, dtype):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    before = logits.clone()
    for filtered in (top_k_filter(logits, 3), top_p_filter(logits, 0.7)):
        assert filtered.shape == logits.shape
        assert filtered.dtype == dtype
        assert (filtered == -math.inf).any()
    assert torch.equal(logits, before)


def test_rows_are_filtered_each_by_itself():
    logits = random_logits(4)
    for filtered in (lambda x: top_k_filter(x, 3), lambda x: top_p_filter(x, 0.6)):
        rows = torch.stack([filtered(row) for row in logits])
        assert torch.equal(filtered(logits), rows)
        strided = logits.T.contiguous().T
        assert torch.equal(filtered(strided), rows)


def test_ties_worked_by_hand():
    logits = torch.tensor([0.0, 2.0, 1.0, 2.0, 1.0]).log()  # 0, 1/3, 1/6, 1/3, 1/6
    assert kept(top_k_filter(logits, 1)) == {1, 3}
    assert kept(top_k_filter(logits, 3)) == {1, 2, 3, 4}
    assert kept(top_p_filter(logits, 0.0)) == {1}
    assert kept(top_p_filter(logits, 0.3)) == {1}
    assert kept(top_p_filter(logits, 0.5)) == {1, 3}
    assert kept(top_p_filter(logits, 0.7)) == {1, 2, 3}
    assert kept(top_p_filter(logits, 1.0)) == {1, 2, 3, 4}


def test_top_p_one_keeps_the_longest_tail():
    logits = torch.linspace(0, -80, 500)
    assert len(kept(top_p_filter(logits, 1.0))) == 500


def test_probabilities_are_temperature_then_k_then_p():
    logits = random_logits(5)
    warped = TopPLogitsWarper(0.8)(None, TopKLogitsWarper(12)(None, logits / 0.7))
    ours = next_token_probabilities(logits, temperature=0.7, top_k=12, top_p=0.8)
    torch.testing.assert_close(ours, warped.softmax(dim=-1))


@pytest.mark.parametrize("temperature", [1e-30, 1e-6, 0.0])
def test_a_cold_temperature_is_greedy_even_for_large_logits(temperature):
    logits = random_logits(6) * 1000
    probabilities = next_token_probabilities(logits, temperature=temperature)
    assert torch.equal(probabilities.argmax(-1), logits.argmax(-1))
    assert torch.equal(probabilities.amax(-1), torch.ones(5))


def test_a_hot_temperature_is_uniform():
    probabilities = next_token_probabilities(random_logits(7), temperature=1e6)
    torch.testing.assert_close(probabilities, torch.full((5, 37), 1 / 37), rtol=1e-4, atol=0)


def test_of_tied_tokens_greedy_takes_the_first():
    assert sample(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), temperature=0).tolist() == [
        1,
        0,
    ]


def test_greedy_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    sample(random_logits(8), temperature=0, generator=generator)
    assert torch.equal(generator.get_state(), before)


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5])
    expected = next_token_probabilities(logits, temperature=1.5, top_k=4)
    draws = sample(
        logits.expand(20_000, 5),
        temperature=1.5,
        top_k=4,
        generator=torch.Generator().manual_seed(9),
    )
    counts = torch.bincount(draws, minlength=5).double()
    deviations = (20_000 * expected * (1 - expected)).sqrt()
    assert (counts - 20_000 * expected).abs().le(5 * deviations).all()
    assert counts[3] == 0


def test_draws_repeat_with_the_generator_and_have_the_logits_shape():
    logits = torch.randn(2, 3, 11, generator=torch.Generator().manual_seed(0))
    one, two = (sample(logits, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -0.1}, "temperature = -0.1"),
        ({"temperature": math.nan}, "temperature = nan"),
        ({"temperature": math.inf}, "temperature = inf"),
        ({"top_k": 0}, "top_k = 0"),
        ({"top_p": 1.1}, "top_p = 1.1"),
        ({"top_p": -0.1}, "top_p = -0.1"),
        ({"top_p": math.nan}, "top_p = nan"),
    ],
)
def test_settings_out_of_range_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        sample(torch.zeros(1, 3), **options)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("row", [[math.nan, 1.0], [-math.inf, -math.inf], [math.inf, 0.0]])
def test_logits_that_allow_no_choice_are_one_sentence(row, temperature):
    with pytest.raises(ValueError, match="nothing can be chosen"):
        sample(torch.tensor([[0.0, 1.0], row]), temperature=temperature)
