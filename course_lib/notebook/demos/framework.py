"""What a demo is made of: controls, presets and a pure `render`; `Demo` puts them on the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from course_lib.notebook.plots import HOUSE_STYLE, figure_html

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

Parameters = dict[str, Any]

DEMO_STYLE = HOUSE_STYLE | {
    "axes.titlesize": 15,
    "axes.titley": 1.02,  # a place of its own: searching for one is a third of a redraw
    "figure.constrained_layout.use": False,  # draws everything twice
    "figure.subplot.bottom": 0.2,
    "figure.subplot.left": 0.1,
    "figure.subplot.right": 0.97,
    "figure.subplot.wspace": 0.3,
    "font.size": 13,
}


@dataclass(frozen=True)
class Slider:
    """A number from `low` to `high`; whole if `step` is."""

    label: str
    low: float | int
    high: float | int
    step: float | int

    def widget(self, value: float | int) -> "ipywidgets.Widget":
        """The slider at `value`."""
        import ipywidgets

        whole = isinstance(self.step, int)
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        return kind(value, min=self.low, max=self.high, step=self.step, description=self.label)


@dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    label: str
    options: tuple[str, ...]

    def widget(self, value: str) -> "ipywidgets.Widget":
        """The options with `value` chosen."""
        import ipywidgets

        return ipywidgets.ToggleButtons(value=value, options=self.options, description=self.label)


@dataclass(frozen=True)
class TextField:
    """A line of text."""

    label: str

    def widget(self, value: str) -> "ipywidgets.Widget":
        """The line, holding `value`."""
        import ipywidgets

        return ipywidgets.Text(value, description=self.label)


@dataclass(frozen=True)
class Demo:
    """A picture or a piece of HTML that follows its controls.

    `render(**parameters)` is pure: a `matplotlib.figure.Figure()` (never pyplot), or HTML, well
    within 100 ms. `describe(**parameters)` says in words what is to be seen, with the values: the
    caption and the alt text. `presets` are named values of all controls; the demo starts with the
    first, and the first four are its strip.
    """

    title: str
    controls: Mapping[str, Slider | Choice | TextField]
    presets: Mapping[str, Parameters]
    render: "Callable[..., Figure | str]"
    describe: Callable[..., str]

    def __post_init__(self) -> None:
        for name, preset in self.presets.items():
            if preset.keys() != self.controls.keys():
                raise ValueError(
                    f"preset {name!r} sets {sorted(preset)}: it must set {sorted(self.controls)}"
                )

    def frame(self, parameters: Parameters, *, scale: float = 1.0) -> str:
        """What the page shows for these parameters, as HTML; a figure with its description."""
        import matplotlib.style

        with matplotlib.style.context(DEMO_STYLE, after_reset=True):
            drawn = self.render(**parameters)
            if isinstance(drawn, str):
                return drawn
            return figure_html(drawn, self.describe(**parameters), scale=scale)

    def strip(self) -> str:
        """The first four presets side by side, as plain HTML with descriptions."""
        frames = [
            f'<div style="width:min-content;min-width:340px"><b>{escape(name)}</b>'
            f"{self.frame(parameters, scale=0.5)}{escape(self.describe(**parameters))}</div>"
            for name, parameters in list(self.presets.items())[:4]
        ]
        return (
            f"<p><b>{escape(self.title)}</b></p>"
            f'<div style="display:flex;flex-wrap:wrap;gap:1em">{"".join(frames)}</div>'
        )

    def widget(self) -> "ipywidgets.Widget":
        """The live demo: presets, controls, the picture, and its description below."""
        from course_lib.notebook.demos.page import page

        return page(self)
