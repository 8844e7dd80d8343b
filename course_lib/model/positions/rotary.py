"""Query and key turned by an angle that grows with their position: RoPE, and xPos with a decay.

In reading order: `rotation_turns` and `turn`, `rotate`, `apply_rope`, `RotaryPositions`;
`xpos_scale`, `XposPositions`.
"""

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from course_lib.model.positions.absolute import angular_frequencies
from course_lib.model.positions.base import Positions, Turns


def rotation_turns(
    positions: Real[Tensor, "*#batch time"],
    frequencies: Float[Tensor, "half"],
    dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "*#batch 1 time half"], Float[Tensor, "*#batch 1 time half"]]:
    """cos and sin of position * frequency_i, with a dimension for the heads.

    Angles are taken in fp32 at least: beyond 2,048 fp16 has even numbers only, a radian apart from
    the odd ones.
    """
    dtype = torch.promote_types(dtype, torch.float32)
    angles = positions.to(dtype)[..., None, :, None] * frequencies.to(dtype)
    return angles.cos(), angles.sin()


def turn(
    x: Float[Tensor, "batch heads time dim"],
    cos: Float[Tensor, "*#batch 1 time dim//2"],
    sin: Float[Tensor, "*#batch 1 time dim//2"],
) -> Float[Tensor, "batch heads time dim"]:
    """The pair (x_i, x_{i + dim/2}) times the matrix [[cos, -sin], [sin, cos]]."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    partners = x.roll(x.shape[-1] // 2, dims=-1)  # the two of a pair change places
    return x * torch.cat((cos, cos), dim=-1) + partners * torch.cat((-sin, sin), dim=-1)


def rotate(
    x: Float[Tensor, "batch heads time dim"],
    positions: Real[Tensor, "*#batch time"],
    frequencies: Float[Tensor, "dim//2"],
) -> Float[Tensor, "batch heads time dim"]:
    """Turn the pair (x_i, x_{i + dim/2}) by the angle position * frequency_i."""
    return turn(x, *rotation_turns(positions, frequencies, x.dtype))


def apply_rope(
    x: Float[Tensor, "batch heads time dim"],
    positions: Real[Tensor, "*#batch time"],
    base: float = 10000.0,
) -> Float[Tensor, "batch heads time dim"]:
    """Turn the pair (x_i, x_{i + dim/2}) by the angle position * base^(-2i / dim).

    The scores of rotated queries and keys depend on content and p_query - p_key only; norms stay.
    Positions (time,) or (batch, time), in any order. The paper pairs x_{2i} with x_{2i + 1}: the
    same after a permutation of the dimensions, but weights trained with one need that one.
    Values are not rotated. ValueError where dim is odd.

    Su et al. 2021, https://arxiv.org/abs/2104.09864, eq. 34. Chapter 06.
    """
    return rotate(x, positions, angular_frequencies(x.shape[-1], base, device=x.device))


class RotaryPositions(Positions):
    """`apply_rope` on queries and keys in every layer: no parameters, relative by construction.

    Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.2. Chapter 06.
    """

    def __init__(self, head_dim: int, base: float = 10000.0):
        super().__init__()
        angular_frequencies(head_dim, base)  # refuses an odd head_dim here, not in the first batch
        self.head_dim, self.base = head_dim, base

    def turns(self, positions: Real[Tensor, "*#batch time"], dtype: torch.dtype) -> Turns:
        frequencies = angular_frequencies(self.head_dim, self.base, device=positions.device)
        return rotation_turns(positions, frequencies, dtype)

    def rotate_query(
        self,
        query: Float[Tensor, "batch heads time dim"],
        positions: Int[Tensor, "*#batch time"],
        turns: Turns | None = None,
    ) -> Float[Tensor, "batch heads time dim"]:
        return turn(query, *(turns or self.turns(positions, query.dtype)))

    def rotate_key(
        self,
        key: Float[Tensor, "batch kv_heads time dim"],
        positions: Int[Tensor, "*#batch time"],
        turns: Turns | None = None,
    ) -> Float[Tensor, "batch kv_heads time dim"]:
        return turn(key, *(turns or self.turns(positions, key.dtype)))


def xpos_scale(
    positions: Real[Tensor, "*batch time"],
    dim: int,
    *,
    scale_base: float = 512.0,
    gamma: float = 0.4,
) -> Float[Tensor, "*batch time {dim}//2"]:
    """zeta_i^(position / scale_base), zeta_i = (2i / dim + gamma) / (1 + gamma), one per pair.

    Queries are multiplied by it and keys divided: a score keeps zeta_i^(distance / scale_base),
    below 1 for keys behind. The fast pairs fade first. In fp32: keys grow as 3.5^(p / scale_base)
    and leave fp16's range at p = 8.8 scale_base, fp32's at 70.

    Sun et al. 2022, https://arxiv.org/abs/2212.10554, section 2 and algorithm 1. Chapter 06.
    """
    pairs = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32)
    zeta = (pairs / dim + gamma) / (1 + gamma)
    exponents = positions.to(torch.promote_types(positions.dtype, torch.float32)) / scale_base
    return zeta ** exponents[..., None]


class XposPositions(RotaryPositions):
    """RoPE whose scores fade with the distance: queries times `xpos_scale`, keys divided by it.

    For causal models: keys ahead would grow instead. The paper's scale_base, 512, is half of its
    training length.

    Sun et al. 2022, https://arxiv.org/abs/2212.10554, algorithm 1. Chapter 06.
    """

    def __init__(self, head_dim: int, base: float = 10000.0, *, scale_base: float = 512.0):
        super().__init__(head_dim, base)
        self.scale_base = scale_base

    def rotate_query(
        self,
        query: Float[Tensor, "batch heads time dim"],
        positions: Int[Tensor, "*#batch time"],
        turns: Turns | None = None,
    ) -> Float[Tensor, "batch heads time dim"]:
        return super().rotate_query(query, positions, turns) * self._scale(query, positions)

    def rotate_key(
        self,
        key: Float[Tensor, "batch kv_heads time dim"],
        positions: Int[Tensor, "*#batch time"],
        turns: Turns | None = None,
    ) -> Float[Tensor, "batch kv_heads time dim"]:
        return super().rotate_key(key, positions, turns) * self._scale(key, -positions)

    def _scale(self, x: Tensor, positions: Tensor) -> Float[Tensor, "*batch 1 time dim"]:
        """The same factor for both halves of a pair, over all heads."""
        positions = positions.to(torch.promote_types(x.dtype, torch.float32))
        scale = xpos_scale(positions, self.head_dim, scale_base=self.scale_base)
        return torch.cat((scale, scale), dim=-1)[..., None, :, :].to(x.dtype)
