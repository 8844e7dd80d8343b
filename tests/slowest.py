"""The ten slowest tests beside what each may take, printed at the end of a run.

A test says its budget with `@pytest.mark.budget(seconds)`; without one it is five seconds. Set-up
and tear-down count for the test that paid them. Nothing fails for its time: machines differ.
A test can add a line of its own: `record_property(slowest.NOTE, "cell 7: 6.1 s")`.
"""

import itertools
from collections import defaultdict

import pytest

DEFAULT_BUDGET_SECONDS = 5.0
SHOWN = 10
BUDGET = "budget_seconds"
NOTE = "slowest_note"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Send the budget along with the reports, which also reach the summary from xdist's workers."""
    marker = item.get_closest_marker("budget")
    seconds = float(marker.args[0]) if marker else DEFAULT_BUDGET_SECONDS
    item.user_properties.append((BUDGET, seconds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a test: seconds, budget, name; those over it are marked."""
    seconds, properties = defaultdict(float), {}
    for report in _reports(terminalreporter):
        seconds[report.nodeid] += report.duration
        properties[report.nodeid] = report.user_properties
    if not seconds:
        return
    terminalreporter.section(f"{SHOWN} slowest: seconds / budget")
    for name in sorted(seconds, key=seconds.__getitem__, reverse=True)[:SHOWN]:
        budget = dict(properties[name])[BUDGET]
        over = "  over its budget" if seconds[name] > budget else ""
        terminalreporter.write_line(f"{seconds[name]:7.1f} / {budget:4.0f}  {name}{over}")
    for key, text in itertools.chain.from_iterable(properties.values()):
        if key == NOTE:
            terminalreporter.write_line(text)


def _reports(terminalreporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    kinds = terminalreporter.stats.values()
    return [report for kind in kinds for report in kind if isinstance(report, pytest.TestReport)]
