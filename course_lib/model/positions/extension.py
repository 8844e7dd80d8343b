"""A trained RoPE model for texts `scale` times longer: Position Interpolation and YaRN.

In reading order: `interpolate_positions`, `InterpolatedPositions`; `yarn_frequencies`,
`YarnPositions`. Neither has parameters: a RoPE model's weights fit as they are.
"""

import math

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from course_lib.model.positions.absolute import angular_frequencies
from course_lib.model.positions.base import Turns
from course_lib.model.positions.rotary import RotaryPositions, rotation_turns


def interpolate_positions(
    positions: Real[Tensor, "*batch time"], scale: float
) -> Float[Tensor, "*batch time"]:
    """position / scale: a text `scale` times longer is squeezed into the trained positions.

    Between the positions of training lie new ones, but no angle is beyond. In fp32 at least.
    ValueError for scale < 1.

    Chen et al. 2023, https://arxiv.org/abs/2306.15595, eq. 4. Chapter 06.
    """
    _check_scale(scale)
    return positions.to(torch.promote_types(positions.dtype, torch.float32)) / scale


class InterpolatedPositions(RotaryPositions):
    """RoPE at `interpolate_positions`: neighbours come `scale` times closer, in every pair.

    Chen et al. 2023, https://arxiv.org/abs/2306.15595, section 2.3. Chapter 06.
    """

    def __init__(self, head_dim: int, base: float = 10000.0, *, scale: float):
        super().__init__(head_dim, base)
        _check_scale(scale)
        self.rope_scale = scale

    def turns(self, positions: Real[Tensor, "*#batch time"], dtype: torch.dtype) -> Turns:
        return super().turns(interpolate_positions(positions, self.rope_scale), dtype)


def yarn_frequencies(
    dim: int,
    scale: float,
    *,
    context_length: int,
    base: float = 10000.0,
    alpha: float = 1.0,
    beta: float = 32.0,
) -> tuple[Float[Tensor, "{dim}//2"], float]:
    """RoPE's frequencies, the slow ones divided by `scale`; and the factor for queries and keys.

    Pairs with more than `beta` turns in the trained `context_length` stay, those with fewer than
    `alpha` are interpolated, a ramp lies between: linear in the pair's index from floor to ceil,
    as in the released code (the paper's is linear in the turns). The factor 0.1 ln(scale) + 1
    multiplies query and key, so the softmax's temperature t has 1/t = factor^2.

    Peng et al. 2023, https://arxiv.org/abs/2309.00071, sections 3.2 and 3.4. Chapter 06.
    """
    _check_scale(scale)

    def pair_with(turns: float) -> float:
        return dim * math.log(context_length / (turns * 2 * math.pi)) / (2 * math.log(base))

    first = max(math.floor(pair_with(beta)), 0)
    last = min(math.ceil(pair_with(alpha)), dim - 1)
    ramp = (torch.arange(dim // 2) - first) / max(last - first, 0.001)
    interpolated = ramp.clamp(0, 1)
    frequencies = angular_frequencies(dim, base)
    frequencies = interpolated * frequencies / scale + (1 - interpolated) * frequencies
    return frequencies, 0.1 * math.log(scale) + 1


class YarnPositions(RotaryPositions):
    """RoPE at `yarn_frequencies`: near distances keep their angles, far ones are squeezed.

    `context_length` is that of the training, before the extension.

    Peng et al. 2023, https://arxiv.org/abs/2309.00071, section 3.4. Chapter 06.
    """

    def __init__(self, head_dim: int, base: float = 10000.0, *, scale: float, context_length: int):
        super().__init__(head_dim, base)
        _check_scale(scale)
        self.rope_scale, self.context_length = scale, context_length

    def turns(self, positions: Int[Tensor, "*#batch time"], dtype: torch.dtype) -> Turns:
        frequencies, factor = yarn_frequencies(
            self.head_dim, self.rope_scale, context_length=self.context_length, base=self.base
        )
        cos, sin = rotation_turns(positions, frequencies.to(positions.device), dtype)
        return cos * factor, sin * factor


def _check_scale(scale: float) -> None:
    if not scale >= 1:
        raise ValueError(
            f"rope_scale={scale} must be at least 1: it is the new length / the trained length"
        )
