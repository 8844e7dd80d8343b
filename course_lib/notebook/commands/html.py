"""`course html`: chapters and solutions as web pages with their outputs."""

import argparse
import sys

HELP = "run chapters and solutions and render them into build/html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The chapter, or none for all; `--no-execute` shows the notebooks as they are."""
    parser.add_argument("chapter", nargs="?", help="01 or 01_tokenization; all if left out")
    parser.add_argument("--no-execute", action="store_true", help="do not run them first")


def run(arguments: argparse.Namespace) -> int:
    """Render, naming each page; 1 if a notebook did not run to its end."""
    from course_lib.notebook import pages
    from course_lib.notebook.notebooks import course_notebooks

    exit_code = 0
    for path in course_notebooks(arguments.chapter):
        problem = pages.render(path, execute=not arguments.no_execute)
        print(pages.page_path(path), flush=True)
        if problem:
            print(f"course html: {problem}", file=sys.stderr)
            exit_code = 1
    print(pages.write_index())
    return exit_code
