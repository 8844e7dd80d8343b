"""course clean: remove what can be made or fetched again; never the learner's work."""

import argparse

HELP = "remove build/ and, with --cache, the fetched data; never your work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", action="store_true", help="the fetched data too")


def run(arguments: argparse.Namespace) -> int:
    from course_lib.notebook.clean import remove
    from course_lib.notebook.places import ROOT
    from course_lib.notebook.scripts import has_unsaved_edits

    unsaved = [path for path in (ROOT / "build").glob("[0-9][0-9]_*.py") if has_unsaved_edits(path)]
    if unsaved:
        raise ValueError(f"{unsaved[0]} has edits: `course save` them first, or delete the file")
    folders = [ROOT / "build"]
    if arguments.cache:
        from course_lib.text.sources import cache_folder

        folders.append(cache_folder())
    for folder in folders:
        print(remove(folder))
    return 0
