"""The summary of the ten slowest tests, run on a test session of its own."""

import pytest

from course_lib.notebook.places import ROOT

pytest_plugins = ["pytester"]

TESTS = """
import time
import pytest

@pytest.mark.budget(0.01)
def test_waits(record_property):
    record_property("slowest_note", "cell 7: 6.1 s")
    until = time.perf_counter() + 0.05
    while time.perf_counter() < until:
        pass

def test_is_quick():
    pass
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "two workers"])
def test_budgets_stand_beside_what_was_taken(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    pytester.makeini("[pytest]\nmarkers = budget(seconds)")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "slowest", *options)
    result.stdout.re_match_lines(
        [
            r".*10 slowest.*",
            r".* /    0 .*test_waits  over its budget",
            r".* /    5 .*test_is_quick$",
        ]
    )
    result.stdout.fnmatch_lines(["cell 7: 6.1 s"])
