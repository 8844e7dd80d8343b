"""A notebook as a script to edit (jupytext's percent format), and back; cell ids survive.

The script is a lens: it is written by `edit`, read once by `save`, and kept nowhere else.
"""

import hashlib
import json
import types
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.notebook import places
from course_lib.notebook.notebooks import (
    format_notebook,
    read_notebook,
    strip,
    title,
    version,
    write_notebook,
)

FORMAT = {"extension": ".py", "format_name": "percent"}
HEADER = {"cell_metadata_filter": "all", "notebook_metadata_filter": "-all"}


def to_script(notebook: dict) -> str:
    """The notebook as a Python script whose cell markers carry the ids.

    ValueError names a cell that would not come back as it is, such as one that holds a marker.
    """
    jupytext = _import_jupytext()
    import nbformat

    stripped = strip(notebook)
    marked = nbformat.from_dict(stripped)
    marked.metadata = nbformat.from_dict({"jupytext": HEADER})
    for cell in marked.cells:
        cell.metadata["id"] = cell.id
    script = jupytext.writes(marked, FORMAT)
    back = from_script(script, stripped)["cells"]
    for number, cell in enumerate(stripped["cells"], start=1):
        if number > len(back) or back[number - 1] != cell:
            raise ValueError(
                f"cell {number} ({title(cell)}, id {cell['id']}) does not survive as a script: "
                "edit this notebook in JupyterLab"
            )
    return script


def from_script(script: str, original: dict) -> dict:
    """The notebook that the script stands for, stripped; unchanged cells are those of `original`.

    What a script cannot carry comes from `original`: attachments and blank lines at a cell's end.
    A cell without an id, or with one that an earlier cell has, gets a new one.
    """
    cells = []
    given = {cell["id"]: cell for cell in original["cells"]}
    for read in _import_jupytext().reads(script, FORMAT).cells:
        cell = {
            "cell_type": str(read.cell_type),
            "source": str(read.source),
            "metadata": json.loads(json.dumps(read.metadata)),
        }
        cell["id"] = cell["metadata"].pop("id", None)
        known = given.get(cell["id"]) if isinstance(cell["id"], str) else None
        if known and known["cell_type"] == cell["cell_type"]:
            if known["source"].rstrip() == cell["source"].rstrip():
                cell["source"] = known["source"]
            if known.get("attachments"):
                cell["attachments"] = known["attachments"]
        cells.append(cell)
    return strip(original | {"cells": cells})


def find_script(chapter: str, *, is_solution: bool = False) -> tuple[Path, Path]:
    """(notebook, script) of a chapter: chapters/NN_name.ipynb and build/NN_name.py."""
    stem = places.find_stem(chapter)
    if is_solution:
        return (
            places.ROOT / "solutions" / f"{stem}.ipynb",
            places.ROOT / "build" / f"{stem}_solution.py",
        )
    return places.ROOT / "chapters" / f"{stem}.ipynb", places.ROOT / "build" / f"{stem}.py"


def edit(path: Path, script_path: Path) -> None:
    """Write the notebook at `path` as a script; unsaved edits in an older one are not replaced."""
    if has_unsaved_edits(script_path):
        raise ValueError(
            f"{script_path}: holds edits that are not saved; save them with `course save`, "
            "or delete the file"
        )
    notebook = read_notebook(path)
    try:
        script = to_script(notebook)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    write_atomically(script_path, script)
    _write_state(script_path, notebook)


def has_unsaved_edits(script_path: Path) -> bool:
    """Does the script exist and differ from what `edit` wrote or `save` last put back?"""
    if not script_path.exists():
        return False
    state = _read_state(script_path)
    return state is None or state["script"] != _digest(script_path.read_bytes())


def save(path: Path, script_path: Path) -> str:
    """Put the script back into the notebook at `path`; what changed, in words.

    ValueError when the notebook is no longer the one that the script was written from.
    """
    if not script_path.exists():
        raise ValueError(f"{script_path}: does not exist; write it with `course edit`")
    state = _read_state(script_path)
    if state is None:
        raise ValueError(f"{script_path}: was not written by `course edit`, so nothing was saved")
    original = read_notebook(path)
    saved = from_script(script_path.read_text(encoding="utf-8"), original)
    if not saved["cells"]:
        raise ValueError(f"{script_path}: has no cells, so nothing was saved")
    if version(original) not in (state["notebook"], version(saved)):
        raise ValueError(
            f"{path}: has changed since `course edit`, so nothing was saved; move {script_path} "
            "away, edit again and put your changes in"
        )
    if path.read_text(encoding="utf-8") != format_notebook(saved):
        write_notebook(path, saved)
    _write_state(script_path, saved)
    return _difference(original, saved)


def _difference(original: dict, saved: dict) -> str:
    before, after = (
        {cell["id"]: cell["source"] for cell in each["cells"]} for each in (original, saved)
    )
    num_changed = sum(before[each] != after[each] for each in before.keys() & after.keys())
    num_added, num_removed = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    return f"cells changed: {num_changed}, added: {num_added}, removed: {num_removed}"


def _import_jupytext() -> types.ModuleType:
    try:
        import jupytext
    except ImportError:
        raise ValueError(
            "jupytext is not installed: pip install -r tests/requirements.txt"
        ) from None
    return jupytext


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _state_path(script_path: Path) -> Path:
    return script_path.with_name(f".{script_path.stem}.edit.json")


def _write_state(script_path: Path, notebook: dict) -> None:
    state = {"notebook": version(notebook), "script": _digest(script_path.read_bytes())}
    write_atomically(_state_path(script_path), json.dumps(state))


def _read_state(script_path: Path) -> dict[str, str] | None:
    try:
        state = json.loads(_state_path(script_path).read_bytes())
        return {"notebook": state["notebook"], "script": state["script"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
