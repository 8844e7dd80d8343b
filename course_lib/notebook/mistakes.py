"""Known mistakes: read from the solution notebook, and recognised in a wrong answer.

A mistake is a function or class of `solutions/NN_name.ipynb` that stands in a call
`check_rejects(mistake, "exercise")`; its docstring explains the misconception.
"""

import ast
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from course_lib.notebook.definitions import load_definitions
from course_lib.notebook.exercises import Exercise, plain_function
from course_lib.notebook.places import ROOT
from course_lib.notebook.recording import Call
from course_lib.notebook.running import Result, run_checks
from course_lib.notebook.time_limits import call_limited

REPLAY_SECONDS = 4.0


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that learners give; `explanation` says what is misunderstood."""

    name: str
    explanation: str
    answer: Callable
    num_lines: int


def load_mistakes(stem: str, exercise: Exercise) -> tuple[Mistake, ...]:
    """The known mistakes of one exercise, shortest first; none if there is no solution."""
    path = ROOT / "solutions" / f"{stem}.ipynb"
    return _read_mistakes(path, _changed(path), exercise) if path.exists() else ()


@functools.cache
def _read_mistakes(path: Path, changed: int, exercise: Exercise) -> tuple[Mistake, ...]:
    definitions = load_definitions(path, [])
    found = []
    for name in _rejected_names(definitions.trees, exercise.name):
        answer = definitions.namespace[name]
        explanation = " ".join((plain_function(answer).__doc__ or "").split())
        num_lines = len(inspect.getsource(plain_function(answer)).split("\n"))
        found.append(Mistake(name, explanation, answer, num_lines))
    return tuple(sorted(found, key=lambda mistake: mistake.num_lines))


def _changed(path: Path) -> int:
    """When the file was changed: what was read or computed of another version is not used."""
    return path.stat().st_mtime_ns


def _rejected_names(trees: list[tuple[int, ast.Module]], exercise_name: str) -> list[str]:
    names = []
    for _, tree in trees:
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check_rejects"):
                continue
            mistake, exercise = node.args
            if ast.literal_eval(exercise) == exercise_name and isinstance(mistake, ast.Name):
                names.append(mistake.id)
    return names


def name_mistakes(result: Result, stem: str, exercise: Exercise) -> list[Mistake]:
    """The known mistakes that a wrong answer makes; [] if it is none of them.

    By calls: a mistake is recognised if it gives what the answer gave on all recorded calls,
    else on the first telling call of every failing check; a call is telling if the library's
    outcome differs from the answer's. By checks: if the same checks fail with the same values, else
    if all of the mistake's do, and they are more than half: the answer makes it and another.
    """
    mistakes = load_mistakes(stem, exercise)
    if exercise.replay == "checks":
        return _made_by_checks(mistakes, result, stem, exercise)
    library = exercise.library_object()
    telling = [call for call in result.calls if not _same(library, [call])]
    if not telling:
        return []
    failing = {outcome.test for outcome in result.failed}
    first: dict[str, Call] = {}
    for call in telling:
        if call.check in failing:
            first.setdefault(call.check, call)
    exact = [mistake for mistake in mistakes if _same(mistake.answer, result.calls)]
    return exact or [
        mistake for mistake in mistakes if first and _same(mistake.answer, list(first.values()))
    ]


def _same(function: Callable, calls: list[Call]) -> bool:
    """True if `function` gives on every call what the recorded answer gave."""

    def same() -> bool:
        return all(call.outcome.agrees(call.replay(function)) for call in calls)

    return call_limited(same, REPLAY_SECONDS)[0] is True


def _made_by_checks(
    mistakes: Sequence[Mistake], result: Result, stem: str, exercise: Exercise
) -> list[Mistake]:
    """Those that explain all failures, or at least more than half: the most there is."""
    version = _changed(ROOT / "tests" / "chapters" / f"test_{stem}.py")
    failures = set(_failures(result))
    explained = [set(_failures_of(each, stem, exercise, version)) for each in mistakes]
    sizes = [len(each) if each <= failures else 0 for each in explained]
    most = max(sizes, default=0)
    if 2 * most <= len(failures):
        return []
    return [mistake for mistake, size in zip(mistakes, sizes, strict=True) if size == most]


@functools.cache
def _failures_of(
    mistake: Mistake, stem: str, exercise: Exercise, changed: int
) -> list[tuple[str, str]]:
    """Running all checks on all mistakes takes seconds: it is done once a version of the checks."""
    return _failures(run_checks(mistake.answer, stem, exercise))


def _failures(result: Result) -> list[tuple[str, str]]:
    return [(outcome.test, _values(outcome.message)) for outcome in result.failed]


def _values(message: str) -> str:
    """A failure's message without where it was raised and without object addresses."""
    lines = [line for line in message.split("\n") if not line.startswith("in line ")]
    return "\n".join(line for line in lines if " at 0x" not in line)
