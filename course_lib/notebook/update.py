"""Updating the learner's copies of the chapters: first copies, what has changed, the update.

Beside the copies, `work/.course/base` keeps each version that a copy came from under its hash, and
a copy's metadata says which. So replacing the copy is the one step that counts: whatever the
moment an update is killed at, the copy is the old or the new one and its base is there.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from course_lib.files import locked, write_atomically
from course_lib.notebook import places
from course_lib.notebook.merging import MergeReport, merge
from course_lib.notebook.notebooks import (
    parse_notebook,
    read_bytes,
    read_notebook,
    same,
    strip,
    version,
    write_notebook,
)

SENTENCES = {
    "changed": "{} now as in the course",
    "added": "{} added by the course",
    "removed": "{} removed, as in the course",
    "moved": "{} moved, as in the course",
    "conflicts": "{} changed by you and by the course: the new one stands below yours",
    "orphaned": "{} removed by the course but kept, since you changed it",
    "still_deleted": "{} changed by the course but still deleted, as you left it",
}


@dataclasses.dataclass(frozen=True)
class Update:
    """What became of one chapter; `before` is where the file before is kept, if it changed."""

    stem: str
    report: MergeReport
    before: Path | None = None
    changelog: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.stem}: nothing new"
        lines = [f"{self.stem}: updated"]
        for name, sentence in SENTENCES.items():
            titles = getattr(self.report, name)
            if titles:
                shown = ", ".join(f'"{each}"' for each in titles[:5])
                more = f" and {len(titles) - 5} more" if len(titles) > 5 else ""
                cells = f"{len(titles)} cell{'s' if len(titles) > 1 else ''}"
                lines.append(f"  {sentence.format(cells)}: {shown}{more}")
        return "\n".join([*lines, f"  your file before: {self.before}"])


def copy_new_chapters(work: Path | None = None) -> list[str]:
    """Copy each chapter that `work` does not have yet; the stems copied. No file is replaced."""
    work = work or places.work_folder()
    copied = []
    for stem in places.chapter_stems():
        copy = _copy_path(work, stem)
        if not copy.exists() and not copy.is_symlink():
            with _lock(work):
                new = strip(read_notebook(_chapter_path(stem)))
                _keep_base(work, stem, new)
                write_notebook(copy, _with_version(new, version(new)))
            copied.append(stem)
    return copied


def changed_chapters(work: Path | None = None) -> list[str]:
    """Stems of the copied chapters that the course has another version of.

    A copy that cannot be read is left for `course update` to name.
    """
    work = work or places.work_folder()
    changed = []
    for stem in places.chapter_stems():
        try:
            mine = read_notebook(_copy_path(work, stem), repair_ids=False)
            if _version_of_copy(mine) != version(read_notebook(_chapter_path(stem))):
                changed.append(stem)
        except ValueError:
            continue
    return changed


def update_chapter(stem: str, work: Path | None = None) -> Update:
    """Merge the course's chapter into the learner's copy; the file before is kept.

    ValueError if either cannot be read or the copy is saved meanwhile: nothing is changed then.
    """
    work = work or places.work_folder()
    copy = _copy_path(work, stem)
    with _lock(work):
        content = read_bytes(copy)
        mine = parse_notebook(content, str(copy))
        new = strip(read_notebook(_chapter_path(stem)))
        base = _base_of(work, stem, mine)
        if base is not None and _version_of_copy(mine) == version(new):
            return Update(stem, MergeReport())
        changelog = _new_changelog(work, stem, base)
        merged, report = merge(base, mine, new)
        _keep_base(work, stem, new)
        before = _keep_before(work, stem, content)
        if read_bytes(copy) != content:
            raise ValueError(f"{copy}: was saved during the update; run `course update` again")
        write_notebook(copy, _with_version(merged, version(new)))
    return Update(stem, report, before, changelog)


def new_lines(before: str, after: str) -> tuple[str, ...]:
    """Lines of `after` that `before` does not have, in order, without blank ones."""
    known = set(before.splitlines())
    return tuple(line for line in after.splitlines() if line.strip() and line not in known)


def _chapter_path(stem: str) -> Path:
    return places.ROOT / "chapters" / f"{stem}.ipynb"


def _copy_path(work: Path, stem: str) -> Path:
    return work / f"{stem}.ipynb"


def _lock(work: Path) -> contextlib.AbstractContextManager[None]:
    return locked(work / ".course" / "update.lock")


def _with_version(notebook: dict, name: str) -> dict:
    return notebook | {"metadata": notebook["metadata"] | {"course": {"version": name}}}


def _version_of_copy(notebook: dict) -> str:
    note = notebook["metadata"].get("course")
    return str(note.get("version")) if isinstance(note, dict) else ""


def _keep_base(work: Path, stem: str, new: dict) -> None:
    """Keep the course's chapter, and the CHANGELOG of now, as the base of a later update."""
    kept = work / ".course" / "base" / f"{stem}.{version(new)}.ipynb"
    write_atomically(kept.with_suffix(".md"), _changelog())
    write_notebook(kept, new)


def _base_of(work: Path, stem: str, mine: dict) -> dict | None:
    """The version that `mine` came from: the one it names, else the most alike of those kept."""
    kept = dict(_bases(work, stem))
    named = kept.get(_version_of_copy(mine))
    return named or max(kept.values(), key=lambda base: _num_shared_cells(base, mine), default=None)


def _bases(work: Path, stem: str) -> Iterator[tuple[str, dict]]:
    for path in sorted((work / ".course" / "base").glob(f"{stem}.*.ipynb")):
        with contextlib.suppress(ValueError):
            yield path.stem.removeprefix(f"{stem}."), read_notebook(path)


def _num_shared_cells(base: dict, mine: dict) -> int:
    return sum(any(same(cell, other) for other in mine["cells"]) for cell in base["cells"])


def _keep_before(work: Path, stem: str, content: bytes) -> Path:
    folder = work / ".course" / "before"
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    path, number = folder / f"{stem}.{stamp}.ipynb", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}.{stamp}_{number}.ipynb"
    write_atomically(path, content)
    return path


def _changelog() -> str:
    path = places.ROOT / "CHANGELOG.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _new_changelog(work: Path, stem: str, base: dict | None) -> tuple[str, ...]:
    """The CHANGELOG's lines since the base; none when the base or its CHANGELOG is unknown."""
    if base is None:
        return ()
    kept = work / ".course" / "base" / f"{stem}.{version(base)}.md"
    if not kept.exists():
        return ()
    return new_lines(kept.read_text(encoding="utf-8", errors="replace"), _changelog())
