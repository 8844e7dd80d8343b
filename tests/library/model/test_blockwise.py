"""Blockwise attention beyond what the checks of chapter 15 cover."""

import math

import pytest
import torch

from course_lib.model.blockwise import (
    blockwise_attention,
    blockwise_backward,
    finish_softmax,
    merge_softmax,
    partial_softmax,
)
from course_lib.model.fast_memory import FastMemory


def by_definition(scores: torch.Tensor, values: torch.Tensor):
    """(m, l, o) of one block."""
    m = scores.amax(dim=-1)
    weights = (scores - m[..., None]).exp()
    return m, weights.sum(dim=-1), weights @ values


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_two_halves_give_the_softmax_of_the_whole(scale):
    generator = torch.Generator().manual_seed(0)
    scores = scale * torch.randn(2, 3, 12, generator=generator, dtype=torch.float64)
    values = torch.randn(2, 12, 5, generator=generator, dtype=torch.float64)
    halves = [
        by_definition(scores[..., part], values[:, part]) for part in (slice(5), slice(5, None))
    ]
    _, total, output = merge_softmax(*halves[0], *halves[1])
    torch.testing.assert_close(output / total[..., None], scores.softmax(dim=-1) @ values)


def test_an_empty_block_changes_nothing_and_two_give_an_empty_one():
    block = by_definition(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    empty = torch.tensor([-math.inf]), torch.zeros(1), torch.zeros(1, 1)
    for merged in (merge_softmax(*block, *empty), merge_softmax(*empty, *block)):
        torch.testing.assert_close(merged, block, rtol=0, atol=0)
    torch.testing.assert_close(merge_softmax(*empty, *empty), empty)


def test_a_row_that_saw_nothing_finishes_with_zeros_and_inf():
    partial = partial_softmax(torch.full((2, 3), -math.inf), torch.ones(3, 4))
    output, log_sum_exp = finish_softmax(*partial)
    assert torch.equal(output, torch.zeros(2, 4))
    assert log_sum_exp.tolist() == [math.inf, math.inf]


def masked_attention(query, key, value, is_causal):
    """PyTorch's, with the course's mask; rows that see nothing are zeros."""
    positions = torch.arange(len(query))[:, None] + len(key) - len(query)
    visible = torch.arange(len(key)) <= positions if is_causal else torch.ones(1, 1).bool()
    scores = (query @ key.T / math.sqrt(query.shape[1])).masked_fill(~visible, -math.inf)
    return scores.softmax(dim=-1).nan_to_num() @ value, scores.logsumexp(dim=-1)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("sizes", [(70, 50), (50, 70), (32, 32), (1, 33), (5, 3)])
def test_blocks_give_pytorchs_attention_and_gradients(sizes, is_causal):
    generator = torch.Generator().manual_seed(0)
    query, key, value, grad = (
        torch.randn(time, 6, generator=generator) for time in (sizes[0], *2 * sizes[1:], sizes[0])
    )
    flags = {"block_queries": 16, "block_keys": 13, "is_causal": is_causal}
    with FastMemory(12_000) as memory:
        output, log_sums = blockwise_attention(query, key, value, memory, **flags)
        grads = blockwise_backward(query, key, value, output, log_sums, grad, memory, **flags)
    leaves = [each.double().requires_grad_() for each in (query, key, value)]
    expected, expected_sums = masked_attention(*leaves, is_causal)
    torch.testing.assert_close(output, expected.float())
    sees = expected_sums > -math.inf
    torch.testing.assert_close(log_sums[sees], expected_sums[sees].float())
    for mine, theirs in zip(
        grads, torch.autograd.grad(expected, leaves, grad.double()), strict=True
    ):
        torch.testing.assert_close(mine, theirs.float(), rtol=1e-4, atol=1e-5)


def test_keys_and_values_are_read_once_for_each_block_of_queries():
    query, key, value = torch.ones(64, 8), torch.ones(96, 8), torch.ones(96, 8)
    with FastMemory() as memory:
        blockwise_attention(query, key, value, memory, block_queries=16, block_keys=32)
    assert memory.bytes_read == 4 * (64 * 8 + 4 * 2 * 96 * 8)
    assert memory.bytes_written == memory.slow_bytes == 4 * (64 * 8 + 64)


def test_causal_blocks_in_the_future_are_not_loaded():
    query = torch.ones(64, 8)
    with FastMemory() as memory:
        blockwise_attention(
            query, query, query, memory, block_queries=16, block_keys=16, is_causal=True
        )
    assert memory.bytes_read == 4 * 8 * (64 + 2 * 16 * (1 + 2 + 3 + 4))
