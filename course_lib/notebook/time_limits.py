"""Ends code that runs too long, even code that catches every exception.

In reading order: `call_limited`, how a loop that swallows every alarm is ended,
`call_test_limited`.
"""

import contextlib
import dis
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

PATIENCE = 10  # alarms swallowed before loops are ended where they jump back
ALARM_SECONDS = 0.02
BACKWARD_JUMPS = {code for name, code in dis.opmap.items() if "JUMP_BACKWARD" in name}


class TimeLimit(BaseException):
    """Raised in code that runs too long; no `except Exception` catches it."""


def call_limited(function: Callable[[], object], seconds: float) -> tuple[object, int]:
    """Call `function` for at most `seconds`: (its value, 0), or (None, how often it was stopped).

    A single alarm is swallowed by a bare `except`, so it repeats until the call ends, later where a
    loop jumps back, outside of any `try` in it. The value of a call that outlived its time is
    dropped. More than one stop means that something in it catches every exception. Only the main
    thread can be stopped: elsewhere there is no limit.
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
        frames = []
        while frame is not None and frame is not boundary:
            frames.append(frame)
            frame = frame.f_back
        if frame is None:  # the call has ended: nothing but it may be interrupted
            return
        stops += 1
        if stops > PATIENCE:
            _end_loops_of(frames)
        raise TimeLimit

    with _own_alarm_and_tracing(on_alarm):
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, ALARM_SECONDS)
            value = guarded()
        except TimeLimit:
            value = None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return (None if stops else value), stops


@contextlib.contextmanager
def _own_alarm_and_tracing(on_alarm: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within the block SIGALRM calls `on_alarm`; then alarm, trace and profile are as before."""
    alarm = signal.signal(signal.SIGALRM, on_alarm)
    trace, profile = sys.gettrace(), sys.getprofile()
    try:
        yield
    finally:
        if sys.getprofile() is _go_on_tracing:
            sys.setprofile(profile)
            sys.settrace(trace)
        signal.signal(signal.SIGALRM, alarm)


def _end_loops_of(frames: list[FrameType]) -> None:
    """From now on every loop in these frames, and in what they call, ends where it jumps back."""
    for frame in frames:
        frame.f_trace, frame.f_trace_opcodes = _end_loop, True
    sys.settrace(_end_loop)
    sys.setprofile(_go_on_tracing)


def _end_loop(frame: FrameType, event: str, argument: object) -> Callable:
    """A trace function: TimeLimit at a backward jump, which no `try` within the loop surrounds."""
    frame.f_trace_opcodes = True
    if event == "opcode" and frame.f_code.co_code[frame.f_lasti] in BACKWARD_JUMPS:
        raise TimeLimit
    return _end_loop


def _go_on_tracing(frame: FrameType, event: str, argument: object) -> None:
    """A profile function: raising has switched tracing off; on again, for the loops further out."""
    if sys.gettrace() is not _end_loop:
        sys.settrace(_end_loop)


def call_test_limited(test: pytest.Function, seconds: float) -> bool:
    """The body of a pytest_pyfunc_call hook: run a check, fail it after `seconds`."""
    arguments = {name: test.funcargs[name] for name in test._fixtureinfo.argnames}
    _, stops = call_limited(lambda: test.obj(**arguments), seconds)
    if stops:
        advice = "something in it catches every exception" if stops > 1 else "does a loop end?"
        pytest.fail(f"stopped after {seconds:g} s: {advice}", pytrace=False)
    return True
