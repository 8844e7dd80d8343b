"""Notebook files: reading them with limits, cell ids, stripping, writing."""

import copy
import hashlib
import json
import re
import stat
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.notebook import places

MAXIMUM_BYTES = 64 * 2**20
KEPT_CELL_METADATA = ("slideshow", "tags")
STRIPPED_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read_notebook(path: Path | str, *, repair_ids: bool = True) -> dict:
    """The notebook at `path` as a dict whose cells have text as `source` and unique ids.

    Anything else than a regular UTF-8 file of at most 64 MiB with the structure of nbformat 4 is a
    one-line ValueError that names the file and the cell. A missing, malformed or repeated id gets
    a new one (see `add_missing_ids`) unless `repair_ids=False`. Outputs stay as the file has them.
    """
    notebook = parse_notebook(read_bytes(Path(path)), str(path))
    return add_missing_ids(notebook) if repair_ids else notebook


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most 64 MiB; a one-line ValueError otherwise."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ValueError(f"{path}: is a symbolic link; a notebook must be a regular file")
        if not stat.S_ISREG(mode):
            raise ValueError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            data = file.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such notebook") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAXIMUM_BYTES:
        raise ValueError(
            f"{path}: is larger than {MAXIMUM_BYTES // 2**20} MiB; clear its outputs and save it"
        )
    return data


def parse_notebook(data: bytes, name: str) -> dict:
    """The notebook in `data`; ValueError begins with `name`. Ids are left as they are."""
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
        if _SURROGATE.search(data):
            json.dumps(notebook, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: is not UTF-8 text (byte {error.start})") from None
    except UnicodeEncodeError:
        raise ValueError(f"{name}: holds half of a surrogate pair, which is no text") from None
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno}: {error.msg}" if data.strip() else "it is empty"
        raise ValueError(f"{name}: is not a whole notebook ({reason})") from None
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{name}: is not a notebook ({reason})") from None
    _check_notebook(notebook, name)
    for number, cell in enumerate(notebook["cells"], start=1):
        _check_cell(cell, f"{name}: cell {number}")
        if isinstance(cell["source"], list):
            cell["source"] = "".join(cell["source"])
    return notebook


def _check_notebook(notebook: object, name: str) -> None:
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise ValueError(f"{name}: is not a notebook (no nbformat)")
    if notebook["nbformat"] != 4:
        found = repr(notebook["nbformat"])[:20]
        raise ValueError(f"{name}: nbformat = {found}, must be 4; open and save it in JupyterLab")
    if not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{name}: is not a notebook (no list of cells)")
    if not isinstance(notebook.get("nbformat_minor"), int):
        raise ValueError(f"{name}: is not a notebook (nbformat_minor is not a number)")
    if not isinstance(notebook.get("metadata"), dict):
        raise ValueError(f"{name}: is not a notebook (no metadata)")


def _check_cell(cell: object, name: str) -> None:
    if not isinstance(cell, dict):
        raise ValueError(f"{name}: is not a cell but {repr(cell)[:30]}")
    if isinstance(cell.get("id"), str):
        name = f"{name} (id {cell['id'][:64]!r})"
    if cell.get("cell_type") not in ("code", "markdown", "raw"):
        raise ValueError(f"{name}: cell_type = {repr(cell.get('cell_type'))[:30]} is unknown")
    source = cell.get("source")
    if not isinstance(source, str) and not (
        isinstance(source, list) and all(isinstance(line, str) for line in source)
    ):
        raise ValueError(f"{name}: source = {repr(source)[:30]} is not text")
    if not isinstance(cell.get("metadata"), dict):
        raise ValueError(f"{name}: has no metadata")
    if cell["cell_type"] == "code":
        outputs = cell.get("outputs")
        if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
            raise ValueError(f"{name}: has no list of outputs")


def has_id(cell: dict) -> bool:
    """Does the cell carry an id that nbformat 4.5 allows?"""
    return isinstance(cell.get("id"), str) and bool(_CELL_ID.fullmatch(cell["id"]))


def add_missing_ids(notebook: dict) -> dict:
    """A copy in which every cell has an id of its own: the first of equal ones keeps it.

    A new id is the hash of the cell's type and source, so the same file gives the same ids.
    """
    notebook = copy.deepcopy(notebook)
    taken = {cell["id"] for cell in notebook["cells"] if has_id(cell)}
    seen = set()
    for cell in notebook["cells"]:
        if not has_id(cell) or cell["id"] in seen:
            cell["id"] = free_id(new_id(cell), taken)
        seen.add(cell["id"])
        taken.add(cell["id"])
    notebook["nbformat_minor"] = max(notebook["nbformat_minor"], 5)
    return notebook


def new_id(cell: dict) -> str:
    """Eight hexadecimal digits from the cell's type and source."""
    return hashlib.sha256(f"{cell['cell_type']}\0{cell['source']}".encode()).hexdigest()[:8]


