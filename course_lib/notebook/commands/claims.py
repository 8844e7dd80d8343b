"""`course claims`: run the chapters thoroughly and record what they measured."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course_lib.notebook import places
from course_lib.notebook.measurements import (
    claimed_keys,
    entries_of,
    is_stale,
    load_record,
    read_chapter,
    save_record,
)
from course_lib.notebook.notebooks import read_notebook

HELP = "measure the lecture's claims thoroughly (hours; may be stopped and resumed)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapter", nargs="*", help="which chapters; all if none is named")
    parser.add_argument("--all", action="store_true", help="also those measured and unchanged")


def run(arguments: argparse.Namespace) -> int:
    """Run each chapter that has a missing or stale claim; record it before the next begins."""
    stems = [places.find_stem(chapter) for chapter in arguments.chapter] or places.chapter_stems()
    failed = 0
    for stem in stems:
        keys = claimed_keys(read_chapter(stem))
        if not keys or not (arguments.all or needs_measuring(keys, stem)):
            print(f"{stem}: {len(keys)} claims, nothing to measure")
            continue
        print(f"{stem}: {len(keys)} claims, measuring ...", flush=True)
        failed += not measure(stem)
    return 1 if failed else 0


def needs_measuring(keys: list[str], stem: str) -> bool:
    """True if a claim of the chapter is missing from the record, stale, or there without a call."""
    record = load_record()
    recorded = {key for key, entry in record.items() if entry["chapter"] == stem}
    return recorded != set(keys) or any(is_stale(record[key]) for key in keys)


def measure(stem: str) -> bool:
    """Execute the chapter in a process of its own and put its claims into the record."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        executed = execute(read_chapter(stem), Path(folder), preset="thorough")
    seconds = time.monotonic() - started
    if isinstance(executed, str):
        print(f"{stem}: failed after {seconds:.0f} s: {executed}", file=sys.stderr)
        return False
    fresh = entries_of(executed, stem=stem, seconds=seconds)
    kept = {key: entry for key, entry in load_record().items() if entry["chapter"] != stem}
    save_record(kept | fresh)
    print(f"{stem}: {len(fresh)} claims measured in {seconds:.0f} s")
    return True


def execute(notebook: dict, folder: Path, *, preset: str) -> dict | str:
    """The executed notebook, or its error in a line; `folder` stands in for the learner's work."""
    command = [sys.executable, "-m", "nbconvert", "--to=notebook", "--execute", "--stdin"]
    command += ["--output=executed", f"--output-dir={folder}", "--log-level=ERROR"]
    command += [
        "--ExecutePreprocessor.timeout=-1",
        "--ExecutePreprocessor.store_widget_state=False",
    ]
    environment = {**os.environ, "COURSE_PRESET": preset, "COURSE_HOME": str(folder)}
    source = json.dumps(notebook).encode()
    finished = subprocess.run(
        command, input=source, cwd=folder, env=environment, stderr=subprocess.PIPE, check=False
    )
    if finished.returncode:
        from nbconvert.filters import strip_ansi

        lines = strip_ansi(finished.stderr.decode(errors="replace")).strip().splitlines()
        return lines[-1] if lines else f"exit code {finished.returncode}"
    return read_notebook(folder / "executed.ipynb")
