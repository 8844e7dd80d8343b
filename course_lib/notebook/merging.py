"""Merging a learner's notebook with a newer chapter, three-way by cell id, in memory."""

import copy
import dataclasses
import hashlib
import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from course_lib.notebook.notebooks import (
    KEPT_CELL_METADATA,
    adopt_ids,
    free_id,
    same,
    title,
)

NEW_VERSION = "The course's new version of the cell above"
REMOVED = "*The course no longer has the cell below. It is yours, to keep or to delete.*"


@dataclasses.dataclass(frozen=True)
class MergeReport:
    """Titles of the cells by what became of them; true if there is anything to tell."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    still_deleted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))


def merge(base: dict | None, mine: dict, new: dict) -> tuple[dict, MergeReport]:
    """The learner's notebook with the course's changes, and what happened: no work is lost.

    `base` is the course's version that `mine` came from. Cells that the learner never touched
    follow `new`, in content and place; touched, added and moved ones stay. Where both changed,
    the new cell stands below theirs, marked. Deleted cells stay deleted. Outputs are kept.
    Without a base (None) every difference counts as both sides' change.
    """
    mine = adopt_ids(mine, base)
    cells = _Cells.of(base, mine, new)
    kept, report = _merge_contents(cells)
    merged = mine | {"cells": _merge_order(cells, kept)}
    report["added"] = [title(cells.new[cell_id]) for cell_id in cells.arriving()]
    report["moved"] = [
        title(cells.new[cell_id]) for cell_id in cells.new if cell_id in cells.moving
    ]
    report["still_deleted"] = [
        title(theirs)
        for cell_id, theirs in cells.new.items()
        if cell_id in cells.base
        and cell_id not in cells.mine
        and not same(theirs, cells.base[cell_id])
    ]
    return merged, MergeReport(**{name: tuple(titles) for name, titles in report.items()})


@dataclasses.dataclass(frozen=True)
class _Cells:
    """The three versions by id in their orders, and who moved what."""

    base: dict[str, dict]
    mine: dict[str, dict]
    new: dict[str, dict]
    moved_by_learner: frozenset[str]
    moved_by_course: frozenset[str]

    @classmethod
    def of(cls, base: dict | None, mine: dict, new: dict) -> "_Cells":
        versions = [
            {cell["id"]: cell for cell in version["cells"]} if version else {}
            for version in (base, mine, new)
        ]
        return cls(*versions, _moved(versions[0], versions[1]), _moved(versions[0], versions[2]))

    def is_touched(self, cell_id: str) -> bool:
        """Does the learner's cell differ from the one the course gave?"""
        return cell_id not in self.base or not same(self.mine[cell_id], self.base[cell_id])

    def arriving(self) -> list[str]:
        """Ids that the course added and the learner does not have."""
        return [each for each in self.new if each not in self.base and each not in self.mine]

    @property
    def moving(self) -> set[str]:
        """Cells that go where the course moved them: the learner neither touched nor moved them."""
        mine = self.moved_by_course & self.mine.keys() - self.moved_by_learner
        return {cell_id for cell_id in mine if not self.is_touched(cell_id)}


def _moved(before: Iterable[str], after: Iterable[str]) -> frozenset[str]:
    """Ids in both orders that stand outside their common subsequence."""
    shared = set(before) & set(after)
    first = [cell_id for cell_id in before if cell_id in shared]
    second = [cell_id for cell_id in after if cell_id in shared]
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        shared -= set(first[block.a : block.a + block.size])
    return frozenset(shared)


def _merge_contents(cells: _Cells) -> tuple[list[dict], dict[str, list[str]]]:
    """The learner's cells in their order with the course's content; titles for the report."""
    report = {name: [] for name in ("changed", "removed", "conflicts", "orphaned")}
    notes = _Notes(cells)
    kept = []
    for cell_id, cell in cells.mine.items():
        old, theirs = cells.base.get(cell_id), cells.new.get(cell_id)
        if theirs is None:
            if old is None:
                kept += notes.keep(cell)
            elif same(cell, old):
                report["removed"].append(title(cell))
            else:
                report["orphaned"].append(title(cell))
                kept += [*notes.removal(cell), cell]
        elif same(cell, theirs) or (old is not None and same(old, theirs)):
            kept.append(_follow_metadata(cell, old, theirs))
        elif old is not None and same(cell, old):
            report["changed"].append(title(theirs))
            kept.append(_follow(cell, old, theirs))
        else:
            report["conflicts"].append(title(theirs))
            kept += [_follow_metadata(cell, old, theirs), *notes.new_version(cell, theirs)]
    return kept, report


def _follow(cell: dict, old: dict, theirs: dict) -> dict:
    """The course's cell with the learner's outputs; an emptied count says that they are older."""
    followed = copy.deepcopy(theirs)
    followed["metadata"] = _follow_metadata(cell, old, theirs)["metadata"]
    if cell["cell_type"] == theirs["cell_type"] == "code":
        followed |= {"outputs": cell["outputs"], "execution_count": None}
    if cell.get("attachments") and theirs["cell_type"] != "code":
        followed["attachments"] = cell["attachments"] | theirs.get("attachments", {})
    return followed


