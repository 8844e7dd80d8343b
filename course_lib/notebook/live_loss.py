"""`LiveLoss`: the loss while a model trains, redrawn in place; outside a notebook, in words."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from course_lib.notebook.plots import HOUSE_STYLE, OKABE_ITO, figure_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from course_lib.training.records import Record


class LiveLoss:
    """`train(..., plot=LiveLoss())`: the run so far, redrawn every few seconds and at its end.

    Where a drawing takes long the next one waits longer: all together take a twentieth of the time
    at most. One object serves one cell: a new one begins a new picture. Outside a notebook it
    prints the last line only; there the progress bar shows how things go.
    """

    def __init__(self, *, every_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic):
        self.every_seconds = every_seconds
        self.clock = clock
        self._next = clock()
        self._handle: Any = None

    def __call__(self, record: "Record") -> None:
        """Redraw if it is time; always when the run has ended."""
        from IPython import get_ipython

        has_ended, started = record.state != "running", self.clock()
        if not has_ended and (get_ipython() is None or started < self._next):
            return
        text = describe_losses(record)
        if get_ipython() is None:
            print(text)
            return
        self._show({"text/html": figure_html(draw_losses(record), text), "text/plain": text})
        ended = self.clock()
        self._next = ended + max(self.every_seconds, 20 * (ended - started))

    def _show(self, data: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def draw_losses(record: "Record") -> "Figure":
    """Each update's loss, faint, their running mean, and the evaluations as points."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(HOUSE_STYLE):
        figure = Figure()
        axes = figure.subplots()
        updates = range(1, record.num_steps + 1)
        axes.plot(updates, record.losses, color=OKABE_ITO[5], alpha=0.6, linewidth=1, label="batch")
        axes.plot(updates, running_mean(record.losses), color=OKABE_ITO[0], label="running mean")
        evaluations = [each for each in record.evaluations if "loss" in each]
        if evaluations:
            points = [[each[name] for each in evaluations] for name in ("step", "loss")]
            axes.plot(*points, "o", color=OKABE_ITO[1], label="evaluation")
        axes.set(title="Loss during training", xlabel="updates", ylabel="loss (nats per token)")
        axes.legend()
    return figure


def describe_losses(record: "Record") -> str:
    """The run in a sentence: updates, losses, speed."""
    if not record.losses:
        return "No update yet."
    end = {"running": "so far", "finished": "finished", "interrupted": "interrupted"}[record.state]
    words = f"{record.num_steps} updates, {end}: loss {record.losses[0]:.3f} at first, "
    words += f"{running_mean(record.losses)[-1]:.3f} lately"
    for each in record.evaluations[-1:]:
        words += "".join(f", {name} {value:.3f} in evaluation" for name, value in each.items()
                         if name != "step")  # fmt: skip
    if record.tokens_per_second:
        words += f"; {record.tokens_per_second:,.0f} tokens/s"
    return words + "."


def running_mean(values: Sequence[float], *, share: float = 0.05) -> list[float]:
    """Exponential mean over about the last 1 / share values; the first ones weigh no more."""
    means, total, weight = [], 0.0, 0.0
    for value in values:
        total = (1 - share) * total + share * value
        weight = (1 - share) * weight + share
        means.append(total / weight)
    return means
