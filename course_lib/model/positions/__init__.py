"""Where a token stands: schemes that a Transformer can be given, all with one protocol."""

from course_lib.model.positions.absolute import (
    LearnedPositions,
    SinusoidalPositions,
    angular_frequencies,
    sinusoidal,
)
from course_lib.model.positions.base import Positions, pairwise_distances
from course_lib.model.positions.biases import (
    AlibiPositions,
    T5Positions,
    alibi_bias,
    alibi_slopes,
    t5_bucket,
)
from course_lib.model.positions.extension import (
    InterpolatedPositions,
    YarnPositions,
    interpolate_positions,
    yarn_frequencies,
)
from course_lib.model.positions.relative import (
    DebertaPositions,
    TransformerXLPositions,
    disentangled_scores,
    relative_shift,
    transformer_xl_scores,
)
from course_lib.model.positions.rotary import (
    RotaryPositions,
    XposPositions,
    apply_rope,
    rotate,
    rotation_turns,
    xpos_scale,
)
from course_lib.model.positions.schemes import SCHEMES, make_positions

__all__ = [
    "SCHEMES",
    "AlibiPositions",
    "DebertaPositions",
    "InterpolatedPositions",
    "LearnedPositions",
    "Positions",
    "RotaryPositions",
    "SinusoidalPositions",
    "T5Positions",
    "TransformerXLPositions",
    "XposPositions",
    "YarnPositions",
    "alibi_bias",
    "alibi_slopes",
    "angular_frequencies",
    "apply_rope",
    "disentangled_scores",
    "interpolate_positions",
    "make_positions",
    "pairwise_distances",
    "relative_shift",
    "rotate",
    "rotation_turns",
    "sinusoidal",
    "t5_bucket",
    "transformer_xl_scores",
    "xpos_scale",
    "yarn_frequencies",
]
