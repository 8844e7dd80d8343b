"""Attention against loops over the definition, PyTorch's own in fp64, and finite differences."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.model.attention import (
    attention,
    causal_mask,
    masked_softmax,
    scaled_dot_product_attention,
    window_mask,
)


def make_inputs(seed=0, batch=2, heads=6, kv_heads=3, queries=5, keys=7, dim=4, value_dim=3):
    """Query, key and value in fp64, every size different; the query is a strided view."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    query = normal(batch, queries, heads, dim).transpose(1, 2)
    return query, normal(batch, kv_heads, keys, dim), normal(batch, kv_heads, keys, value_dim)


def visible_by_definition(batch, queries, keys, is_causal, window, lengths, documents):
    """The contract in words, one pair at a time."""
    visible = torch.zeros(batch, 1, queries, keys, dtype=torch.bool)
    for b, i, k in itertools.product(range(batch), range(queries), range(keys)):
        position = i + keys - queries
        sees = True
        if is_causal:
            sees &= k <= position
        if window is not None:
            sees &= 0 <= position - k < window if is_causal else abs(position - k) < window
        if lengths is not None:
            sees &= k < int(lengths[b])
        if documents is not None:
            sees &= position >= 0 and bool(documents[b, position] == documents[b, k])
        visible[b, 0, i, k] = sees
    return visible


def pytorch_attention(query, key, value, visible, bias=None, scale=None):
    """PyTorch's attention with an explicit mask; rows that see nothing are set to zero."""
    groups = query.shape[1] // key.shape[1]
    added = torch.zeros_like(visible, dtype=query.dtype) if bias is None else bias
    added = added.masked_fill(~visible, -math.inf)
    output = F.scaled_dot_product_attention(
        query,
        key.repeat_interleave(groups, dim=1),
        value.repeat_interleave(groups, dim=1),
        attn_mask=added,
        scale=scale,
    )
    return output.masked_fill(~visible.any(dim=-1, keepdim=True), 0.0)


def test_causal_mask_by_hand():
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]
    assert causal_mask(3, 2).tolist() == [[False, False], [True, False], [True, True]]
    assert causal_mask(0, 2).shape == (0, 2)


def test_window_mask_by_hand():
    assert window_mask(2, 4, 2).tolist() == [
        [False, True, True, True],
        [False, False, True, True],
    ]


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_scaled_dot_product_attention_equals_pytorchs(leading):
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(*leading, 5, 4, generator=generator, dtype=torch.float64)
    key = torch.randn(*leading, 7, 4, generator=generator, dtype=torch.float64)
    value = torch.randn(*leading, 7, 3, generator=generator, dtype=torch.float64)
    mask = torch.rand(5, 7, generator=generator) < 0.7
    mask[:, 0] = True
    ours = scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(query, key, value, mask))
    ours = scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(query, key, value))


FLAGS = list(
    itertools.product(
        (False, True), (None, 1, 3), (None, (7, 2)), (None, ((0, 0, 1, 1, 1, 0, 2),) * 2)
    )
)


@pytest.mark.parametrize("queries", [5, 7, 9])
@pytest.mark.parametrize(("is_causal", "window", "lengths", "documents"), FLAGS)
def test_flags_mean_what_the_contract_says(queries, is_causal, window, lengths, documents):
    query, key, value = make_inputs(queries=queries)
    flags = {
        "is_causal": is_causal,
        "window": window,
        "lengths": None if lengths is None else torch.tensor(lengths),
        "documents": None if documents is None else torch.tensor(documents),
    }
    visible = visible_by_definition(2, queries, 7, **flags)
    expected = pytorch_attention(query, key, value, visible)
    torch.testing.assert_close(attention(query, key, value, **flags), expected)


def test_mask_bias_and_scale_combine():
    query, key, value = make_inputs()
    generator = torch.Generator().manual_seed(2)
    mask = torch.rand(2, 6, 5, 7, generator=generator) < 0.6
    bias = torch.randn(6, 5, 7, generator=generator, dtype=torch.float64)
    bias[0, 1, 2] = -math.inf
    ours = attention(query, key, value, mask=mask, bias=bias, is_causal=True, scale=0.3)
    visible = mask & visible_by_definition(2, 5, 7, True, None, None, None)
    expected = pytorch_attention(query, key, value, visible, bias.expand(2, 6, 5, 7), scale=0.3)
    torch.testing.assert_close(ours, expected)


def test_rows_that_see_nothing_give_zeros_and_zero_gradients():
    inputs = [each.requires_grad_() for each in make_inputs()]
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    bias = torch.zeros(5, 7, dtype=torch.float64)
    bias[3] = -math.inf
    output = attention(*inputs, mask=mask, bias=bias)
    assert (output[:, :, 2:4] == 0).all()
    output[:, :, 2:4].sum().backward()
    assert all((each.grad == 0).all() for each in inputs)


def test_no_keys_give_zeros():
    query, key, value = make_inputs(keys=0)
    output = attention(query, key, value, is_causal=True)
    assert output.shape == (2, 6, 5, 3)
    assert (output == 0).all()


def test_masked_keys_have_no_influence():
    query, key, value = make_inputs()
    lengths = torch.tensor([4, 7])
    before = attention(query, key, value, lengths=lengths)
    key[0, :, 4:], value[0, :, 4:] = 1e6, 1e6
    assert torch.equal(attention(query, key, value, lengths=lengths), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_logits_times_100_stay_finite_and_right(dtype):
    query, key, value = (each.to(dtype) for each in make_inputs())
    ours = attention(100 * query, key, value, is_causal=True)
    assert ours.dtype is dtype
    visible = visible_by_definition(2, 5, 7, True, None, None, None)
    expected = pytorch_attention((100 * query).double(), key.double(), value.double(), visible)
    # A rounded logit of about 400 is off by 400 eps, and so is its weight.
    torch.testing.assert_close(ours.double(), expected, rtol=0, atol=400 * torch.finfo(dtype).eps)


def test_gradients_agree_with_finite_differences():
    inputs = [each.detach().requires_grad_() for each in make_inputs(batch=1, heads=2, kv_heads=1)]
    bias = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    bias.requires_grad_()

    def attend(query, key, value, bias):
        return attention(query, key, value, bias=bias, is_causal=True, window=3)

    assert torch.autograd.gradcheck(attend, (*inputs, bias))


def test_a_hidden_score_does_not_change_masked_softmax():
    scores = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, -math.inf]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    expected = torch.tensor([[1.0, 2.0], [4.0, 5.0]]).softmax(dim=-1)
    weights = masked_softmax(scores, mask)
    torch.testing.assert_close(weights[:, :2], expected)
    assert (weights[:, 2] == 0).all()


def test_bad_input_is_refused_by_name():
    query, key, value = make_inputs()
    with pytest.raises(ValueError, match="num_heads=5"):
        attention(query[:, :5], key, value)
    with pytest.raises(ValueError, match="window=0"):
        attention(query, key, value, window=0)
