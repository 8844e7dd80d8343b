"""Tiles of scores marching past: the running maximum and sum of every query, tile by tile."""

from functools import cache

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.notebook.demos.framework import Choice, Demo, Slider
from course_lib.notebook.plots import INK, OKABE_ITO

LENGTH, BLOCK = 8, 2
PER_SIDE = LENGTH // BLOCK
ORDERS = ("queries outside", "keys outside")
MASKS = ("full", "causal")


@cache
def scores_of(mask: str) -> np.ndarray:
    """The toy's scores; -inf in the future if causal."""
    scores = np.random.default_rng(4).normal(0, 1.4, (LENGTH, LENGTH)).round(1)
    if mask == "causal":
        scores[np.triu_indices(LENGTH, 1)] = -np.inf
    return scores


def march(order: str, mask: str) -> list[tuple[int, int]]:
    """The tiles (block of queries, block of keys) in the order of their visit."""
    sides = range(PER_SIDE)
    tiles = [(row, column) for row in sides for column in sides]
    if order == "keys outside":
        tiles = [(row, column) for column, row in tiles]
    return [tile for tile in tiles if mask == "full" or tile[1] <= tile[0]]


def visited(order: str, mask: str, tiles: int) -> np.ndarray:
    """The scores seen after some tiles; -inf elsewhere."""
    seen = np.full((LENGTH, LENGTH), -np.inf)
    for row, column in march(order, mask)[:tiles]:
        place = np.s_[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
        seen[place] = scores_of(mask)[place]
    return seen


def running(order: str, mask: str, tiles: int) -> tuple[np.ndarray, np.ndarray]:
    """Each query's maximum (-inf if it has seen nothing) and sum of e^(score - maximum)."""
    seen = visited(order, mask, tiles)
    maximum = seen.max(axis=1)
    weights = np.exp(seen - np.where(np.isfinite(maximum), maximum, 0.0)[:, None])
    return maximum, weights.sum(axis=1)


def render(*, order: str, mask: str, tiles: int) -> Figure:
    """Left the tiles seen so far, right maximum and sum of each query."""
    tiles = min(tiles, len(march(order, mask)))
    seen = visited(order, mask, tiles)
    maximum, total = running(order, mask, tiles)
    figure = Figure(figsize=(7.2, 3.6))
    matrix, sums = figure.subplots(1, 2)
    shown = np.where(np.isfinite(seen), seen, np.nan)
    matrix.imshow(shown, vmin=-3, vmax=3, extent=(0, LENGTH, LENGTH, 0))
    matrix.grid(False)
    matrix.set(title="Scores seen so far", xlabel="key", ylabel="query")
    matrix.set(xticks=range(0, LENGTH + 1, BLOCK), yticks=range(0, LENGTH + 1, BLOCK))
    if tiles:
        row, column = march(order, mask)[tiles - 1]
        corner = column * BLOCK, row * BLOCK
        frame = {"fill": False, "edgecolor": OKABE_ITO[1], "linewidth": 4}
        matrix.add_patch(Rectangle(corner, BLOCK, BLOCK, **frame))
    rows = np.arange(LENGTH) + 0.5
    sums.barh(rows, total, height=0.7, color=OKABE_ITO[0])
    for place, largest, length in zip(rows, maximum, total, strict=True):
        text = f"m = {largest:.1f}" if np.isfinite(largest) else "m = −∞"
        sums.text(length + 0.1, place, text, va="center", fontsize=11, color=INK)
    sums.set(title="Sum l, maximum m", xlabel="l", xlim=(0, 6), ylim=(LENGTH, 0))
    sums.set(yticks=rows[1::2], yticklabels=range(1, LENGTH, 2), xticks=(0, 2, 4, 6))
    sums.grid(axis="y", visible=False)
    return figure


def describe(*, order: str, mask: str, tiles: int) -> str:
    """Where the march is, and how often a sum had to shrink."""
    last = len(march(order, mask))
    tiles = min(tiles, last)
    shrunk = 0
    for step in range(1, tiles + 1):
        before, after = running(order, mask, step - 1)[0], running(order, mask, step)[0]
        shrunk += int((np.isfinite(before) & (after > before)).sum())
    finished = sum(
        np.array_equal(*(np.isfinite(each[row]) for each in (full, seen)))
        for full, seen in [(scores_of(mask), visited(order, mask, tiles))]
        for row in range(LENGTH)
    )
    return (
        f"{order}, {mask}: {tiles} of {last} tiles. {finished} of {LENGTH} queries are finished; "
        f"{shrunk} times a larger maximum came and made the sum before it shrink."
    )


DEMO = Demo(
    title="Online softmax: tiles march past, maximum and sum keep up",
    controls={
        "order": Choice("loop", ORDERS),
        "mask": Choice("mask", MASKS),
        "tiles": Slider("tiles seen", 0, PER_SIDE**2, 1),
    },
    presets={
        "three tiles": {"order": ORDERS[0], "mask": "full", "tiles": 3},
        "half way": {"order": ORDERS[0], "mask": "full", "tiles": 8},
        "keys outside, half way": {"order": ORDERS[1], "mask": "full", "tiles": 8},
        "causal, the end": {"order": ORDERS[0], "mask": "causal", "tiles": 10},
    },
    render=render,
    describe=describe,
)
