"""Extrapolation: the loss at each position of a long text, for every scheme of chapter 06.

The curves are a record: chapter 06 writes it to build/ under COURSE_PRESET=thorough, and the
copy beside this module is what the demo shows.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from course_lib.files import write_atomically
from course_lib.notebook.demos.framework import Choice, Demo, Slider
from course_lib.notebook.places import ROOT
from course_lib.notebook.plots import INK, OKABE_ITO

RECORD = Path(__file__).with_suffix(".json")
PLAIN = (
    "none",
    "learned",
    "sinusoidal",
    "transformer_xl",
    "deberta",
    "t5",
    "alibi",
    "rope",
    "xpos",
)
STRETCHED = {
    "PI untuned": "interpolation, untuned",
    "PI tuned": "interpolation, tuned",
    "YaRN untuned": "yarn, untuned",
    "YaRN tuned": "yarn, tuned",
}
SHOWN = {name: name for name in PLAIN} | STRETCHED
"""What the buttons say, short enough to be read on them -> the record's names."""


def write_record(curves: Mapping[str, Sequence[float]], *, trained: int, step: int) -> Path:
    """Write build/extrapolation.json: mean losses of `step` positions each, by scheme."""
    rounded = {name: [round(float(loss), 4) for loss in curve] for name, curve in curves.items()}
    path = ROOT / "build" / RECORD.name
    content = {"trained": trained, "step": step, "curves": rounded}
    write_atomically(path, json.dumps(content, indent=1) + "\n")
    return path


@cache
def record() -> dict[str, Any]:
    """The shipped record: trained length, positions per number, curves by scheme."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def losses(scheme: str, length: int) -> list[float]:
    """The curve of a scheme up to `length`; shorter where the scheme has no more positions."""
    return record()["curves"][SHOWN[scheme]][: length // record()["step"]]


def render(*, scheme: str, length: int) -> Figure:
    """All schemes in grey, the chosen one in colour up to the length of the text."""
    step, trained = record()["step"], record()["trained"]
    figure = Figure(figsize=(7.2, 3.8))
    axes = figure.subplots()
    others = [losses(name, 4 * trained) for name in SHOWN]
    lines = [list(zip(_middles(other, step), other, strict=True)) for other in others]
    axes.add_collection(LineCollection(lines, colors="#CCCCCC", linewidths=1.5))
    chosen = losses(scheme, length)
    axes.plot(_middles(chosen, step), chosen, "o-", color=OKABE_ITO[1], linewidth=3)
    axes.axvline(trained, color=INK, linestyle="--", linewidth=1.5)
    axes.text(trained + 3, 2.55, "trained up to here", fontsize=12)
    axes.set(title=f"{scheme}: loss by position", xlabel="position in the text, words")
    axes.set(ylabel="loss, nats a word", xlim=(0, 4 * trained), ylim=(0.9, 2.7))
    axes.set(xticks=range(0, 4 * trained + 1, trained), yticks=(1, 1.5, 2, 2.5))
    return figure


def describe(*, scheme: str, length: int) -> str:
    """The loss within the trained length and at the end of the text, in words."""
    step, trained = record()["step"], record()["trained"]
    curve = losses(scheme, length)
    inside = fmean(curve[trained // step // 2 : trained // step])
    told = f"{scheme}: {inside:.2f} nats a word at the end of the trained {trained} words"
    if length <= trained:
        return f"{told}."
    if len(curve) * step <= trained:
        return f"{told}; beyond them it has no vector and cannot read on."
    return f"{told}, {curve[-1]:.2f} at the end of {length} ({curve[-1] - inside:+.2f})."


def _middles(curve: Sequence[float], step: int) -> list[float]:
    return [step * (number + 0.5) for number in range(len(curve))]


DEMO = Demo(
    title="Trained on 64 words, read on to 256: which schemes hold?",
    controls={
        "scheme": Choice("scheme", tuple(SHOWN)),
        "length": Slider("length", 64, 256, 16),
    },
    presets={
        "RoPE": {"scheme": "rope", "length": 256},
        "sinusoids": {"scheme": "sinusoidal", "length": 256},
        "ALiBi": {"scheme": "alibi", "length": 256},
        "NoPE": {"scheme": "none", "length": 256},
        "YaRN": {"scheme": "YaRN tuned", "length": 256},
        "a wall": {"scheme": "learned", "length": 128},
    },
    render=render,
    describe=describe,
)
