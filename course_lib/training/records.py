"""`Record`: what a training run did, update by update, as plain values."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from course_lib.files import write_atomically


@dataclass
class Record:
    """Losses, learning rates and gradient norms by update, evaluations, tokens and seconds.

    `learning_rates` are of the first parameter group, `gradient_norms` from before clipping.
    An evaluation is {"step": updates done, "loss": ...}. `seconds` leaves evaluations out.
    `token_flops` (training a token) and `peak_flops` (of the machine, a second) are 0 if unknown.
    """

    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    evaluations: list[dict[str, int | float]] = field(default_factory=list)
    num_tokens: int = 0
    seconds: float = 0.0
    token_flops: int = 0
    peak_flops: float = 0.0
    state: Literal["running", "finished", "interrupted"] = "running"

    @property
    def num_steps(self) -> int:
        """Updates done."""
        return len(self.losses)

    @property
    def tokens_per_second(self) -> float:
        """Targets learned from per second of training; 0 before the first update."""
        return self.num_tokens / self.seconds if self.seconds else 0.0

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilization: the share of the machine's matmul peak that went into learning.

        Padding, a slow part and another process all lower it. None where it is not known.
        """
        if not (self.token_flops and self.peak_flops and self.seconds):
            return None
        return self.tokens_per_second * self.token_flops / self.peak_flops

    @property
    def summary(self) -> str:
        """The mean of the last 20 losses and the speed, in a line that stays while training."""
        recent = self.losses[-20:]
        speed = f"{self.tokens_per_second:,.0f} tokens/s"
        if self.mfu is not None:
            speed += f", {self.mfu:.0%} of the peak"
        return f"loss {sum(recent) / max(1, len(recent)):.3f}, {speed}"

    def to_json(self) -> dict[str, Any]:
        """The record as a dictionary of plain values."""
        return dataclasses.asdict(self)

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, atomically."""
        write_atomically(Path(path), json.dumps(self.to_json()))

    @classmethod
    def load(cls, path: str | Path) -> "Record":
        """The record that `save` wrote; ValueError where the file holds none."""
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no record of a training run: {error}") from None
