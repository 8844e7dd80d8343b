"""`course progress`: what is solved and what is left."""

import argparse

from course_lib.notebook import places

HELP = "show what you have solved and how many minutes are left"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A chapter to see its exercises one by one."""
    parser.add_argument("chapter", nargs="?", help="01 or 01_tokenization; all if left out")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or one chapter's exercises."""
    from course_lib.notebook.exercises import EXERCISES
    from course_lib.notebook.journal import progress

    if arguments.chapter is None:
        print(progress())
        return 0
    stem = places.find_stem(arguments.chapter)
    table = progress({stem: EXERCISES.get(stem, ())})
    print(table, *table.chapters[0].exercises, sep="\n")
    return 0
