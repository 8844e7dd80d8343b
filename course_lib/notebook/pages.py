"""Notebooks as web pages with their outputs, and the page that lists them."""

import html
import os
import tempfile
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.notebook import places
from course_lib.notebook.notebooks import course_notebooks, read_notebook, title

CELL_SECONDS = 600


def pages_folder() -> Path:
    """Where the pages are written: build/html."""
    return places.ROOT / "build" / "html"


def render(path: Path, *, execute: bool = True) -> str:
    """Write the page of a chapter or solution; "" or a line on why it did not run to its end.

    A notebook that fails is shown up to the failure.
    """
    import nbformat
    from nbconvert import HTMLExporter

    source = read_notebook(path)
    notebook = nbformat.from_dict(source)
    problem = _execute(notebook) if execute else ""
    resources = {"metadata": {"name": notebook_title(source, path)}}
    page, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook, resources=resources)
    write_atomically(page_path(path), page)
    return f"{path}: {problem}" if problem else ""


def page_path(path: Path) -> Path:
    """The page of a notebook: build/html/chapters/NN_name.html, or solutions/ for a solution."""
    return pages_folder() / path.parent.name / f"{path.stem}.html"


def notebook_title(notebook: dict, path: Path) -> str:
    """The first heading, or the name of the file."""
    cells = [cell for cell in notebook["cells"] if cell["source"].lstrip().startswith("# ")]
    heading = next((cell for cell in cells if cell["cell_type"] == "markdown"), None)
    return title(heading) if heading else path.stem


def _execute(notebook: dict) -> str:
    """Run all cells in place, on one thread and away from the learner's work."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

    with tempfile.TemporaryDirectory() as folder:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = os.environ | threads | {"COURSE_HOME": folder}
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources=resources,
            store_widget_state=False,  # a page runs no kernel: demos show their strip
        )
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            number = sum(bool(cell.get("execution_count")) for cell in notebook["cells"])
            reason = " ".join(error.evalue.split())[:200]
            return f"code cell {number} raised {error.ename}: {reason}"
        except (CellControlSignal, DeadKernelError) as error:
            return " ".join(str(error).split())[:200]
    return ""


def write_index() -> Path:
    """Write the page that lists every chapter and solution rendered so far."""
    rows = {"chapters": [], "solutions": []}
    for path in course_notebooks():
        if page_path(path).exists():
            name = html.escape(notebook_title(read_notebook(path), path))
            link = f"{path.parent.name}/{path.stem}.html"
            rows[path.parent.name].append(f'<li><a href="{link}">{path.stem[:2]} {name}</a></li>')
    body = "".join(
        f"<h2>{heading.capitalize()}</h2><ul>{''.join(links)}</ul>"
        for heading, links in rows.items()
        if links
    )
    index = pages_folder() / "index.html"
    write_atomically(index, _INDEX.format(body=body))
    return index


_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>How large language models train</title>
<style>
body {{ font: 1.1rem/1.6 system-ui, sans-serif }}
main {{ max-width: 45rem; margin: 2rem auto; padding: 0 1rem }}
</style>
</head>
<body><main><h1>How large language models train</h1>{body}</main></body>
</html>
"""
