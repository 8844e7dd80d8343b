"""Ends code that runs too long, even code that catches every exception."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import pytest

PATIENCE = 10  # alarms swallowed before they come so fast that one arrives outside the `try`


class TimeLimit(BaseException):
    """Raised in code that runs too long; no `except Exception` catches it."""


def call_limited(function: Callable[[], object], seconds: float) -> tuple[object, int]:
    """Call `function` for at most `seconds`: (its value, 0), or (None, how often it was stopped).

    A single alarm is swallowed by a bare `except`, so it repeats until the call ends, and the
    value of a call that outlived its time is dropped. More than one stop means that something in
    it catches every exception. Only the main thread can be stopped: elsewhere there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(), 0
    stops, boundary = 0, None

    def guarded() -> object:
        nonlocal boundary
        boundary = sys._getframe()
        return function()

    def on_alarm(signum: int, frame: FrameType | None) -> None:
        nonlocal stops
        while frame is not None and frame is not boundary:
            frame = frame.f_back
        if frame is None:  # the call has ended: nothing but it may be interrupted
            return
        stops += 1
        if stops == PATIENCE:
            signal.setitimer(signal.ITIMER_REAL, 3e-5, 3e-5)
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.02)
        value = guarded()
    except TimeLimit:
        value = None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return (None if stops else value), stops


def call_test_limited(test: pytest.Function, seconds: float) -> bool:
    """The body of a pytest_pyfunc_call hook: run a check, fail it after `seconds`."""
    arguments = {name: test.funcargs[name] for name in test._fixtureinfo.argnames}
    _, stops = call_limited(lambda: test.obj(**arguments), seconds)
    if stops:
        advice = "something in it catches every exception" if stops > 1 else "does a loop end?"
        pytest.fail(f"stopped after {seconds:g} s: {advice}", pytrace=False)
    return True
