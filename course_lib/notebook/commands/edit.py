"""`course edit`: write a chapter as a script, build/NN_name.py, to edit it as text."""

import argparse

HELP = "write a chapter as a script, build/NN_name.py, to edit it as text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The chapter, or its solution."""
    parser.add_argument("chapter", help="01 or 01_tokenization")
    parser.add_argument("--solution", action="store_true", help="its solution notebook instead")


def run(arguments: argparse.Namespace) -> int:
    """Write the script and say where it is."""
    from course_lib.notebook import scripts

    path, script_path = scripts.find_script(arguments.chapter, is_solution=arguments.solution)
    scripts.edit(path, script_path)
    print(script_path)
    return 0
