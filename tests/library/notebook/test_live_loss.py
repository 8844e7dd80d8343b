"""The loss is drawn in place, not too often, at the end always; in words outside a notebook."""

import IPython
import IPython.display
import matplotlib
import pytest

from course_lib.notebook import live_loss
from course_lib.notebook.live_loss import LiveLoss, describe_losses, draw_losses, running_mean
from course_lib.training.records import Record

matplotlib.use("agg")


def record_of(num_steps, state="running"):
    return Record(
        losses=[3.0 - step / num_steps for step in range(num_steps)],
        learning_rates=[0.1] * num_steps,
        gradient_norms=[1.0] * num_steps,
        evaluations=[{"step": num_steps, "loss": 2.25}],
        num_tokens=3000 * num_steps,
        seconds=2.0 * num_steps,
        state=state,
    )


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would show: ("new" or "update", data)."""
    events = []

    class Handle:
        def update(self, data, *, raw):
            events.append(("update", data))

    def display(data, *, raw, display_id):
        events.append(("new", data))
        return Handle()

    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", display)
    return events


def test_one_picture_is_redrawn_when_its_time_has_come_and_at_the_end(shown):
    now = [0.0]
    plot = LiveLoss(every_seconds=2.0, clock=lambda: now[0])
    for seconds in (0.0, 0.5, 1.9, 2.0, 2.1, 4.5):
        now[0] = seconds
        plot(record_of(3))
    plot(record_of(4, "finished"))
    assert [kind for kind, _ in shown] == ["new", "update", "update", "update"]
    data = shown[-1][1]
    assert "4 updates, finished" in data["text/plain"]
    assert data["text/plain"] in data["text/html"]
    assert "<img" in data["text/html"]


def test_slow_drawings_take_a_twentieth_of_the_time_at_most(shown, monkeypatch):
    now = [0.0]

    def draw_for_half_a_second(record):
        now[0] += 0.5
        return draw_losses(record)

    monkeypatch.setattr(live_loss, "draw_losses", draw_for_half_a_second)
    plot = LiveLoss(every_seconds=1.0, clock=lambda: now[0])
    while now[0] < 100:
        plot(record_of(3))
        now[0] += 0.1
    assert 9 <= len(shown) <= 10


def test_outside_a_notebook_there_is_one_line_at_the_end(capsys):
    plot = LiveLoss(every_seconds=0.0)
    for step in range(1, 4):
        plot(record_of(step))
    plot(record_of(4, "interrupted"))
    assert capsys.readouterr().out == (
        "4 updates, interrupted: loss 3.000 at first, "
        f"{running_mean(record_of(4).losses)[-1]:.3f} lately, loss 2.250 in evaluation; "
        "1,500 tokens/s.\n"
    )


def test_the_figure_has_what_was_measured():
    figure = draw_losses(record_of(30))
    (axes,) = figure.axes
    batch, mean, evaluation = axes.lines
    assert list(batch.get_ydata()) == record_of(30).losses
    assert list(mean.get_ydata()) == running_mean(record_of(30).losses)
    assert (list(evaluation.get_xdata()), list(evaluation.get_ydata())) == ([30], [2.25])
    assert axes.get_title()
    assert axes.get_xlabel()
    assert "nats" in axes.get_ylabel()


def test_a_run_without_updates_is_described():
    assert describe_losses(Record()) == "No update yet."
    assert draw_losses(Record()).axes


def test_the_running_mean_worked_by_hand():
    assert running_mean([4.0, 2.0], share=0.5) == pytest.approx([4.0, 8 / 3])
    assert running_mean([5.0] * 9) == pytest.approx([5.0] * 9)
    assert running_mean([]) == []
