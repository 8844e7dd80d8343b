"""The look of every figure, and `show`, which gives a figure its description.

A figure is a white card with dark ink: alike in the light theme, in the dark one and in print.
"""

import base64
import io
from html import escape
from typing import TYPE_CHECKING, Any

from course_lib.notebook.output import show_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
"""Colours that the colour-blind tell apart (Okabe and Ito), without yellow, too pale on white."""

INK = "#222222"

HOUSE_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler(color={list(OKABE_ITO)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.figsize": (7.0, 3.6),
    "font.size": 12,
    "grid.color": "#DDDDDD",
    "image.cmap": "cividis",
    "lines.linewidth": 2.0,
    "savefig.facecolor": "white",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
"""matplotlib's settings for the course: `setup()` applies them."""


def show(figure: "Figure", *, alt: str) -> None:
    """Show a figure as `<figure><img alt=...>` and close it; text elsewhere.

    JupyterLab drops a plain picture's alt text. `alt` says what there is to see, with values.
    """
    if not alt.strip():
        raise ValueError(f"alt = {alt!r}: say in a sentence what the figure shows")
    import matplotlib.pyplot

    picture = figure_html(figure, alt)
    matplotlib.pyplot.close(figure)
    show_html(picture, f"[figure: {alt}]")


def figure_html(figure: "Figure", alt: str, *, scale: float = 1.0) -> str:
    """`<figure>` with the picture in it, and its description.

    The size is written out and decoding is at once, so that a demo's redraws do not flicker.
    """
    width, height = (round(96 * scale * inches) for inches in figure.get_size_inches())
    source = (
        f"data:image/png;base64,{base64.b64encode(png(figure, dpi=round(144 * scale))).decode()}"
    )
    return (
        f'<figure style="margin:0"><img alt="{escape(alt)}" width="{width}" height="{height}" '
        'decoding="sync" style="max-width:100%;height:auto;border-radius:6px" '
        f'src="{source}"></figure>'
    )


def png(figure: "Figure", *, dpi: int) -> bytes:
    """The figure's picture; a fast, lightly packed PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 1}
    )
    return buffer.getvalue()
