"""`course strip`: notebooks as git keeps them, without outputs."""

import argparse

HELP = "clear outputs and volatile metadata of chapters and solutions; cell ids stay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The chapter, or none for all; `--check` only looks."""
    parser.add_argument("chapter", nargs="?", help="01 or 01_tokenization; all if left out")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; 1 if any is unstripped"
    )


def run(arguments: argparse.Namespace) -> int:
    """Strip, naming the files that were not."""
    from course_lib.files import write_atomically
    from course_lib.notebook import places
    from course_lib.notebook.notebooks import (
        course_notebooks,
        format_notebook,
        read_notebook,
        strip,
    )

    unstripped = []
    for path in course_notebooks(arguments.chapter):
        text = format_notebook(strip(read_notebook(path)))
        if path.read_bytes() != text.encode():
            unstripped.append(path)
            if not arguments.check:
                write_atomically(path, text)
    for path in unstripped:
        said = "is not stripped: course strip" if arguments.check else "stripped"
        print(f"{path.relative_to(places.ROOT)}: {said}")
    return 1 if arguments.check and unstripped else 0
