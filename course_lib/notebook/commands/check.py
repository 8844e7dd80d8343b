"""`course check`: the verdicts of `check`, read from the notebook files."""

import argparse
from pathlib import Path

HELP = "check the answers in your notebooks (this executes their definitions)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapter", nargs="?", help="a number or a stem; all chapters without it")
    parser.add_argument(
        "--answers", type=Path, metavar="FOLDER", help="instead of your work folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if something was attempted and all of it is right, else 1."""
    from course_lib.notebook.checking import judge, source_of
    from course_lib.notebook.exercises import EXERCISES
    from course_lib.notebook.journal import record
    from course_lib.notebook.places import find_stem, work_folder
    from course_lib.notebook.submissions import Submissions

    submissions = Submissions(arguments.answers or work_folder())
    stems = [find_stem(arguments.chapter)] if arguments.chapter else list(EXERCISES)
    verdicts = []
    for stem in stems:
        print(f"{stem}:")
        for exercise in EXERCISES.get(stem, ()):
            answer, problem = submissions.answer(exercise.name)
            verdict, message = judge(answer, stem, exercise, problem=problem)
            verdicts.append(verdict)
            print(f"{message}\n")
            if arguments.answers is None:  # another's notebooks are not this learner's progress
                notice = record(stem, exercise.name, verdict, source_of(answer))
                print(notice, end="\n\n" if notice else "")
    attempted = [verdict for verdict in verdicts if verdict in ("right", "wrong")]
    print(f"{len(attempted)} of {len(verdicts)} attempted, {attempted.count('right')} right")
    return 0 if attempted and not {"wrong", "unreadable"} & set(verdicts) else 1
