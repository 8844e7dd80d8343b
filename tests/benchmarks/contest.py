"""Contestants beside each other: CPU seconds of one process, best of several rounds.

The rounds are interleaved, so that a busy machine slows all alike; each call gets a fresh input.
"""

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

Contestant = tuple[Callable[[int], Any], Callable[[Any], Any]]
"""(round -> fresh input, input -> result); only the second is timed."""

UNSTEADY = 1.15


def measure(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each contestant in each round, interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, (prepare, work) in contestants.items():
            given = prepare(number)
            gc.collect()
            start = time.process_time()
            work(given)
            seconds[name].append(time.process_time() - start)
    return seconds


def unsteady(seconds: list[float]) -> bool:
    """True if the best of the two halves of the rounds differ by more than 15 %."""
    half = (len(seconds) + 1) // 2
    halves = sorted((min(seconds[:half]), min(seconds[half:] or seconds)))
    return halves[1] > UNSTEADY * halves[0]


def report(title: str, ours: str, seconds: Mapping[str, list[float]], goals: Mapping[str, str]):
    """Print the best of each contestant, and ours as a multiple of it beside the goal."""
    print(f"\n{title}")
    for name, each in seconds.items():
        ratio = min(seconds[ours]) / min(each)
        remark = "  (halves differ by more than 15 %)" if unsteady(each) else ""
        goal = f"  goal: {goals[name]}" if name in goals else ""
        beside = "" if name == ours else f"  {ours} / this = {ratio:6.3f}"
        print(f"  {name:28} {min(each) * 1e3:10.1f} ms{beside}{goal}{remark}")


def describe_machine(packages: list[str]) -> str:
    """Versions and load, in a line."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {versions}; load {load:.1f}, {os.cpu_count()} CPUs"
