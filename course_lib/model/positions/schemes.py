"""From a name in a configuration to a scheme: `make_positions`."""

from typing import Any

from course_lib.model.positions.base import Positions


def make_positions(config: Any, *, is_causal: bool = True) -> Positions:
    """The scheme that `config.positions` names; ValueError lists the names.

    Of `config` only what the scheme needs is read: model_dim, num_heads, head_dim,
    context_length, rope_base, rope_scale, position_buckets (T5), max_distance (T5, DeBERTa).
    """
    schemes = {"none": Positions}
    if config.positions not in schemes:
        raise ValueError(f"positions={config.positions!r} must be one of {', '.join(schemes)}")
    return schemes[config.positions]()
