"""Normalisation: every vector of the residual stream brought to one size.

In reading order: `layer_norm`, `rms_norm`, and the modules that hold their parameters.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.model.config import TransformerConfig


def layer_norm(
    x: Float[Tensor, "*batch dim"],
    weight: Float[Tensor, "dim"],
    bias: Float[Tensor, "dim"] | None = None,
    *,
    epsilon: float = 1e-5,
) -> Float[Tensor, "*batch dim"]:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, over the last dimension.

    The variance divides by dim, not dim - 1, and epsilon stands inside the root.

    Ba et al. 2016, https://arxiv.org/abs/1607.06450, eq. 4. Chapter 05.
    """
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    normalised = centred * torch.rsqrt(variance + epsilon) * weight
    return normalised if bias is None else normalised + bias


def rms_norm(
    x: Float[Tensor, "*batch dim"], weight: Float[Tensor, "dim"], *, epsilon: float = 1e-5
) -> Float[Tensor, "*batch dim"]:
    """x / sqrt(mean(x²) + epsilon) * weight: LayerNorm without the mean and the bias.

    Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467, eq. 4. Chapter 05.
    """
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + epsilon) * weight


class LayerNorm(nn.Module):
    """`layer_norm` with its parameters, in PyTorch's fused form (tested equal). Chapter 05."""

    def __init__(self, dim: int, *, epsilon: float = 1e-5, bias: bool = True):
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """The normalised vectors."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


class RMSNorm(nn.Module):
    """`rms_norm` with its parameter. Chapter 05."""

    def __init__(self, dim: int, *, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """The normalised vectors."""
        return rms_norm(x, self.weight, epsilon=self.epsilon)


def make_norm(config: TransformerConfig) -> LayerNorm | RMSNorm:
    """The norm that `config.norm` names, over model_dim."""
    if config.norm == "rms":
        return RMSNorm(config.model_dim, epsilon=config.norm_epsilon)
    return LayerNorm(config.model_dim, epsilon=config.norm_epsilon, bias=config.bias)
