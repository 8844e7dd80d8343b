"""`course update`: bring the learner's copies up to the course's chapters."""

import argparse
import sys

from course_lib.notebook import places

HELP = "merge newer chapters into your copies; what you wrote stays"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The chapter, or none for all."""
    parser.add_argument("chapter", nargs="?", help="01 or 01_tokenization; all if left out")


def run(arguments: argparse.Namespace) -> int:
    """Update, say what changed; 1 if a chapter could not be updated (the others are)."""
    from course_lib.notebook.update import copy_new_chapters, update_chapter

    stems = [places.find_stem(arguments.chapter)] if arguments.chapter else places.chapter_stems()
    copied = copy_new_chapters()
    exit_code, news, is_updated = 0, {}, False
    for stem in stems:
        if stem in copied:
            print(f"{stem}: copied")
            continue
        try:
            update = update_chapter(stem)
        except ValueError as error:
            print(f"course update: {error}", file=sys.stderr)
            exit_code = 1
            continue
        print(update)
        news |= dict.fromkeys(update.changelog)
        is_updated = is_updated or update.before is not None
    if news:
        print("\nFrom CHANGELOG.md:", *news, sep="\n  ")
    if is_updated:
        print("\nIs a chapter open in JupyterLab? Choose File > Reload Notebook from Disk there.")
    return exit_code
