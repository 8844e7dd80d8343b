"""`course weights`: train the models that the course ships, from nothing."""

import argparse
import shutil
import time

from course_lib.notebook.places import ROOT

HELP = "train the shipped models anew, from generated text (half an hour on two cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")
    parser.add_argument("--list", action="store_true", help="print what there is and train nothing")


def run(arguments: argparse.Namespace) -> int:
    """Make each into weights/; what was interrupted goes on from build/weights/."""
    import torch

    from course_lib.notebook.presets import allowed_threads
    from course_lib.recipes.table import RECIPES

    for name in arguments.names:
        if name not in RECIPES:
            raise ValueError(f"{name!r} is no recipe: there are {', '.join(RECIPES)}")
    torch.set_num_threads(allowed_threads(2))
    for name in arguments.names or RECIPES:
        recipe = RECIPES[name]
        print(f"{name}: about {recipe.minutes} minutes on two idle cores", flush=True)
        if arguments.list:
            continue
        work, start = ROOT / "build" / "weights" / name, time.monotonic()
        work.mkdir(parents=True, exist_ok=True)
        recipe.make(ROOT / "weights", work)
        shutil.rmtree(work)
        print(f"{name}: made in {(time.monotonic() - start) / 60:.0f} minutes")
    return 0
