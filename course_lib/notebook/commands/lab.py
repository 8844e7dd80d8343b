"""course lab: JupyterLab on the learner's work, in the course's own environment."""

import argparse

HELP = "copy new chapters into your work and open JupyterLab there"
PASSES_ON = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "course lab [any option of `jupyter lab`, such as --no-browser --port 8899]"


def run(arguments: argparse.Namespace) -> int:
    from course_lib.notebook.lab import start

    start(arguments.unknown)
    return 0
