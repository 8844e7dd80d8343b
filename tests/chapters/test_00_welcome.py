"""Checks of chapter 00: softmax, against fractions worked by hand and PyTorch."""

import math

import pytest
import torch
from torch.testing import assert_close


def test_three_scores_worked_by_hand(softmax):
    """The exponentials of ln 1, ln 2 and ln 5 are 1, 2 and 5, and their sum is 8."""
    scores = torch.tensor([math.log(1), math.log(2), math.log(5)])
    assert_close(softmax(scores, dim=0), torch.tensor([1 / 8, 2 / 8, 5 / 8]))


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_agrees_with_pytorch_along_every_dimension(softmax, dim):
    """`dim` says which scores compete: the entries along it, and only they, sum to one."""
    scores = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    assert_close(softmax(scores, dim=dim), torch.softmax(scores, dim=dim))


def test_scores_of_a_thousand_stay_finite(softmax):
    """exp(1000) does not fit in fp32: it is inf, and inf / inf is nan."""
    scores = torch.tensor([[1000.0, 1000.0, 999.0], [-1000.0, -1000.0, -1001.0]])
    assert_close(softmax(scores, dim=-1), torch.softmax(scores, dim=-1))


def test_rows_far_apart_each_keep_their_own_scale(softmax):
    """With one maximum for the whole tensor the low row becomes 0 / 0."""
    scores = torch.tensor([[500.0, 501.0], [-500.0, -501.0]])
    assert_close(softmax(scores, dim=1), torch.softmax(scores, dim=1))


def test_a_forbidden_score_gets_no_weight(softmax):
    """-inf is how attention hides a key: its weight must be exactly zero."""
    weights = softmax(torch.tensor([0.0, -math.inf, 0.0]), dim=0)
    assert weights.tolist() == [0.5, 0.0, 0.5]


def test_input_is_left_unchanged_and_dtype_is_kept(softmax):
    """The caller still needs its scores, in the precision it chose."""
    scores = torch.randn(3, 7, generator=torch.Generator().manual_seed(1)).double().T
    before = scores.clone()
    weights = softmax(scores, dim=0)
    assert weights.dtype == torch.float64
    assert torch.equal(scores, before)
    assert_close(weights, torch.softmax(before, dim=0))


def test_gradient_agrees_with_pytorch(softmax):
    """Training needs the gradient: no detach, no numpy on the way."""
    scores = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mine, theirs = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    weighting = torch.arange(12, dtype=torch.float64).reshape(4, 3)
    (softmax(mine, dim=0) * weighting).sum().backward()
    (torch.softmax(theirs, dim=0) * weighting).sum().backward()
    assert mine.grad is not None, "no gradient reached the scores"
    assert_close(mine.grad, theirs.grad)
