"""Milliseconds and peak memory of a call, or the reason why there are none."""

import gc
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import triton.testing

MEBIBYTE = 2**20
LONGEST_REASON = 300


@dataclass(frozen=True)
class Measurement:
    """Median milliseconds, and the most MiB beyond what stood before the call, results included.

    Both are None where the call failed, for the `reason`; memory also on a CPU, which counts none.
    """

    milliseconds: float | None = None
    mebibytes: float | None = None
    reason: str = ""


def measure(call: Callable[[], object]) -> Measurement:
    """Median of at least 100 ms of calls, by CUDA events, with the L2 cache flushed before each.

    A call that fails, or finds no memory, is no error here: a library may refuse a configuration.
    """
    with warnings.catch_warnings(record=True) as caught:  # PyTorch warns why a backend refuses
        warnings.simplefilter("always")
        try:
            if not torch.cuda.is_available():
                return Measurement(_milliseconds_once(call))
            mebibytes = _peak_mebibytes(call)
            return Measurement(triton.testing.do_bench(call, return_mode="median"), mebibytes)
        except Exception as error:
            reason = reason_of(error, [str(each.message) for each in caught])
    gc.collect()  # only here, after the traceback and its tensors have gone
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Measurement(reason=reason)


def _milliseconds_once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def _peak_mebibytes(call: Callable[[], object]) -> float:
    """The allocator's peak during the second call: the first also compiles and chooses."""
    call()
    torch.cuda.synchronize()
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / MEBIBYTE


def reason_of(error: Exception, warned: list[str]) -> str:
    """One line: out of memory, or what the error and the warnings before it say."""
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower():
        return "out of memory"
    said = [each.split(" (Triggered internally")[0] for each in warned]
    said = [" ".join(each.split()) for each in (f"{type(error).__name__}: {error}", *said)]
    return " | ".join(dict.fromkeys(said))[:LONGEST_REASON]


def time_is_up(deadline: float) -> bool:
    """Is it later than this, by time.monotonic()?"""
    return time.monotonic() > deadline


LEFT_OUT = Measurement(reason="left out: time was up")
