"""RoPE as turning hands: each pair of dimensions is a clock, a position turns its hands."""

import math

from course_lib.notebook.demos.framework import Demo, Slider
from course_lib.notebook.plots import OKABE_ITO

DIM, BASE = 8, 10_000.0
FREQUENCIES = tuple(BASE ** (-2 * pair / DIM) for pair in range(DIM // 2))
HANDS = (("query", OKABE_ITO[0], 5), ("key", OKABE_ITO[1], 3))
CELL, RADIUS = 165, 58


def cosines(query: int, key: int, scale: float) -> list[float]:
    """cos((query - key) / scale * frequency) of each pair: the score of equal unit vectors."""
    return [math.cos((query - key) / scale * frequency) for frequency in FREQUENCIES]


def render(*, query: int, key: int, scale: float) -> str:
    """A clock for each pair, fast to slow, with the query's and the key's hand; the score below."""
    shares = cosines(query, key, scale)
    clocks = "".join(
        _clock(pair, (query / scale, key / scale), share) for pair, share in enumerate(shares)
    )
    label = describe(query=query, key=key, scale=scale)
    return (
        f'<svg role="img" aria-label="{label}" width="{4 * CELL}" height="235" fill="none" '
        'style="color:var(--jp-ui-font-color1, currentColor)" stroke="currentColor">'
        f'{clocks}<g fill="currentColor" stroke="none" font-size="17">'
        f'<text x="10" y="225">distance {query - key}: the score is '
        f'<tspan font-weight="bold">{sum(shares):.2f}</tspan> of {len(shares)}</text>'
        f'<text x="330" y="225" fill="{OKABE_ITO[0]}">━ query</text>'
        f'<text x="420" y="225" fill="{OKABE_ITO[1]}">━ key</text></g></svg>'
    )


def describe(*, query: int, key: int, scale: float) -> str:
    """Positions, distance and score in words."""
    shares = cosines(query, key, scale)
    squeezed = f", positions divided by {scale:g}" if scale > 1 else ""
    parts = ", ".join(f"{share:.2f}" for share in shares)
    return (
        f"Query at {query}, key at {key}: distance {query - key}{squeezed}. Cosines from the fast "
        f"pair to the slow one: {parts}; the score is {sum(shares):.2f}."
    )


def _clock(pair: int, positions: tuple[float, float], share: float) -> str:
    x, y = CELL * pair + CELL // 2, 85
    hands = ""
    for position, (name, color, width) in zip(positions, HANDS, strict=True):
        angle = position * FREQUENCIES[pair]
        tip = f'x2="{x + RADIUS * math.cos(angle):.1f}" y2="{y - RADIUS * math.sin(angle):.1f}"'
        hands += (
            f'<line x1="{x}" y1="{y}" {tip} stroke="{color}" stroke-width="{width}" '
            f'stroke-linecap="round"><title>{name}</title></line>'
        )
    return (
        f'<circle cx="{x}" cy="{y}" r="{RADIUS + 4}" stroke-width="1.5"/>{hands}'
        '<g fill="currentColor" stroke="none" font-size="15" text-anchor="middle">'
        f'<text x="{x}" y="15">pair {pair}: {FREQUENCIES[pair]:g} rad</text>'
        f'<text x="{x}" y="175">cosine {share:.2f}</text></g>'
    )


def _preset(query: int, key: int, scale: float = 1.0) -> dict[str, float | int]:
    return {"query": query, "key": key, "scale": scale}


DEMO = Demo(
    title="RoPE: a position turns the hands, a score sees their difference",
    controls={
        "query": Slider("query at", 0, 250, 1),
        "key": Slider("key at", 0, 250, 1),
        "scale": Slider("squeeze by", 1.0, 4.0, 0.5),
    },
    presets={
        "3 and 1": _preset(3, 1),
        "both + 40": _preset(43, 41),
        "far": _preset(203, 1),
        "squeezed": _preset(203, 1, 4.0),
        "together": _preset(43, 43),
    },
    render=render,
    describe=describe,
)
