"""A demo as widgets: title, presets, controls, picture, description."""

from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets

if TYPE_CHECKING:
    from course_lib.notebook.demos.framework import Demo, Parameters

STYLE = """<style>
.course-demo { --jp-widgets-font-size: 16px; --jp-widgets-inline-height: 34px;
  --jp-widgets-inline-label-width: 11em; max-width: 760px; }
.course-demo .widget-readout { min-width: 4.5em; }
.course-demo .jupyter-button { width: auto; min-width: max-content; }
</style>"""


def page(demo: "Demo") -> widgets.Widget:
    """Build the widgets and tie them to `demo.render`; every change redraws once."""
    start = next(iter(demo.presets.values()))
    controls = {name: control.widget(start[name]) for name, control in demo.controls.items()}
    picture, caption = widgets.HTML(), widgets.HTML()  # widgets.Image knows no alt text

    def redraw(change: object = None) -> None:
        parameters = {name: control.value for name, control in controls.items()}
        words = escape(demo.describe(**parameters))
        picture.value = demo.frame(parameters)
        caption.value = f'<div role="status" aria-live="polite">{words}</div>'

    def choose(parameters: "Parameters") -> None:
        for control in controls.values():
            control.unobserve(redraw, names="value")
        for name, control in controls.items():
            control.value = parameters[name]
            control.observe(redraw, names="value")
        redraw()

    buttons = []
    for name, parameters in demo.presets.items():
        button = widgets.Button(description=name, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _, parameters=parameters: choose(parameters))
        buttons.append(button)
    for control in controls.values():
        control.layout.width = "100%"
        control.observe(redraw, names="value")
    choose(start)
    title = widgets.HTML(f"{STYLE}<b>{escape(demo.title)}</b>")
    presets = widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap"))
    box = widgets.VBox([title, presets, *controls.values(), picture, caption])
    box.add_class("course-demo")
    return box
