"""`course save`: put an edited script back into its chapter."""

import argparse

HELP = "put an edited script back into its chapter"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The chapter, or its solution."""
    parser.add_argument("chapter", help="01 or 01_tokenization")
    parser.add_argument("--solution", action="store_true", help="its solution notebook instead")


def run(arguments: argparse.Namespace) -> int:
    """Save the script and say what changed."""
    from course_lib.notebook import scripts

    path, script_path = scripts.find_script(arguments.chapter, is_solution=arguments.solution)
    print(f"{path}: {scripts.save(path, script_path)}")
    return 0
