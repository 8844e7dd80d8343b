"""DoReMi's domain weights, step by step: where the proxy is behind, the weights go.

The run is a record: chapter 08 writes it to build/ under COURSE_PRESET=thorough, and the copy
beside this module is what the demo shows.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from course_lib.files import write_atomically
from course_lib.notebook.demos.framework import Choice, Demo, Slider
from course_lib.notebook.places import ROOT
from course_lib.notebook.plots import OKABE_ITO

RECORD = Path(__file__).with_suffix(".json")
SMOOTHED = {"as they are": 1, "10-step mean": 10}
"""What the buttons say -> over how many steps a line is averaged."""


def write_record(history: Sequence[Sequence[float]], domains: Sequence[str]) -> Path:
    """Write build/domain_weights.json: the weights of every step, by domain."""
    rounded = [[round(weight, 4) for weight in weights] for weights in history]
    path = ROOT / "build" / RECORD.name
    content = {"domains": list(domains), "history": rounded}
    write_atomically(path, json.dumps(content) + "\n")
    return path


@cache
def record() -> dict[str, Any]:
    """The shipped record: names of the domains, and their weights at every step."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def average(step: int) -> list[float]:
    """The mean weights of the first `step` steps: what DoReMi would return if it ended there."""
    history = record()["history"][:step]
    return [sum(weights) / len(history) for weights in zip(*history, strict=True)]


def render(*, step: int, lines: str) -> Figure:
    """Left: the weights up to `step`. Right: bars of their average, ticks of the last ones."""
    domains, history = record()["domains"], record()["history"]
    figure = Figure(figsize=(8.4, 3.4))
    over_time, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    width = SMOOTHED[lines]
    curves = [
        [(at, _mean(history, at, number, width)) for at in range(width, step + 1)]
        for number in range(len(domains))
    ]
    over_time.add_collection(LineCollection(curves, colors=OKABE_ITO, linewidths=2))
    over_time.set(xlim=(0, len(history)), ylim=(0, 1), title="weight of each domain", xlabel="step")
    over_time.set(xticks=range(0, len(history) + 1, 50), yticks=(0, 0.5, 1))
    places = range(len(domains))
    bars.barh(places, average(step), color=OKABE_ITO[: len(domains)], height=0.6)
    bars.plot(history[step - 1], places, "|", color="black", markersize=22, markeredgewidth=3)
    bars.set(xlim=(0, 1), title="bar: average, |: now", xlabel="weight", xticks=(0, 0.5, 1))
    bars.set(yticks=places, yticklabels=domains)
    bars.invert_yaxis()
    figure.subplots_adjust(wspace=0.45)
    return figure


def _mean(history: list[list[float]], step: int, domain: int, width: int) -> float:
    return sum(weights[domain] for weights in history[step - width : step]) / width


def describe(*, step: int, lines: str) -> str:
    """The step's heaviest domains and the average's, in words."""
    domains = record()["domains"]
    now = _heaviest(domains, record()["history"][step - 1])
    so_far = _heaviest(domains, average(step))
    return f"Step {step}: most weight on {now}. Average so far: {so_far}."


def _heaviest(domains: list[str], weights: list[float]) -> str:
    ordered = sorted(zip(weights, domains, strict=True), reverse=True)[:2]
    return " and ".join(f"{domain} ({weight:.0%})" for weight, domain in ordered)


DEMO = Demo(
    title="DoReMi: which domains should be read more?",
    controls={
        "step": Slider("step", 10, 250, 5),
        "lines": Choice("lines", tuple(SMOOTHED)),
    },
    presets={
        "first steps": {"step": 15, "lines": "as they are"},
        "a quarter": {"step": 60, "lines": "as they are"},
        "half": {"step": 125, "lines": "10-step mean"},
        "the end": {"step": 250, "lines": "10-step mean"},
    },
    render=render,
    describe=describe,
)
