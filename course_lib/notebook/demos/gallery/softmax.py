"""Softmax under a temperature: three logits, their exponentials, their probabilities."""

import numpy as np

from course_lib.notebook.demos.framework import Demo, Slider
from course_lib.notebook.plots import OKABE_ITO

WORDS = ("cat", "dog", "fish")
HEADER = ("word", "logit", "÷ T", "− largest", "exp", "÷ sum")


def steps(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Rows of the table: logits, over T, minus the largest, exponentials, probabilities."""
    scaled = logits / temperature
    shifted = scaled - scaled.max()
    weights = np.exp(shifted)
    return np.stack([logits, scaled, shifted, weights, weights / weights.sum()])


def render(*, cat: float, dog: float, fish: float, temperature: float) -> str:
    """A table with a row a word, from logit to probability, and a bar as long as the latter."""
    right = 'style="text-align:right;width:5em;white-space:nowrap"'
    head = "".join(f'<th scope="col" {right}>{title}</th>' for title in HEADER)
    rows = []
    columns = steps(np.array([cat, dog, fish]), temperature).T
    for word, numbers, color in zip(WORDS, columns, OKABE_ITO[:3], strict=True):
        cells = "".join(f"<td {right}>{number:.3f}</td>" for number in numbers)
        bar = f'<div style="background:{color};height:1.3em;width:{100 * numbers[-1]:.1f}%"></div>'
        rows.append(f'<tr><th scope="row" {right}>{word}</th>{cells}<td>{bar}</td></tr>')
    head += '<th scope="col" style="text-align:left">probability</th>'
    return (
        '<table style="font-size:16px;table-layout:fixed;width:44em"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def describe(*, cat: float, dog: float, fish: float, temperature: float) -> str:
    """The numbers in words."""
    shares = steps(np.array([cat, dog, fish]), temperature)[-1]
    parts = ", ".join(f"{word} {share:.3f}" for word, share in zip(WORDS, shares, strict=True))
    return f"Logits {cat:g}, {dog:g} and {fish:g} at temperature {temperature:g}: {parts}."


def _preset(logits: tuple[float, float, float], temperature: float) -> dict[str, float]:
    return dict(zip(WORDS, logits, strict=True)) | {"temperature": temperature}


DEMO = Demo(
    title="Softmax: from logits to probabilities",
    controls={word: Slider(f"logit of {word}", -5.0, 5.0, 0.1) for word in WORDS}
    | {"temperature": Slider("temperature T", 0.1, 5.0, 0.1)},
    presets={
        "temperature 1": _preset((2.0, 1.0, -1.0), 1.0),
        "cold: the largest takes all": _preset((2.0, 1.0, -1.0), 0.2),
        "hot: nearly equal": _preset((2.0, 1.0, -1.0), 5.0),
        "all + 3: the same": _preset((5.0, 4.0, 2.0), 1.0),
    },
    render=render,
    describe=describe,
)
