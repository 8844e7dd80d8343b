"""`make gpu`: test the kernels on this GPU, measure them, write the figures and README's table."""

import argparse
import sys
import time
from pathlib import Path

import torch

from .kernel_tests import run_tests
from .plans import DRY, FULL, Plan

BUILD = Path(__file__).parents[3] / "build"
HEAD_DIMS = [64, 128, 256]


def main(words: list[str]) -> int:
    """0; 1 without a GPU, or if a test failed or a kernel of ours did not run."""
    parser = argparse.ArgumentParser(prog="make gpu ARGS=...", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, in the interpreter")
    parser.add_argument("--no-tests", action="store_true", help="only measure")
    parser.add_argument("--build", type=Path, default=BUILD, help="where gpu-DEVICE.json goes")
    parser.add_argument(
        "--tune",
        nargs="*",
        type=int,
        metavar="HEAD_DIM",
        help="only find the best tiles for kernels/tiles.py (minutes for a head_dim)",
    )
    arguments = parser.parse_args(words)
    if not arguments.dry_run and not torch.cuda.is_available():
        print(
            f"make gpu needs an NVIDIA GPU, and torch {torch.__version__} of {sys.executable} "
            "finds none; ARGS=--dry-run goes through it without one.",
            file=sys.stderr,
        )
        return 1
    plan = DRY if arguments.dry_run else FULL
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if arguments.tune is not None:
        from .tuning import tune

        tune(plan.tuning, arguments.tune or HEAD_DIMS, device)
        return 0
    return measure_all(plan, device, arguments)


def measure_all(plan: Plan, device: str, arguments: argparse.Namespace) -> int:
    """Tests first, in processes of their own; then nothing else runs beside what is timed."""
    from . import attention, fused, machine, record, training

    start = time.monotonic()
    found: dict[str, object] = machine.describe(device)
    print(f"{found['device']}, {found['versions']}", flush=True)
    found["tests"] = {} if arguments.no_tests else run_tests(plan.tests)
    print(f"tests of the kernels: {found['tests']}", flush=True)
    deadline = time.monotonic() + plan.seconds
    found["rooflines"] = machine.rooflines(plan, device)
    print(found["rooflines"], flush=True)
    for name, module in {"fused": fused, "training": training, "attention": attention}.items():
        found[name] = []
        for row in module.rows(plan, device, deadline):
            found[name].append(row)
            print(show(row), flush=True)
    found["seconds"] = round(time.monotonic() - start)
    print(f"{found['seconds']} s: {record.save(found, arguments.build)}")
    wrong = faults(found)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if not (wrong or arguments.dry_run or arguments.no_tests):
        record.publish(found)
        print("kernels/gpu.json and README.md: written")
    return 1 if wrong else 0


def show(row: dict[str, object]) -> str:
    """Names and figures in a line, without what is empty."""
    figures = {name: each for name, each in row.items() if each not in (None, "", 0)}
    shown = (
        f"{name} {each:.4g}" if isinstance(each, float) else f"{name} {each}"
        for name, each in figures.items()
    )
    return ", ".join(shown)


def faults(found: dict[str, object]) -> list[str]:
    """A sentence for every failed test and every kernel of ours that could not run."""
    from .attention import OURS as OUR_ATTENTION
    from .fused import OURS as OUR_FUSED
    from .stopwatch import LEFT_OUT

    bad = {kind: found["tests"].get(kind, 0) for kind in ("failed", "errors", "missing")}
    wrong = [f"tests of the kernels: {number} {kind}" for kind, number in bad.items() if number]
    wrong += [
        f"ours did not run: {show(row)}"
        for row in [*found["fused"], *found["attention"]]
        if row["contestant"] in (OUR_ATTENTION, OUR_FUSED)
        and row["reason"] not in ("", LEFT_OUT.reason)
    ]
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
