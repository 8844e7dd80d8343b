"""Live demos: `demos.softmax()` in a chapter, `course demo softmax` without code.

A demo is a module of `demos.gallery` whose `DEMO` is a `Demo` (see `demos.framework`), or anything
else with a `title`, `widget()` and `strip()`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from functools import partial
from typing import Any


def names() -> list[str]:
    """The demos there are, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules([f"{__path__[0]}/gallery"]))


def find(name: str) -> Any:
    """The demo of that name; ValueError says which exist."""
    if name not in names():
        raise ValueError(f"demo = {name!r}: there are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.gallery.{name}").DEMO


def show(demo: Any) -> None:
    """Show a demo live; where no kernel runs (an exported page), its strip of frames.

    Both are one output: a page that can show the widget does, any other takes the strip.
    """
    from course_lib.notebook.output import show_html

    view = demo.widget()._repr_mimebundle_()
    widget_type = "application/vnd.jupyter.widget-view+json"
    show_html(demo.strip(), f"[demo: {demo.title}]", more={widget_type: view[widget_type]})


def __getattr__(name: str) -> Callable[[], None]:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return partial(show, find(name))
    except ValueError as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    return [*names(), "find", "names", "show"]
