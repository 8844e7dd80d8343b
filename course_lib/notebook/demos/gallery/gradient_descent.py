"""Gradient descent in a long valley: the learning rate decides if it creeps or flies apart."""

import numpy as np
from matplotlib.figure import Figure

from course_lib.notebook.demos.framework import Demo, Slider
from course_lib.notebook.plots import INK, OKABE_ITO

CURVATURES = np.array([1.0, 10.0])
START = np.array([-4.0, 1.5])


def descend(lr: float, steps: int) -> np.ndarray:
    """Points w, w - lr * gradient, ... of the loss (x^2 + 10 y^2) / 2: (steps + 1, 2)."""
    path = [START]
    for _ in range(steps):
        path.append(path[-1] - lr * CURVATURES * path[-1])
    return np.array(path)


def losses(path: np.ndarray) -> np.ndarray:
    """The loss at each point of a path."""
    return (CURVATURES * path**2).sum(axis=-1) / 2


def render(*, lr: float, steps: int) -> Figure:
    """Left the path over the loss's contours, right the loss at each step."""
    path = descend(lr, steps)
    x, y = np.meshgrid(np.linspace(-5, 5, 60), np.linspace(-3, 3, 60))
    heights = np.sqrt(losses(np.stack([x, y], axis=-1)))
    figure = Figure(figsize=(7.2, 3.4))
    valley, curve = figure.subplots(1, 2)
    valley.imshow(heights, extent=(-5, 5, -3, 3), origin="lower", aspect="auto")
    valley.grid(False)
    valley.plot(*path.T, "o-", color="white", markeredgecolor=INK, markersize=6, linewidth=1.5)
    valley.plot(0, 0, "*", color=OKABE_ITO[1], markersize=16)
    valley.set(title="Path of the weights", xlabel="flat direction x", ylabel="steep direction y")
    valley.set(xlim=(-5, 5), ylim=(-3, 3), xticks=(-4, 0, 4), yticks=(-2, 0, 2))
    curve.plot(np.log10(losses(path)), "o-", color=OKABE_ITO[0], markersize=5)
    curve.set(title="Loss", xlabel="step", ylabel="log₁₀ of the loss", ylim=(-5, 5))
    curve.set(xticks=(0, steps // 2, steps), yticks=(-4, -2, 0, 2, 4))
    return figure


def describe(*, lr: float, steps: int) -> str:
    """First and last loss, and how it went."""
    before, *_, after = losses(descend(lr, steps))
    steepness = lr * CURVATURES.max()
    limits = {"creeps": 0.5, "runs smoothly": 1, "zigzags and arrives": 1.999, "circles": 2.001}
    how = next((how for how, limit in limits.items() if steepness <= limit), "flies apart")
    return (
        f"Learning rate {lr:.2f}, {steps} steps: loss from {before:.1f} to {after:.3g}; the steep "
        f"direction is multiplied by {1 - steepness:.1f} each step, so the path {how}."
    )


DEMO = Demo(
    title="Gradient descent: one learning rate for a steep and a flat direction",
    controls={
        "lr": Slider("learning rate", 0.01, 0.25, 0.01),
        "steps": Slider("steps", 1, 40, 1),
    },
    presets={
        "zigzag": {"lr": 0.17, "steps": 20},
        "too small": {"lr": 0.02, "steps": 20},
        "smooth": {"lr": 0.10, "steps": 20},
        "flies apart": {"lr": 0.21, "steps": 20},
    },
    render=render,
    describe=describe,
)
