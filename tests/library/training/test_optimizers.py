"""Clipping against PyTorch's, groups against what must and must not decay."""

import math

import pytest
import torch
from torch import nn

from course_lib.training.optimizers import adamw, clip_gradients, parameter_groups


def make_parameters(seed=0, dtype=torch.float32, scale=1.0):
    """Parameters of several shapes with gradients; the third has none."""
    generator = torch.Generator().manual_seed(seed)
    parameters = [nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in [(3, 5), (7,), (2,)]]
    for parameter in parameters[:2]:
        gradient = torch.randn(parameter.shape, generator=generator) * scale
        parameter.grad = gradient.to(dtype)
    return parameters


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 4.0, 1e3, math.inf])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_clipping_is_pytorchs(max_norm, scale):
    ours, theirs = make_parameters(scale=scale), make_parameters(scale=scale)
    norm = clip_gradients(ours, max_norm)
    expected = nn.utils.clip_grad_norm_(theirs, max_norm)
    torch.testing.assert_close(norm, expected)
    for mine, other in zip(ours[:2], theirs[:2], strict=True):
        # PyTorch adds 1e-6 to the norm
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=0)
    assert ours[2].grad is None


def test_a_small_gradient_is_left_as_it_is():
    parameters = make_parameters()
    before = [each.grad.clone() for each in parameters[:2]]
    clip_gradients(parameters, 100.0)
    assert all(torch.equal(p.grad, b) for p, b in zip(parameters, before, strict=False))


def test_clipping_keeps_the_direction_over_all_parameters():
    parameters = make_parameters()
    before = torch.cat([each.grad.flatten() for each in parameters[:2]])
    clip_gradients(iter(parameters), 0.5)
    after = torch.cat([each.grad.flatten() for each in parameters[:2]])
    assert after.norm() == pytest.approx(0.5)
    torch.testing.assert_close(after / after.norm(), before / before.norm())


def test_a_norm_beyond_half_precision_is_still_measured():
    """Squares of 300 are beyond fp16's 65,504."""
    parameter = nn.Parameter(torch.zeros(4, dtype=torch.float16))
    parameter.grad = torch.full((4,), 300.0, dtype=torch.float16)
    assert clip_gradients([parameter], 1.0) == 600
    assert parameter.grad.dtype == torch.float16
    torch.testing.assert_close(parameter.grad, torch.full((4,), 0.5, dtype=torch.float16))


def test_zero_and_absent_gradients_are_no_trouble():
    parameter = nn.Parameter(torch.ones(3))
    assert clip_gradients([parameter], 1.0) == 0
    parameter.grad = torch.zeros(3)
    assert clip_gradients([parameter], 1.0) == 0
    assert torch.equal(parameter.grad, torch.zeros(3))


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan])
def test_a_limit_that_allows_nothing_is_refused(max_norm):
    with pytest.raises(ValueError, match="max_norm = "):
        clip_gradients(make_parameters(), max_norm)


class Tied(nn.Module):
    """An embedding that is also the output matrix, a linear layer, a norm, a frozen matrix."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.linear = nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)
        self.output = nn.Linear(3, 7, bias=False)
        self.output.weight = self.embedding.weight
        self.frozen = nn.Parameter(torch.ones(3, 3), requires_grad=False)


def test_only_matrices_that_mix_features_decay():
    model = Tied()
    decaying, others = parameter_groups(model, 0.1)
    assert decaying["weight_decay"] == 0.1
    assert others["weight_decay"] == 0.0
    assert [id(each) for each in decaying["params"]] == [id(model.linear.weight)]
    expected = [
        model.embedding.weight,
        model.linear.bias,
        model.norm.weight,
        model.norm.bias,
    ]
    assert {id(each) for each in others["params"]} == {id(each) for each in expected}
    assert len(others["params"]) == 4


def test_a_model_with_nothing_to_train_is_refused():
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter to train"):
        adamw(model)
