"""A vector for every position, added to the token embeddings: sinusoidal and learned.

In reading order: `angular_frequencies`, which the rotary schemes share, `sinusoidal`, and the two
schemes.
"""

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor, nn

from course_lib.model.positions.base import Positions


def angular_frequencies(
    dim: int, base: float = 10000.0, *, device: torch.device | str | None = None
) -> Float[Tensor, "{dim}//2"]:
    """base^(-2i / dim) for i < dim / 2: radians per position, from 1 down to almost 1 / base.

    In fp32. The slowest needs about 2 pi base positions for one turn, far more than any text has.
    ValueError where dim is odd.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5. Chapter 06.
    """
    if dim < 2 or dim % 2:
        raise ValueError(f"dim={dim} must be even and at least 2: dimensions are turned in pairs")
    return 1.0 / base ** (torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)


def sinusoidal(
    positions: Real[Tensor, "*batch time"], dim: int, base: float = 10000.0
) -> Float[Tensor, "*batch time {dim}"]:
    """sin(p w_i) in dimension 2i and cos(p w_i) in 2i + 1, where w_i = base^(-2i / dim).

    Any integer or float positions, negative ones too; angles are taken in fp32 at least, as fp16
    cannot tell 2049 from 2048. Tensor2Tensor puts all sines first: another order, nothing else.
    A fixed rotation leads from p to p + k, so offsets are linear in the encoding.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5. Chapter 06.
    """
    positions = positions.to(torch.promote_types(positions.dtype, torch.float32))
    angles = positions[..., None] * angular_frequencies(dim, base, device=positions.device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


class SinusoidalPositions(Positions):
    """`sinusoidal` added to the token embeddings: no parameters and no last position.

    Its vectors have norm sqrt(model_dim / 2): embeddings much smaller than 1 drown in it, which
    is why the paper multiplies them by sqrt(model_dim).

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5. Chapter 06.
    """

    def __init__(self, model_dim: int, base: float = 10000.0):
        super().__init__()
        self.model_dim, self.base = model_dim, base

    def embed(self, positions: Int[Tensor, "*batch time"]) -> Float[Tensor, "*batch time dim"]:
        return sinusoidal(positions, self.model_dim, self.base)


class LearnedPositions(Positions):
    """One learned vector for each of `context_length` positions, added to the embeddings.

    ValueError beyond the table: a position that was never trained has no vector.

    Gehring et al. 2017, https://arxiv.org/abs/1705.03122, section 3.1; GPT-2 and BERT. Chapter 06.
    """

    def __init__(self, context_length: int, model_dim: int):
        super().__init__()
        self.table = nn.Embedding(context_length, model_dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def embed(self, positions: Int[Tensor, "*batch time"]) -> Float[Tensor, "*batch time dim"]:
        context_length = self.table.num_embeddings
        beyond = positions[(positions < 0) | (positions >= context_length)]
        if beyond.numel():
            raise ValueError(
                f"position {int(beyond[0])} has no vector: learned positions go from 0 to "
                f"context_length - 1 = {context_length - 1}. Shorten the text, train with a larger "
                'context_length, or choose positions="sinusoidal", "alibi" or "rope"'
            )
        return self.table(positions)
