"""Removing a folder that can be made again, and refusing one that holds what cannot."""

import shutil
from pathlib import Path

from course_lib.notebook.places import ROOT, work_folder


def remove(folder: Path) -> str:
    """Delete the folder and return the sentence that says what went and how much.

    ValueError if it holds, or lies in, the learner's work, or holds the course or the home folder.
    A link is removed, not what it points to.
    """
    if folder.is_symlink():
        folder.unlink()
        return f"removed the link {folder}; what it points to is untouched"
    if not folder.exists():
        return f"nothing to remove: there is no {folder}"
    place, work = folder.resolve(), work_folder().resolve()
    for kept in (work, ROOT.resolve(), Path.home().resolve()):
        if kept.is_relative_to(place):
            raise ValueError(f"{folder} is not removed: it holds {kept}")
    if place.is_relative_to(work):
        raise ValueError(f"{folder} is not removed: it lies in your work, {work}")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    shutil.rmtree(folder)
    return f"removed {folder}: {len(files)} files, {size / 1e6:.1f} MB"
