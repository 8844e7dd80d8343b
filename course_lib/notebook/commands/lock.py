"""course lock: write constraints.txt anew, for every Python and platform at once."""

import argparse

HELP = "resolve the requirements anew and write constraints.txt (for maintainers)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(arguments: argparse.Namespace) -> int:
    from course_lib.notebook.lock import differences, write_constraints
    from course_lib.notebook.places import ROOT

    path = ROOT / "constraints.txt"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    write_constraints(ROOT)
    after = path.read_text(encoding="utf-8")
    print(*differences(before, after), sep="\n")
    print(f"{path.name}: {len(after.splitlines())} lines")
    return 0
