"""Runs the checks of one exercise on one answer: pytest, inside the running process.

A check is a test whose argument is named after the exercise; tests/conftest.py asks the
configuration (`course_answers`) for the answer, which here is the one under examination.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from course_lib.notebook.exercises import Exercise, plain_function
from course_lib.notebook.failures import COMPARED, describe_failure, two_sides
from course_lib.notebook.places import ROOT
from course_lib.notebook.recording import Call, Recorder
from course_lib.notebook.time_limits import call_test_limited

# Garbage collection hooks cost 0.8 s a run; a cache folder would be written into the checkout.
ARGUMENTS = ["-q", "-s", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
PLUGINS_OFF = ("cacheprovider", "unraisableexception", "threadexception", "faulthandler")


@dataclass(frozen=True)
class CheckOutcome:
    """One check: its name in words, what it found, and why it matters (the test's docstring)."""

    test: str
    sentence: str
    verdict: str  # "passed", "failed" or "skipped"
    message: str
    explanation: str


@dataclass
class Result:
    """What the checks of one exercise found out about one answer."""

    outcomes: list[CheckOutcome] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    printed: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> list[CheckOutcome]:
        return [outcome for outcome in self.outcomes if outcome.verdict == "failed"]

    @property
    def passed(self) -> bool:
        return not self.failed and any(outcome.verdict == "passed" for outcome in self.outcomes)


def run_checks(answer: object, stem: str, exercise: Exercise) -> Result:
    """Run every check of `exercise` on `answer`; RuntimeError if the checks themselves break."""
    recorder = Recorder(answer) if exercise.replay == "calls" and callable(answer) else None
    examination = _Examination(exercise, recorder or answer, answer)
    test_file = ROOT / "tests" / "chapters" / f"test_{stem}.py"
    _forget_module(test_file)
    arguments = [str(test_file), *ARGUMENTS]
    for plugin in PLUGINS_OFF:
        arguments += ["-p", f"no:{plugin}"]
    started = time.perf_counter()
    with _environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            pytest.main(arguments, plugins=[examination])
    result = examination.result
    result.seconds = time.perf_counter() - started
    if not result.outcomes:
        reason = examination.collection_error or output.getvalue().strip()[-2000:]
        raise RuntimeError(f"the checks of {exercise.name} could not run: {reason}")
    if recorder is not None:
        result.calls, result.printed = recorder.calls, recorder.printed.getvalue()
    return result


class _Examination:
    """The pytest plugin that hands out the answer, selects its checks and notes the outcomes."""

    def __init__(self, exercise: Exercise, handed_out: object, answer: object) -> None:
        self.exercise = exercise
        self.handed_out = handed_out
        self.answer_file = getattr(
            getattr(plain_function(answer), "__code__", None), "co_filename", None
        )
        self.result = Result()
        self.collection_error = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.course_answers = lambda name: self.handed_out

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Both sides of `assert answer(...) == expected`, instead of pytest's diff."""
        return [COMPARED, *two_sides(left, right)] if op == "==" else None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collection_error = str(report.longrepr)[-2000:]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self.exercise.name in item.fixturenames]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        if isinstance(self.handed_out, Recorder):
            self.handed_out.check = pyfuncitem.name
        started = time.perf_counter()
        try:
            return call_test_limited(pyfuncitem, self.exercise.limit_seconds)
        finally:
            if time.perf_counter() - started > self.exercise.limit_seconds:
                pyfuncitem.session.shouldstop = "the remaining checks would take as long"

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> None:
        if call.when != "call" and call.excinfo is None:
            return
        verdict, message = "passed", ""
        if call.excinfo is not None:
            skipped = isinstance(call.excinfo.value, pytest.skip.Exception)
            verdict = "skipped" if skipped else "failed"
            message = describe_failure(call.excinfo, self.answer_file)
        explanation = " ".join((item.function.__doc__ or "").split())
        self.result.outcomes.append(
            CheckOutcome(item.name, _sentence(item.name), verdict, message, explanation)
        )


def _sentence(test: str) -> str:
    """'test_rows_sum_to_one[big]' -> 'rows sum to one (big)'."""
    name, _, case = test.removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f" ({case[:-1]})" if case else "")


def _forget_module(test_file: os.PathLike) -> None:
    """pytest keeps imported test files; an updated course must not be checked by old checks."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == str(test_file):
            del sys.modules[name]


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Environment variables for a while; pytest's additions to the import path go as well."""
    before, import_path = {key: os.environ.get(key) for key in values}, sys.path[:]
    os.environ.update(values)
    try:
        yield
    finally:
        sys.path[:] = import_path
        for key, value in before.items():
            os.environ.pop(key, None) if value is None else os.environ.update({key: value})
