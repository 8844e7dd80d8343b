"""Norms against PyTorch's own in fp64, by hand, and by finite differences."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.model.config import TransformerConfig
from course_lib.model.norms import LayerNorm, RMSNorm, layer_norm, make_norm, rms_norm


def make_inputs():
    """x, weight and bias in fp64; x far from mean 0 and size 1, as a strided view."""
    generator = torch.Generator().manual_seed(2)
    x, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((7, 2, 5), (7,), (7,))
    )
    return (x * 30 + 11).movedim(0, -1), weight, bias


def test_rms_norm_by_hand():
    x, weight = torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 10.0])
    expected = torch.tensor([[3.0, 40.0]]) / 12.5**0.5
    torch.testing.assert_close(rms_norm(x, weight, epsilon=0.0), expected)


@pytest.mark.parametrize("epsilon", [1e-5, 0.3])
def test_norms_equal_pytorch(epsilon):
    x, weight, bias = make_inputs()
    expected = F.layer_norm(x, (7,), weight, bias, epsilon)
    torch.testing.assert_close(layer_norm(x, weight, bias, epsilon=epsilon), expected)
    expected = F.layer_norm(x, (7,), weight, None, epsilon)
    torch.testing.assert_close(layer_norm(x, weight, epsilon=epsilon), expected)
    expected = F.rms_norm(x, (7,), weight, epsilon)
    torch.testing.assert_close(rms_norm(x, weight, epsilon=epsilon), expected)


def test_a_vector_of_zeros_stays_finite():
    x, weight = torch.zeros(2, 3, requires_grad=True), torch.ones(3)
    for norm in (layer_norm, rms_norm):
        (norm(x, weight) * torch.tensor([1.0, 2.0, 4.0])).sum().backward()
        assert x.grad.isfinite().all()


def test_gradients_equal_finite_differences():
    x, weight, bias = (each.clone().requires_grad_() for each in make_inputs())
    assert torch.autograd.gradcheck(layer_norm, (x, weight, bias))
    assert torch.autograd.gradcheck(rms_norm, (x, weight))


def test_modules_equal_the_functions():
    x, weight, bias = make_inputs()
    module = LayerNorm(7, epsilon=0.3).double()
    module.load_state_dict({"weight": weight, "bias": bias})
    torch.testing.assert_close(module(x), layer_norm(x, weight, bias, epsilon=0.3))
    module = RMSNorm(7, epsilon=0.3).double()
    module.load_state_dict({"weight": weight})
    torch.testing.assert_close(module(x), rms_norm(x, weight, epsilon=0.3))


def test_the_configuration_chooses_norm_epsilon_and_bias():
    config = TransformerConfig(norm="layer", norm_epsilon=0.25, bias=False)
    norm = make_norm(config)
    assert isinstance(norm, LayerNorm)
    assert (norm.epsilon, norm.bias) == (0.25, None)
    assert isinstance(make_norm(config.replace(norm="rms")), RMSNorm)
