"""tests/kernels, compiled on this GPU, in as many processes as there are cores (at most sixteen).

Compiling takes most of the time, on one core a process. The course's conftest is left out, so that
neither its requirements nor any plugin are needed.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDER = "tests/kernels"
MOST_PROCESSES = 16
PYTEST = [sys.executable, "-m", "pytest", f"--confcutdir={FOLDER}", "-q", "-p", "no:cacheprovider"]


def run_tests(selection: tuple[str, ...] = ()) -> dict[str, int]:
    """How many passed, failed, were skipped or ended in an error; failures are printed.

    RuntimeError if the tests cannot even be collected.
    """
    names = collect(selection)
    num_processes = min(MOST_PROCESSES, os.cpu_count() or 1, len(names))
    shares = [names[first::num_processes] for first in range(num_processes)]
    running = [_start([*PYTEST, *share]) for share in shares]
    counts: Counter[str] = Counter()
    for process in running:
        output, _ = process.communicate()
        counts += outcomes(output)
        if process.returncode:
            counts["errors"] += process.returncode != 1  # 1: the failures are in the summary
            print(output)
    missing = len(names) - sum(counts.values())
    return {"passed": 0, "failed": 0, "skipped": 0, "errors": 0, "missing": missing} | dict(counts)


def collect(selection: tuple[str, ...]) -> list[str]:
    """The names of the tests."""
    process = _start([*PYTEST, "--collect-only", FOLDER, *selection])
    output, _ = process.communicate()
    names = [line for line in output.splitlines() if line.startswith(FOLDER) and "::" in line]
    if process.returncode or not names:
        raise RuntimeError(f"{FOLDER} could not be collected:\n{output}")
    return names


def outcomes(output: str) -> Counter[str]:
    """The counts of pytest's last line: "2 failed, 30 passed, 1 skipped in 3.21s"."""
    last = next((line for line in reversed(output.splitlines()) if " in " in line), "")
    found = re.findall(r"(\d+) (passed|failed|skipped|error)", last)
    return Counter({word.replace("error", "errors"): int(number) for number, word in found})


def _start(command: list[str]) -> subprocess.Popen:
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
