"""Where a token stands: schemes that a Transformer can be given, all with one protocol."""

from course_lib.model.positions.base import Positions
from course_lib.model.positions.schemes import make_positions

__all__ = ["Positions", "make_positions"]
