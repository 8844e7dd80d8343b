"""Blockwise attention beyond what the checks of chapter 15 cover."""

import math

import pytest
import torch

from course_lib.model.blockwise import merge_softmax


def partial_softmax(scores: torch.Tensor, values: torch.Tensor):
    """(m, l, o) of one block, by its definition."""
    m = scores.amax(dim=-1)
    weights = (scores - m[..., None]).exp()
    return m, weights.sum(dim=-1), weights @ values


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_two_halves_give_the_softmax_of_the_whole(scale):
    generator = torch.Generator().manual_seed(0)
    scores = scale * torch.randn(2, 3, 12, generator=generator, dtype=torch.float64)
    values = torch.randn(2, 12, 5, generator=generator, dtype=torch.float64)
    halves = [
        partial_softmax(scores[..., part], values[:, part]) for part in (slice(5), slice(5, None))
    ]
    _, total, output = merge_softmax(*halves[0], *halves[1])
    torch.testing.assert_close(output / total[..., None], scores.softmax(dim=-1) @ values)


def test_an_empty_block_changes_nothing_and_two_give_an_empty_one():
    block = partial_softmax(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    empty = torch.tensor([-math.inf]), torch.zeros(1), torch.zeros(1, 1)
    for merged in (merge_softmax(*block, *empty), merge_softmax(*empty, *block)):
        torch.testing.assert_close(merged, block, rtol=0, atol=0)
    torch.testing.assert_close(merge_softmax(*empty, *empty), empty)
