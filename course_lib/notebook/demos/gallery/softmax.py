"""Softmax under a temperature: three logits, their exponentials, their probabilities."""

import numpy as np
from matplotlib.figure import Figure

from course_lib.notebook.demos.framework import Demo, Slider
from course_lib.notebook.plots import OKABE_ITO

WORDS = ("cat", "dog", "fish")


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """exp(l / T - max) / sum: subtracting the maximum changes nothing but cannot overflow."""
    scaled = logits / temperature
    weights = np.exp(scaled - scaled.max())
    return weights / weights.sum()


def render(*, cat: float, dog: float, fish: float, temperature: float) -> Figure:
    """Logits over temperature, their exponentials after subtracting the maximum, probabilities."""
    logits = np.array([cat, dog, fish])
    scaled = logits / temperature
    columns = {
        "logits / temperature": scaled,
        "exp(each − largest)": np.exp(scaled - scaled.max()),
        "probabilities": probabilities(logits, temperature),
    }
    figure = Figure(figsize=(7.2, 3.2))
    for axes, (title, heights) in zip(figure.subplots(1, 3), columns.items(), strict=True):
        bars = axes.bar(WORDS, heights, color=OKABE_ITO[:3])
        axes.bar_label(bars, fmt="%.3g", padding=2)
        axes.set_title(title, fontsize=14)
        axes.margins(y=0.2)
        axes.axhline(0, color="#222222", linewidth=1)
    for axes in figure.axes[1:]:
        axes.set_ylim(0, 1.2)
    return figure


def describe(*, cat: float, dog: float, fish: float, temperature: float) -> str:
    """The numbers in words."""
    shares = probabilities(np.array([cat, dog, fish]), temperature)
    parts = ", ".join(f"{word} {share:.3f}" for word, share in zip(WORDS, shares, strict=True))
    return f"Logits {cat:g}, {dog:g} and {fish:g} at temperature {temperature:g}: {parts}."


def _preset(logits: tuple[float, float, float], temperature: float) -> dict[str, float]:
    return dict(zip(WORDS, logits, strict=True)) | {"temperature": temperature}


DEMO = Demo(
    title="Softmax: from logits to probabilities",
    controls={word: Slider(f"logit of {word}", -5.0, 5.0, 0.1) for word in WORDS}
    | {"temperature": Slider("temperature", 0.1, 5.0, 0.1)},
    presets={
        "as it is": _preset((2.0, 1.0, -1.0), 1.0),
        "cold: the largest takes all": _preset((2.0, 1.0, -1.0), 0.2),
        "hot: nearly equal": _preset((2.0, 1.0, -1.0), 5.0),
        "all + 3: the same": _preset((5.0, 4.0, 2.0), 1.0),
    },
    render=render,
    describe=describe,
)
