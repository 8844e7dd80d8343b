"""`course demo`: a demo as a page of its own, without code."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from course_lib.notebook.places import ROOT

HELP = "open a live demo without code"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="which demo; all are listed if none is named")
    parser.add_argument("--no-browser", action="store_true", help="serve only, print the address")
    parser.add_argument("--port", type=int, default=8866, help="where to serve (8866)")


def run(arguments: argparse.Namespace) -> int:
    """List the demos, or serve one with Voilà until interrupted."""
    from course_lib.notebook import demos

    if arguments.name is None:
        for name in demos.names():
            print(f"{name:20} {demos.find(name).title}")
        return 0
    path = write_notebook(arguments.name)
    if importlib.util.find_spec("voila") is None:
        raise ValueError("Voilà, which shows a notebook without its code, is missing: make setup")
    command = [sys.executable, "-m", "voila", str(path), f"--port={arguments.port}"]
    return subprocess.call(command + ["--no-browser"] * arguments.no_browser)


def write_notebook(name: str) -> Path:
    """A notebook in build/demos whose one cell shows the demo."""
    import nbformat

    from course_lib.notebook import demos

    demos.find(name)
    cell = nbformat.v4.new_code_cell(f"from course_lib.notebook import demos\ndemos.{name}()")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    path = ROOT / "build" / "demos" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
