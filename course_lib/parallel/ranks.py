"""Several ranks on one machine, from a notebook cell: `run_on_ranks`.

In reading order: the call; how the ranks are started, listened to and reported on. Each call gets
fresh processes, forked in hundredths of a second from a server that has PyTorch loaded (the first
call starts it). They meet through a file, not a port; `rank_process` is what each of them does.
"""

import contextlib
import multiprocessing
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NoReturn

import cloudpickle

from course_lib.parallel.rank_process import Frames, Outcome, be_rank

MOST_RANKS = 16
GRACE_SECONDS = 1.0  # after a rank failed, for its peers to end or to fail too
ANSWER_SECONDS = 1.0  # for a hanging rank to say where it stands
PRELOADED = ["torch", "torch._dynamo", be_rank.__module__]  # the first DDP needs torch._dynamo


def run_on_ranks(
    function: Callable, world_size: int, *arguments: object, timeout_seconds: float | int = 60
) -> list:
    """[function(*arguments) on rank 0, ... on rank world_size - 1], each rank a gloo process.

    Call `torch.distributed` in `function`; it may be a lambda or stand in a notebook cell. What
    ranks print appears here. Tensors come back detached, on the CPU. The error of a rank is raised
    here, its rank and traceback as a note; TimeoutError names the ranks that hang, and where.

    PyTorch's own launcher past one machine is torchrun. Chapter 12.
    """
    _validate(function, world_size, timeout_seconds)
    payload = _pack_call(function, arguments)
    with _started_ranks(world_size, payload, timeout_seconds) as ranks:
        outcomes = _listen(ranks, timeout_seconds)
        if any(outcome.is_error for outcome in outcomes.values()):
            _raise_first_error(outcomes, world_size)
        if len(outcomes) < world_size:
            raise TimeoutError(_describe_hang(ranks, set(outcomes), timeout_seconds))
    return [cloudpickle.loads(outcomes[rank].content) for rank in range(world_size)]


@dataclass(frozen=True)
class _Rank:
    process: BaseProcess
    connection: Connection


def _validate(function: Callable, world_size: int, timeout_seconds: float | int) -> None:
    if not callable(function):
        raise ValueError(f"function={function!r} must be callable: every rank calls it")
    if not isinstance(world_size, int) or not 1 <= world_size <= MOST_RANKS:
        raise ValueError(f"world_size={world_size!r} must be an integer from 1 to {MOST_RANKS}")
    if not timeout_seconds > 0:
        raise ValueError(f"timeout_seconds={timeout_seconds} must be above 0")
    if multiprocessing.current_process().daemon:
        raise ValueError("run_on_ranks cannot be called on a rank: start all ranks at once")


def _pack_call(function: Callable, arguments: tuple) -> bytes:
    """The function with its closure, and the arguments.

    What stands in a package is imported by the ranks; what stands in a script, a notebook, a test
    module or one made at run time travels whole.
    """
    own = getattr(function, "__module__", None)
    travelling = [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType) and module.__name__ == name
        if "." not in name and not hasattr(module, "__path__")
        if name == own or module.__spec__ is None
    ]
    for module in travelling:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps((function, arguments))
    except Exception as error:
        raise ValueError(f"the function or an argument cannot be sent to ranks: {error}") from error
    finally:
        for module in travelling:
            cloudpickle.unregister_pickle_by_value(module)


@contextlib.contextmanager
def _started_ranks(
    world_size: int, payload: bytes, timeout_seconds: float | int
) -> Iterator[list[_Rank]]:
    """Processes that end with the block, however it is left; also when this process is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ranks: list[_Rank] = []
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        try:
            for rank in range(world_size):
                ours, theirs = context.Pipe()
                settings = (theirs, rank, world_size, folder, payload, timeout_seconds)
                process = context.Process(target=be_rank, args=settings, daemon=True)
                ranks.append(_Rank(process, ours))
                with _hidden_main():
                    process.start()
                theirs.close()
            yield ranks
        finally:
            started = [rank.process for rank in ranks if rank.process.pid is not None]
            for process in started:
                process.kill()
            for process in started:
                process.join()


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """A new process would run the main script again, as far as it is not guarded; ours need not."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _listen(ranks: list[_Rank], timeout_seconds: float | int) -> dict[int, Outcome]:
    """Show what the ranks print until all have ended, one has failed, or the time is over."""
    outcomes: dict[int, Outcome] = {}
    open_ranks = {rank.connection: number for number, rank in enumerate(ranks)}
    deadline = time.monotonic() + timeout_seconds
    while open_ranks and (ready := wait(open_ranks, max(0.0, deadline - time.monotonic()))):
        for connection in ready:
            number = open_ranks[connection]
            try:
                message = connection.recv()
            except (EOFError, ConnectionError):
                message = _died(ranks[number].process)
            if isinstance(message, Outcome):
                outcomes[number] = message
                del open_ranks[connection]
                if message.is_error:
                    deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
            else:
                stream, line = message
                print(f"[rank {number}] {line}", file=getattr(sys, stream))
    return outcomes


def _died(process: BaseProcess) -> Outcome:
    process.join(ANSWER_SECONDS)
    code = process.exitcode
    reason = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    error = RuntimeError(f"a rank ended without a result ({reason}; 9 may be a lack of memory)")
    return Outcome(cloudpickle.dumps(error), [], is_death=True)


def _raise_first_error(outcomes: dict[int, Outcome], world_size: int) -> NoReturn:
    """The error of the lowest rank; before all, of one that died: its peers lost a connection."""
    failed = {rank: outcome for rank, outcome in outcomes.items() if outcome.is_error}
    rank = min(failed, key=lambda each: (not failed[each].is_death, each))
    error = cloudpickle.loads(failed[rank].content)
    where = _with_lines(failed[rank].frames)
    error.add_note(f"raised on rank {rank} of {world_size}\n{where}".rstrip())
    if others := failed.keys() - {rank}:
        error.add_note(f"{_named(others)} failed too")
    raise error


def _describe_hang(ranks: list[_Rank], ended: set[int], timeout_seconds: float | int) -> str:
    hanging = set(range(len(ranks))) - ended
    lines = [
        f"{_named(hanging)} of {len(ranks)} did not end within {timeout_seconds:g} s"
        + (f"; {_named(ended)} did" if ended else "")
        + ". Likely a collective that not every rank calls, or ranks in different orders."
    ]
    for number in sorted(hanging):
        connection = ranks[number].connection
        connection.send("where do you stand?")
        while connection.poll(ANSWER_SECONDS):
            kind, content = connection.recv()
            if kind == "stands":
                lines.append(f"rank {number} stands at\n{_with_lines(content)}".rstrip())
                break
    return "\n".join(lines)


def _with_lines(frames: Frames) -> str:
    """Frames as a traceback shows them; here, where the lines of a notebook's cells are known."""
    return "".join(traceback.format_list([(*frame, None) for frame in frames]))


def _named(ranks: set[int]) -> str:
    *others, last = map(str, sorted(ranks))
    return f"ranks {', '.join(others)} and {last}" if others else f"rank {last}"
