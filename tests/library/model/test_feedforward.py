"""Activations against PyTorch's, SwiGLU by hand and against the module."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.model.config import TransformerConfig
from course_lib.model.feedforward import ACTIVATIONS, FeedForward, gelu, gelu_tanh, swiglu


def normal(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_gelu_equals_pytorch_in_both_forms():
    x = torch.linspace(-9, 9, 101, dtype=torch.float64)
    torch.testing.assert_close(gelu(x), F.gelu(x))
    torch.testing.assert_close(gelu_tanh(x), F.gelu(x, approximate="tanh"))
    torch.testing.assert_close(gelu(x), ACTIVATIONS["gelu"](x))
    torch.testing.assert_close(gelu_tanh(x), ACTIVATIONS["gelu_tanh"](x))
    assert 1e-4 < (gelu(x) - gelu_tanh(x)).abs().max() < 5e-4


def test_swiglu_by_hand():
    x = torch.tensor([[1.0, 2.0]])
    gate, up = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    silu = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(
        swiglu(x, gate, up, torch.tensor([[3.0], [5.0]])), torch.tensor([[6 * silu, 10 * silu]])
    )


def test_swiglu_survives_large_inputs():
    x = torch.tensor([[-1000.0], [1000.0]])
    one = torch.ones(1, 1)
    torch.testing.assert_close(swiglu(x, one, one, one), torch.tensor([[0.0], [1e6]]))


def test_swiglu_equals_the_module():
    config = TransformerConfig(model_dim=6, num_heads=1, hidden_dim=5)
    module, x = FeedForward(config).double(), normal(2, 3, 6)
    weights = module.gate.weight, module.up.weight, module.down.weight
    torch.testing.assert_close(swiglu(x, *weights), module(x))


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu"])
def test_a_plain_feed_forward_is_two_layers(activation):
    settings = {"activation": activation, "gated": False, "bias": True}
    config = TransformerConfig(model_dim=6, num_heads=1, hidden_dim=5, **settings)
    module, x = FeedForward(config).double(), normal(2, 3, 6)
    hidden = ACTIVATIONS[activation](x @ module.up.weight.T + module.up.bias)
    torch.testing.assert_close(module(x), hidden @ module.down.weight.T + module.down.bias)
