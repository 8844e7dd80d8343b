"""From a name in a configuration to a scheme: `make_positions`."""

from typing import Any

from course_lib.model.positions.absolute import LearnedPositions, SinusoidalPositions
from course_lib.model.positions.base import Positions
from course_lib.model.positions.biases import AlibiPositions, T5Positions
from course_lib.model.positions.extension import InterpolatedPositions, YarnPositions
from course_lib.model.positions.relative import DebertaPositions, TransformerXLPositions
from course_lib.model.positions.rotary import RotaryPositions, XposPositions

ABSOLUTE = ("none", "learned", "sinusoidal")
RELATIVE = ("transformer_xl", "deberta", "t5", "alibi")
ROTARY = ("rope", "xpos", "interpolation", "yarn")
SCHEMES = ABSOLUTE + RELATIVE + ROTARY


def make_positions(config: Any, *, is_causal: bool = True) -> Positions:
    """The scheme that `config.positions` names; ValueError lists the names.

    Of `config` only what the scheme needs is read: model_dim, num_heads, head_dim,
    context_length (of the training), rope_base, rope_scale (new length / trained length),
    position_buckets (T5), max_distance (T5, DeBERTa). Only a causal model can have xPos.
    """
    name = config.positions
    if name not in SCHEMES:
        raise ValueError(f"positions={name!r} must be one of {', '.join(SCHEMES)}")
    if name in ROTARY:
        return _make_rotary(config, is_causal)
    if name in RELATIVE:
        return _make_relative(config, is_causal)
    if name == "learned":
        return LearnedPositions(config.context_length, config.model_dim)
    return SinusoidalPositions(config.model_dim) if name == "sinusoidal" else Positions()


def _make_relative(config: Any, is_causal: bool) -> Positions:
    if config.positions == "alibi":
        return AlibiPositions(config.num_heads)
    if config.positions == "t5":
        return T5Positions(
            config.num_heads,
            bidirectional=not is_causal,
            num_buckets=config.position_buckets,
            max_distance=config.max_distance,
        )
    sizes = config.model_dim, config.num_heads, config.head_dim
    if config.positions == "deberta":
        return DebertaPositions(*sizes, max_distance=config.max_distance)
    return TransformerXLPositions(*sizes)


def _make_rotary(config: Any, is_causal: bool) -> Positions:
    head_dim, base, length = config.head_dim, config.rope_base, config.context_length
    if config.positions == "rope":
        return RotaryPositions(head_dim, base)
    if config.positions == "interpolation":
        return InterpolatedPositions(head_dim, base, scale=config.rope_scale)
    if config.positions == "yarn":
        return YarnPositions(head_dim, base, scale=config.rope_scale, context_length=length)
    if not is_causal:
        raise ValueError(
            'positions="xpos" fades keys behind and would enlarge keys ahead: use it in a causal '
            'model, or choose positions="rope"'
        )
    # The paper's ratio: 512 at a training length of 1,024.
    return XposPositions(head_dim, base, scale_base=length / 2)
