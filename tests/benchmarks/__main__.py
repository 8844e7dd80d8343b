"""`python -m tests.benchmarks [name ...]`: run the benchmarks in bench_NAME.py, or all."""

import argparse
import importlib
import os
import sys
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):  # before any library reads them
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

NAMES = sorted(
    path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")
)


def main() -> int:
    """Run what is asked for; 2 if a name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"one or more of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs")
    arguments = parser.parse_args()
    for name in arguments.names or NAMES:
        if name not in NAMES:
            print(f"{name!r} is no benchmark: there are {', '.join(NAMES)}", file=sys.stderr)
            return 2
        importlib.import_module(f"tests.benchmarks.bench_{name}").run(arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
