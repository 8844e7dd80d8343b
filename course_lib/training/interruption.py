"""Ctrl-C between updates rather than within one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType


@contextlib.contextmanager
def noted_interruption(
    signals: Sequence[int] = (signal.SIGINT,), *, may_insist: bool = True
) -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C is only noted; the function given says whether it was pressed.

    Breaking in at once could leave an update half done. A second Ctrl-C does break in, if it
    `may_insist`: under torchrun one Ctrl-C arrives twice, from the terminal and from the launcher,
    which sends SIGTERM likewise. Outside the main thread, which alone receives signals, nothing is
    changed.
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed and may_insist:
            raise KeyboardInterrupt
        pressed.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in signals}
    try:
        yield lambda: bool(pressed)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
