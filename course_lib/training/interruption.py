"""Ctrl-C between updates rather than within one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def noted_interruption() -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C is only noted; the function given says whether it was pressed.

    Breaking in at once could leave an update half done. A second Ctrl-C does break in. Outside the
    main thread, which alone receives the signal, nothing is changed.
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
