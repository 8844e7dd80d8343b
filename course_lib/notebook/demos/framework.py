"""What a demo is made of: controls, presets and a pure `render`; `Demo` puts them on the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from course_lib.notebook.plots import HOUSE_STYLE, figure_html, png

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

Parameters = dict[str, Any]

DEMO_STYLE = HOUSE_STYLE | {"font.size": 14, "axes.titlesize": 16}


@dataclass(frozen=True)
class Slider:
    """A number from `low` to `high`; whole if `step` is."""

    label: str
    low: float
    high: float
    step: float

    def widget(self, value: float) -> "ipywidgets.Widget":
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

    def frame(self, parameters: Parameters, *, dpi: int = 100) -> bytes | str:
        """What the page shows for these parameters: a PNG, or HTML."""
        import matplotlib

        with matplotlib.rc_context(DEMO_STYLE):
            drawn = self.render(**parameters)
            return drawn if isinstance(drawn, str) else png(drawn, dpi=dpi)

    def strip(self) -> str:
        """The first four presets side by side, as plain HTML with descriptions."""
        frames = []
        for name, parameters in list(self.presets.items())[:4]:
            frame, alt = self.frame(parameters, dpi=72), self.describe(**parameters)
            if isinstance(frame, bytes):
                frame = figure_html(frame, alt, width=360, caption=name)
            else:
                caption = f"<figcaption>{escape(name)}: {escape(alt)}</figcaption>"
                frame = f"<figure>{frame}{caption}</figure>"
            frames.append(frame)
        return (
            f"<p><b>{escape(self.title)}</b></p>"
            f'<div style="display:flex;flex-wrap:wrap;gap:1em">{"".join(frames)}</div>'
        )

    def widget(self) -> "ipywidgets.Widget":
        """The live demo: presets, controls, the picture, and its description below."""
        from course_lib.notebook.demos.page import page

        return page(self)
