"""The tracked record of what the chapters measured, `chapters/claims.json`.

An entry is one claim's value with its spread, seeds, verdict, seconds, machine, and hashes of the
code behind it. An entry whose code has changed since is stale: kept, shown as such, measured again.
"""

import ast
import hashlib
import importlib
import inspect
import json
import re
import textwrap
from operator import attrgetter
from typing import Any

from course_lib.files import write_atomically
from course_lib.notebook import places
from course_lib.notebook.machine import machine_summary
from course_lib.notebook.notebooks import read_notebook

CLAIM_MIME = "application/vnd.course.claim+json"

Entry = dict[str, Any]


def load_record() -> dict[str, Entry]:
    """Key ("C12" or "C12 RMSNorm") -> entry; empty where nothing was measured yet."""
    path = places.ROOT / "chapters" / "claims.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged ({error}): restore it with git") from None


def save_record(record: dict[str, Entry]) -> None:
    """Write the record whole or not at all, claims in their order, so that diffs are small."""
    path = places.ROOT / "chapters" / "claims.json"
    ordered = {key: record[key] for key in sorted(record, key=natural_order)}
    text = json.dumps(ordered, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(path, text + "\n")


def natural_order(key: str) -> tuple[int, str]:
    """ "C2" comes before "C10", and before "C2 Russian"."""
    return int(re.match(r"C(\d+)", key)[1]), key


def entries_of(notebook: dict, *, stem: str, seconds: float) -> dict[str, Entry]:
    """The entries of an executed chapter, from what its `claim` cells put out."""
    import torch

    code_hash = cells_hash(notebook)
    machine = f"{machine_summary()}, torch {torch.__version__.partition('+')[0]}"
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", ()))
    rows = (output.get("data", {}).get(CLAIM_MIME) for output in outputs)
    entries = {}
    for row in filter(None, rows):
        entry = {name: value for name, value in row.items() if name not in ("key", "uses")}
        entries[row["key"]] = entry | {
            "chapter": stem,
            "seconds": round(seconds),
            "machine": machine,
            "cells": code_hash,
            "functions": {name: source_hash(name) for name in sorted(row["uses"])},
        }
    return entries


def is_stale(entry: Entry) -> bool:
    """True if the chapter's code, or a function that the claim used, has changed since."""
    return (
        entry["chapter"] not in places.chapter_stems()
        or entry["cells"] != cells_hash(read_chapter(entry["chapter"]))
        or any(source_hash(name) != then for name, then in entry["functions"].items())
    )


def read_chapter(stem: str) -> dict:
    """The tracked notebook of a chapter."""
    return read_notebook(places.ROOT / "chapters" / f"{stem}.ipynb")


def claimed_keys(notebook: dict) -> list[str]:
    """Keys of the `claim("C12", part="...")` calls in a notebook's code, in order.

    ValueError where id or part is not written out: then the record could not be checked.
    """
    keys = []
    for source in code_cells(notebook):
        for node in ast.walk(_parse(source)):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim"):
                continue
            parts = [keyword.value for keyword in node.keywords if keyword.arg == "part"]
            literals = [*node.args[:1], *parts]
            if not node.args or not all(isinstance(each, ast.Constant) for each in literals):
                raise ValueError(f"{ast.unparse(node)}: write the id and the part as plain text")
            keys.append(" ".join(each.value for each in literals))
    return keys


def code_cells(notebook: dict) -> list[str]:
    """Sources of the code cells."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [cell["source"] for cell in cells]


def cells_hash(notebook: dict) -> str:
    """Hash of the code cells; comments, docstrings and layout do not count."""
    return _digest("\n".join(map(_essence, code_cells(notebook))))


def source_hash(name: str) -> str:
    """Hash of the source of `module:name`, as in cells_hash; "gone" where it is no more."""
    module, _, qualified_name = name.partition(":")
    try:
        found = attrgetter(qualified_name)(importlib.import_module(module))
        source = inspect.getsource(getattr(found, "fn", found))  # Triton keeps the function in .fn
    except (ImportError, AttributeError, OSError, TypeError):
        return "gone"
    return _digest(_essence(textwrap.dedent(source)))


def _essence(source: str) -> str:
    tree = _parse(source)
    for node in ast.walk(tree):
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _parse(source: str) -> ast.Module:
    """The source's tree, IPython's lines (%time, !ls) as comments; one string if not Python."""
    lines = ("#" + line if line.startswith(("%", "!")) else line for line in source.splitlines())
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return ast.Module([ast.Expr(ast.Constant(source))], [])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
