"""A training run replayed: at each point its loss, what it can do, and the story it writes.

The run is chapter 07's live one, at its evaluations: the chapter writes it to build/ under
COURSE_PRESET=thorough, and the copy beside this module is what the demo shows.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from course_lib.files import write_atomically
from course_lib.notebook.demos.framework import Demo, Slider
from course_lib.notebook.places import ROOT
from course_lib.notebook.plots import INK, OKABE_ITO

RECORD = Path(__file__).with_suffix(".json")
HIGHEST = 70
"""Nats a story at the top of the picture."""

CARD = (
    f"display:flex;flex-wrap:wrap;gap:24px;padding:10px;background:white;color:{INK};"
    "font:15px/1.4 sans-serif"
)


def write_record(points: Sequence[Mapping[str, Any]], *, floor: float) -> Path:
    """Write build/training_run.json: points of a run, and the loss that no model can beat.

    A point is {"step", "tokens", "nats" (a story), "skills": {name: share}, "story"}.
    """
    path = ROOT / "build" / RECORD.name
    write_atomically(path, json.dumps({"floor": floor, "points": list(points)}, indent=1) + "\n")
    return path


@cache
def record() -> dict[str, Any]:
    """The shipped record."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def render(*, point: int) -> str:
    """The loss so far above its floor; the skills as bars; the story, as it was written then."""
    now = record()["points"][point]
    bars = "".join(_bar(name, share) for name, share in now["skills"].items())
    alt = escape(describe(point=point), quote=True)
    story = escape(_readable(now["story"]))
    return (
        f'<div style="{CARD}"><div role="img" aria-label="{alt}" style="display:flex;gap:24px">'
        f"<div><b>Loss, nats a story: {now['nats']:.1f}</b><br>{_curve(point)}</div>"
        f'<div style="width:230px"><b>Skills, % right</b>{bars}</div></div>'
        '<div style="flex:1 1 300px;overflow-wrap:anywhere"><b>Its story</b><br>'
        f"{story}</div></div>"
    )


def _curve(point: int) -> str:
    """All points in grey, those up to now in colour, and the world's entropy."""
    points, floor = record()["points"], record()["floor"]
    last = points[-1]["tokens"]
    places = [
        (round(30 + 250 * each["tokens"] / last), round(_height(each["nats"]))) for each in points
    ]
    lines = [
        f'<polyline points="{" ".join(f"{x},{y}" for x, y in shown)}" fill="none" '
        f'stroke="{colour}" stroke-width="3"/>'
        for shown, colour in ((places, "#CCCCCC"), (places[: point + 1], OKABE_ITO[0]))
    ]
    marks = [
        f'<text x="0" y="{_height(nats) + 4:.0f}">{nats}</text>'
        f'<line x1="26" x2="284" y1="{_height(nats):.0f}" y2="{_height(nats):.0f}" stroke="#DDD"/>'
        for nats in (30, 40, 50, 60)
    ]
    x, y = places[point]
    return (
        f'<svg width="300" height="210" style="font:13px sans-serif" fill="{INK}">'
        f"{''.join(marks)}{''.join(lines)}"
        f'<line x1="26" x2="284" y1="{_height(floor):.0f}" y2="{_height(floor):.0f}" '
        f'stroke="{INK}" stroke-width="2" stroke-dasharray="6 4"/>'
        f'<text x="150" y="{_height(floor) + 16:.0f}">the world\'s entropy</text>'
        f'<circle cx="{x}" cy="{y}" r="7" fill="{OKABE_ITO[1]}"/>'
        f'<text x="30" y="206">0</text><text x="190" y="206">{last:,} tokens</text></svg>'
    )


def _height(nats: float | int) -> float:
    """From the top; an untrained model's 425 nats are cut off there."""
    return 10 + 4.1 * (HIGHEST - min(nats, HIGHEST))


def _bar(name: str, share: float) -> str:
    width = f"width:{120 * share:.0f}px;background:{OKABE_ITO[2]}"
    return (
        '<div style="display:flex;margin-top:5px">'
        f'<span style="flex:none;width:74px">{escape(name)}</span>'
        f'<span style="flex:none;{width}"></span>'
        f'<span style="padding-left:6px">{share:.0%}</span></div>'
    )


def describe(*, point: int) -> str:
    """The same in words."""
    now, floor = record()["points"][point], record()["floor"]
    able = [name for name, share in now["skills"].items() if share >= 0.9]
    return (
        f"After {now['step']} updates, {now['tokens']:,} tokens: {now['nats']:.1f} nats a story, "
        f"{now['nats'] - floor:.1f} above the floor. Right nine times in ten: "
        f"{', '.join(able) or 'nothing yet'}. It writes: {_readable(now['story'])}"
    )


def _readable(story: str) -> str:
    """Without line breaks, and signs that are no letters yet as question marks."""
    return " ".join(story.replace("\ufffd", "?").split())


LAST = 10
"""The number of the last point; the first, 0, is the untrained model."""

DEMO = Demo(
    title="A model learns to tell stories: one run, replayed",
    controls={"point": Slider("point", 0, LAST, 1)},
    presets={
        "untrained": {"point": 0},
        "a tenth of the run": {"point": 1},
        "half of it": {"point": LAST // 2},
        "the end": {"point": LAST},
    },
    render=render,
    describe=describe,
)