def free_id(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `wanted-2`, `wanted-3`, ...: the first that is not `taken`."""
    candidate, number = wanted, 1
    while candidate in taken:
        number += 1
        candidate = f"{wanted[:58]}-{number}"
    return candidate


def same(one: dict, other: dict) -> bool:
    """Do two cells have the same type and source?"""
    return (one["cell_type"], one["source"]) == (other["cell_type"], other["source"])


def adopt_ids(mine: dict, base: dict | None) -> dict:
    """The notebook with unique ids, where those that are missing come from alike cells of `base`.

    Of cells that share an id (a copy made in an old Jupyter) the one that is the course's keeps it.
    """
    mine = copy.deepcopy(mine)
    base_cells = base["cells"] if base else []
    given = {cell["id"]: cell for cell in base_cells}
    owners = {}
    for cell in filter(has_id, mine["cells"]):
        owner = owners.setdefault(cell["id"], cell)
        original = given.get(cell["id"])
        if original and same(cell, original) and not same(owner, original):
            owners[cell["id"]] = cell
    for original, cell in _alike(base_cells, mine["cells"]):
        if not has_id(cell) and original["id"] not in owners:
            cell["id"] = original["id"]
            owners[cell["id"]] = cell
    taken = {*given, *owners}
    for cell in mine["cells"]:
        if not has_id(cell) or owners[cell["id"]] is not cell:
            cell["id"] = free_id(new_id(cell), taken)
            taken.add(cell["id"])
    return add_missing_ids(mine)


def _alike(base_cells: list[dict], my_cells: list[dict]) -> Iterator[tuple[dict, dict]]:
    """Pairs of equal cells in order, and cells of one type that stand in the place of others."""
    base, mine = (
        [(cell["cell_type"], cell["source"]) for cell in each] for each in (base_cells, my_cells)
    )
    for kind, a, a_end, b, b_end in SequenceMatcher(None, base, mine, autojunk=False).get_opcodes():
        if kind == "equal" or (kind == "replace" and a_end - a == b_end - b):
            for original, cell in zip(base_cells[a:a_end], my_cells[b:b_end], strict=True):
                if original["cell_type"] == cell["cell_type"]:
                    yield original, cell


def strip(notebook: dict) -> dict:
    """The notebook as git keeps it: no outputs, counts or machine's metadata; ids stay.

    Of a cell's metadata `slideshow` and `tags` stay.
    """
    stripped = add_missing_ids(notebook)
    stripped["cells"] = [_strip_cell(cell) for cell in stripped["cells"]]
    stripped["metadata"] = copy.deepcopy(STRIPPED_METADATA)
    return {key: stripped[key] for key in ("cells", "metadata", "nbformat", "nbformat_minor")}


def _strip_cell(cell: dict) -> dict:
    kept = {key: cell["metadata"].get(key) for key in KEPT_CELL_METADATA}
    stripped = {key: cell[key] for key in ("cell_type", "id", "source")}
    stripped["metadata"] = {key: value for key, value in kept.items() if value}
    if cell.get("attachments"):
        stripped["attachments"] = cell["attachments"]
    if cell["cell_type"] == "code":
        stripped |= {"execution_count": None, "outputs": []}
    return stripped


def format_notebook(notebook: dict) -> str:
    """The text of the file, byte for byte what JupyterLab saves: a line of source a line."""
    cells = [
        cell | {"source": cell["source"].splitlines(keepends=True)} for cell in notebook["cells"]
    ]
    layout = {"indent": 1, "sort_keys": True, "ensure_ascii": False, "separators": (",", ": ")}
    return json.dumps(notebook | {"cells": cells}, **layout) + "\n"


def version(notebook: dict) -> str:
    """The hash of what git keeps of a notebook: outputs and the machine's metadata do not count."""
    return hashlib.sha256(format_notebook(strip(notebook)).encode()).hexdigest()[:16]


def write_notebook(path: Path, notebook: dict) -> None:
    """Write the notebook atomically."""
    write_atomically(path, format_notebook(notebook))


def title(cell: dict, *, width: int = 60) -> str:
    """What to call a cell in a sentence: its heading, its first definition, or its first line."""
    source = cell["source"]
    found = None
    if cell["cell_type"] == "code":
        found = re.search(r"^(?:async +)?(?:def|class) +\w+", source, re.MULTILINE)
    first = found.group() if found else next(filter(str.strip, source.splitlines()), "empty cell")
    text = first.strip().lstrip("#").strip() if cell["cell_type"] == "markdown" else first.strip()
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def course_notebooks(chapter: str | None = None) -> list[Path]:
    """The course's chapters and solutions, or those of one chapter ("1", "01_tokenization")."""
    pattern = f"{places.find_stem(chapter)}.ipynb" if chapter else "[0-9][0-9]_*.ipynb"
    folders = (places.ROOT / "chapters", places.ROOT / "solutions")
    return [path for folder in folders for path in sorted(folder.glob(pattern))]
