"""What a rank does between its start and its end: `be_rank`, run in a process of its own.

In reading order: `Outcome`, with which it ends; its life; how it prints and answers while it
lives; how results and errors are packed for the journey.
"""

import contextlib
import datetime
import io
import os
import signal
import socket
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cloudpickle
import torch
import torch.distributed as dist

Frames = list[tuple[str, int | None, str]]  # file, line, function


@dataclass(frozen=True)
class Outcome:
    """What a rank ended with: a result or an error, packed; with an error, where it was raised."""

    content: bytes
    frames: Frames | None = None
    is_death: bool = False

    @property
    def is_error(self) -> bool:
        return self.frames is not None


def be_rank(
    connection: Connection,
    rank: int,
    world_size: int,
    folder: str,
    payload: bytes,
    timeout_seconds: float | int,
) -> None:
    """The life of a rank: meet the others, call the function, report, stay until killed.

    It stays because a peer may still need its connection to it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's, which then kills us
    channel = _Channel(connection)
    sys.stdout, sys.stderr = _Lines(channel, "stdout"), _Lines(channel, "stderr")
    threading.Thread(target=_answer, args=(channel, threading.get_ident()), daemon=True).start()
    try:
        function, arguments = cloudpickle.loads(payload)
        _meet(rank, world_size, folder, timeout_seconds)
        outcome = Outcome(_pack_result(function(*arguments)))
    except BaseException as error:
        outcome = Outcome(_pack_error(error), _frames_of(traceback.extract_tb(error.__traceback__)))
    sys.stdout.end()
    sys.stderr.end()
    channel.send(outcome)
    threading.Event().wait()


def _meet(rank: int, world_size: int, folder: str, timeout_seconds: float | int) -> None:
    """Join the gloo group; on the loopback interface, as a laptop's host name may not resolve."""
    torch.set_num_threads(1)
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(os.path.join(folder, "store"), world_size),
        rank=rank,
        world_size=world_size,
        timeout=datetime.timedelta(seconds=timeout_seconds + 60),  # ours ends it first
    )


class _Channel:
    """The connection to the caller, for two threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        with self._lock:
            self.connection.send(message)


class _Lines(io.TextIOBase):
    """A stream that sends each whole line to the caller."""

    def __init__(self, channel: _Channel, name: str) -> None:
        self._channel, self._name, self._rest = channel, name, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._channel.send((self._name, line))
        return len(text)

    def end(self) -> None:
        if self._rest:
            self.write("\n")


def _answer(channel: _Channel, main_thread: int) -> None:
    """Tell the caller where the main thread stands; end with the caller."""
    with contextlib.suppress(EOFError, OSError):
        while channel.connection.recv():
            stack = traceback.extract_stack(sys._current_frames()[main_thread])
            channel.send(("stands", _frames_of(stack)))
    os._exit(1)


def _frames_of(stack: traceback.StackSummary) -> Frames:
    """The part of a stack that is the function's: what `be_rank` called."""
    first = next((i for i, frame in enumerate(stack) if frame.filename == __file__), -1)
    return [(frame.filename, frame.lineno, frame.name) for frame in stack[first + 1 :]]


class _ResultPickler(cloudpickle.Pickler):
    """Tensors travel as values: detached, on the CPU, without the rest of a view's storage."""

    def reducer_override(self, obj: object) -> object:
        if type(obj) is torch.Tensor:
            return obj.detach().cpu().clone().__reduce_ex__(4)
        return super().reducer_override(obj)


def _pack_result(result: object) -> bytes:
    buffer = io.BytesIO()
    try:
        _ResultPickler(buffer).dump(result)
    except Exception as error:
        name = type(result).__name__
        raise ValueError(f"the result, a {name}, cannot be sent to the caller: {error}") from error
    return buffer.getvalue()


def _pack_error(error: BaseException) -> bytes:
    """The error itself where it survives the journey and would not end the caller."""
    if not isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit)):
        with contextlib.suppress(Exception):
            packed = cloudpickle.dumps(error)
            cloudpickle.loads(packed)
            return packed
    return cloudpickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
