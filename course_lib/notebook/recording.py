"""Records the calls that checks make of an answer, and compares what answers return.

A call is kept as it was made: arguments are frozen before it, so that an answer which changes its
input is replayed on the same values. Known mistakes are then tried on the recorded calls.
"""

import contextlib
import copy
import functools
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

TOLERANCE = 1e-4  # two answers agree if their values do to this, absolutely or relatively
MAX_CALLS = 300


@dataclass
class Call:
    """One recorded call: frozen arguments, its outcome, and the check that made it."""

    args: tuple
    kwargs: dict
    outcome: "Outcome"
    check: str = ""

    def replay(self, function: Callable) -> "Outcome":
        """The outcome of `function` on the same arguments."""
        return outcome_of(function, freeze(self.args), freeze(self.kwargs))


@dataclass
class Outcome:
    """What a call gave: `value`, or which exception; and its arguments afterwards."""

    value: object
    error: tuple[type, str] | None
    arguments: object

    def agrees(self, other: "Outcome") -> bool:
        """Same type, shape and dtype, values to 1e-4, or the same exception."""
        if self.error is not None or other.error is not None:
            return self.error == other.error
        return agree(self.value, other.value) and agree(self.arguments, other.arguments)


class Recorder:
    """Stands in for an answer during its checks and keeps the calls (`calls`) and prints."""

    def __init__(self, function: Callable) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.calls: list[Call] = []
        self.check = ""
        self.printed = io.StringIO()

    def __call__(self, *args: object, **kwargs: object) -> object:
        try:
            frozen = freeze(args), freeze(kwargs)
        except Exception:  # an argument that cannot be copied: the call is made, not recorded
            return self._call(args, kwargs)
        try:
            value, error = self._call(args, kwargs), None
        except Exception as raised:
            value, error = None, raised
        if len(self.calls) < MAX_CALLS:
            with contextlib.suppress(Exception):
                outcome = Outcome(freeze(value), kind_of(error), freeze((args, kwargs)))
                self.calls.append(Call(*frozen, outcome, self.check))
        if error is not None:
            raise error
        return value

    def __repr__(self) -> str:
        return self.__name__  # what a failed assertion shows

    def _call(self, args: tuple, kwargs: dict) -> object:
        with contextlib.redirect_stdout(self.printed):
            return self.function(*args, **kwargs)


def outcome_of(function: Callable, args: tuple, kwargs: dict) -> Outcome:
    """Call a function and keep what it gave or raised; its prints are dropped."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value, error = function(*args, **kwargs), None
    except Exception as raised:
        value, error = None, raised
    return Outcome(value, kind_of(error), (args, kwargs))


def kind_of(error: Exception | None) -> tuple[type, str] | None:
    """What makes two exceptions the same: the type, and a TypeError's words.

    A TypeError comes from Python or a library and says which misuse it is; other messages are the
    learner's own, or name values.
    """
    if error is None:
        return None
    return type(error), str(error) if type(error) is TypeError else ""


def freeze(value: object) -> object:
    """A copy that later changes cannot reach: tensors detached, generators with their state."""
    if isinstance(value, torch.Tensor):
        copied = value.detach().clone(memory_format=torch.preserve_format)
        return copied.requires_grad_(value.requires_grad)
    if isinstance(value, torch.Generator):
        return value.clone_state()
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(freeze(item) for item in value)
    if type(value) is list:
        return [freeze(item) for item in value]
    if type(value) is dict:
        return {key: freeze(item) for key, item in value.items()}
    return value if callable(value) else copy.deepcopy(value)


def agree(one: object, other: object) -> bool:
    """True if two values are the same to a learner: exact types and shapes, values to 1e-4."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and _close(one, other)
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return _close(torch.as_tensor(one), torch.as_tensor(other))
    if isinstance(one, float):
        return _close(torch.tensor(one), torch.tensor(other))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, dict):
        same_order = list(one) == list(other)
        return same_order and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, torch.Generator):
        return torch.equal(one.get_state(), other.get_state())
    try:
        return bool(one == other)
    except Exception:
        return False


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    one, other = one.detach().to("cpu"), other.detach().to("cpu")
    if one.is_floating_point() or one.is_complex():
        return torch.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return torch.equal(one, other)