def _follow_metadata(cell: dict, old: dict | None, theirs: dict) -> dict:
    """The cell with the course's slide type and tags where the learner left them alone."""
    metadata = dict(cell["metadata"])
    given = old["metadata"] if old else {}
    for key in KEPT_CELL_METADATA:
        if metadata.get(key) == given.get(key):
            metadata.pop(key, None)
            if theirs["metadata"].get(key):
                metadata[key] = theirs["metadata"][key]
    return cell | {"metadata": metadata}


class _Notes:
    """The cells that an update writes into a learner's notebook, each only once."""

    def __init__(self, cells: _Cells):
        self._taken = {*cells.base, *cells.mine, *cells.new}
        self._cells = cells
        self._noted = [_note(cell) for cell in cells.mine.values()]

    def keep(self, cell: dict) -> list[dict]:
        """The cell, unless it is an untouched note that is outdated or settled."""
        note = _note(cell)
        target = str(note.get("new_version_of"))
        mine, theirs = self._cells.mine.get(target), self._cells.new.get(target)
        is_untouched = note.get("written") == _digest(cell["source"])
        if mine is None or theirs is None or not is_untouched:
            return [cell]
        old = self._cells.base.get(target)
        is_settled = same(mine, theirs) or (old is not None and same(mine, old))
        is_outdated = (
            old is not None and not same(old, theirs) and note.get("of") != _version(theirs)
        )
        return [] if is_settled or is_outdated else [cell]

    def new_version(self, cell: dict, theirs: dict) -> list[dict]:
        """The course's cell under its mark, unless the notebook shows it already."""
        made = {"new_version_of": cell["id"], "of": _version(theirs)}
        if any(made.items() <= note.items() for note in self._noted):
            return []
        source = _marked(theirs, cell)
        note = made | {"written": _digest(source)}
        return [self._make(theirs, f"{cell['id'][:56]}-new", source, note)]

    def removal(self, cell: dict) -> list[dict]:
        """The line above a cell that the course no longer has."""
        note = {"removed": cell["id"]}
        if note in self._noted:
            return []
        markdown = {"cell_type": "markdown", "metadata": {}}
        return [self._make(markdown, f"{cell['id'][:52]}-removed", REMOVED, note)]

    def _make(self, like: dict, wanted_id: str, source: str, note: dict) -> dict:
        cell_id = free_id(wanted_id, self._taken)
        self._taken.add(cell_id)
        metadata = like["metadata"] | {"course": note}
        return copy.deepcopy(like) | {"id": cell_id, "source": source, "metadata": metadata}


def _note(cell: dict) -> dict:
    note = cell["metadata"].get("course")
    return note if isinstance(note, dict) else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version(cell: dict) -> str:
    return _digest(f"{cell['cell_type']}\0{cell['source']}")


def _marked(theirs: dict, mine: dict) -> str:
    """The course's source under its mark: commented out where it would undo the learner's answer.

    A stub below an answer of the same name would replace it as soon as all cells are run.
    """
    source = theirs["source"]
    if theirs["cell_type"] != "code":
        return f"*{NEW_VERSION}:*\n\n{source}"
    if "NotImplementedError" in source and _definitions(source) & _definitions(mine["source"]):
        commented = "\n".join(f"# {line}".rstrip() for line in source.splitlines())
        return f"# {NEW_VERSION} (uncomment it to use it)\n{commented}"
    if source.startswith("%%"):
        magic, _, rest = source.partition("\n")
        return f"{magic}\n# {NEW_VERSION}\n{rest}"
    return f"# {NEW_VERSION}\n{source}"


def _definitions(source: str) -> set[str]:
    return set(re.findall(r"^(?:async +)?(?:def|class) +(\w+)", source, re.MULTILINE))


def _merge_order(cells: _Cells, kept: list[dict]) -> list[dict]:
    """`kept` with the arriving cells and those that move with the course in their places.

    Each goes below the nearest cell that stands before it in the course, after what the learner
    wrote there.
    """
    moving = cells.moving
    arriving = cells.arriving()
    incoming = {cell["id"]: cell for cell in kept if cell["id"] in moving}
    incoming |= {cell_id: copy.deepcopy(cells.new[cell_id]) for cell_id in arriving}
    misplaced = cells.moved_by_learner | (cells.moved_by_course - moving)
    placed = [cell for cell in kept if cell["id"] not in moving]
    above = None
    for cell_id in cells.new:
        if cell_id in incoming:
            placed.insert(_place_below(above, placed, cells), incoming[cell_id])
            above = cell_id
        elif cell_id in cells.mine and cell_id not in misplaced:
            above = cell_id
    return placed


def _place_below(above: str | None, placed: list[dict], cells: _Cells) -> int:
    if above is None:
        return 0
    position = [cell["id"] for cell in placed].index(above) + 1
    while position < len(placed) and placed[position]["id"] not in cells.new:
        position += 1
    return position
