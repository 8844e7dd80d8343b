"""Every chapter and every solution, run top to bottom as a learner would who answers nothing."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from slowest import NOTE

from course_lib.notebook.places import ROOT
from course_lib.text.sources import cache_folder

NOTEBOOKS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("chapters", "solutions")
    for path in (ROOT / folder).glob("[0-9][0-9]_*.ipynb")
)
LIMIT_SECONDS = 600  # of one cell: ends a cell that hangs, no measure of speed
SLOW_CELL_SECONDS = 5


def test_there_are_chapters() -> None:
    assert any(name.startswith("chapters/") for name in NOTEBOOKS)


@pytest.mark.slow
@pytest.mark.budget(90)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_without_an_error(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    set_up_a_new_home(tmp_path, monkeypatch)
    notebook = nbformat.read(ROOT / name, as_version=4)
    for number, seconds in run(notebook, tmp_path / "work").items():
        first_line = notebook.cells[number].source.partition("\n")[0]
        record_property(NOTE, f"{name}, cell {number}: {seconds:.1f} s: {first_line}")


def set_up_a_new_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner with an empty home, a plain locale, one thread, and the data fetched."""
    cache = cache_folder().absolute()
    for name in list(os.environ):
        if name.startswith(("JUPYTER", "IPYTHON", "LC_", "XDG_", "COURSE_", "MPL")):
            monkeypatch.delenv(name)
    (folder / "work").mkdir()
    new = {
        "HOME": folder,
        "IPYTHONDIR": folder / "ipython",
        "COURSE_HOME": folder / "work",
        "COURSE_CACHE": cache,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": 1,
        "PYTHONPATH": ROOT,
        # Where fonts were found, a search of seconds: kept for all notebooks.
        "MPLCONFIGDIR": ROOT / "build" / "matplotlib",
    }
    for name, value in new.items():
        monkeypatch.setenv(name, str(value))


def run(notebook: nbformat.NotebookNode, folder: Path) -> dict[int, float]:
    """Run all cells in `folder`; {cell number: seconds} of the slow ones.

    A cell that fails fails the test: its number, its first line and the error, no traceback.
    """
    started, seconds = {}, {}

    def start(cell: nbformat.NotebookNode, cell_index: int) -> None:
        started[cell_index] = time.perf_counter()

    def end(cell: nbformat.NotebookNode, cell_index: int, **_: object) -> None:
        seconds[cell_index] = time.perf_counter() - started[cell_index]

    client = NotebookClient(
        notebook,
        timeout=LIMIT_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=start,
        on_cell_executed=end,
    )
    failure = None
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        failure = describe(error)
    if failure:
        number = max(started)
        source = notebook.cells[number].source
        pytest.fail(f"cell {number} fails:\n{source}\n{failure}", pytrace=False)
    return {number: took for number, took in seconds.items() if took > SLOW_CELL_SECONDS}


def describe(error: Exception) -> str:
    """What the kernel says: the error's name and message, or that it died or took too long."""
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
