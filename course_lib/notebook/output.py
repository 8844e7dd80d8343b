"""What a cell shows: HTML where a notebook shows it, text everywhere else."""

from collections.abc import Mapping
from typing import Any


def show_html(html: str, text: str, *, more: Mapping[str, Any] | None = None) -> None:
    """Show `html` in Jupyter and print `text` without it; `more` adds other MIME types."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(text)
    else:
        display({"text/html": html, "text/plain": text, **(more or {})}, raw=True)
