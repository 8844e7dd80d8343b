"""The feed-forward part: each vector through a wider layer and back, by itself.

In reading order: `gelu` and `gelu_tanh`, `swiglu`, and `FeedForward`.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.model.config import TransformerConfig


def gelu(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """x Φ(x): x weighted by the probability that a standard normal number is smaller.

    Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2. Chapter 05.
    """
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))): GELU to 5e-4, as in GPT-2 and T5 1.1.

    Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2. Chapter 05.
    """
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def swiglu(
    x: Float[Tensor, "*batch dim"],
    gate_weight: Float[Tensor, "hidden dim"],
    up_weight: Float[Tensor, "hidden dim"],
    down_weight: Float[Tensor, "dim hidden"],
) -> Float[Tensor, "*batch dim"]:
    """(SiLU(x W_gateᵀ) ⊙ x W_upᵀ) W_downᵀ, with SiLU(z) = z sigmoid(z).

    Weights are (outputs, inputs), as nn.Linear has them. One matrix more than a plain
    feed-forward, so its hidden size is 2/3 as large at equal parameters.

    Shazeer 2020, https://arxiv.org/abs/2002.05202, eq. 6. Chapter 05.
    """
    gate = x @ gate_weight.T
    return (gate * torch.sigmoid(gate) * (x @ up_weight.T)) @ down_weight.T


# PyTorch's fused forms; the functions above are tested equal to them.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


class FeedForward(nn.Module):
    """down(f(up(x))), or gated: down(f(gate(x)) ⊙ up(x)); f is `config.activation`.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 2; gated: Shazeer 2020,
    https://arxiv.org/abs/2002.05202, eq. 5. Chapter 05.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        sizes = config.model_dim, config.hidden_dim
        self.gate = nn.Linear(*sizes, bias=config.bias) if config.gated else None
        self.up = nn.Linear(*sizes, bias=config.bias)
        self.down = nn.Linear(*sizes[::-1], bias=config.bias)

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Each vector transformed by itself."""
        if self.gate is None:
            return self.down(self.activation(self.up(x)))
        return self.down(self.activation(self.gate(x)) * self.up(x))
