"""One exercise, and how its answer is found in the library."""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """One exercise; its checks are the tests with an argument of this name.

    `replay` says how a wrong answer is compared with the known mistakes: by the "calls" that the
    checks made, or by running the "checks" on each mistake (classes; functions that take a model
    or ranks, or are checked by their gradients).
    `limit_seconds` ends one check; more than 10 only where the exercise is marked slow.
    """

    name: str
    target: str
    minutes: int
    difficulty: int
    hints: tuple[str, ...]
    replay: str = "calls"
    limit_seconds: float = 10.0

    def library_object(self) -> object:
        """The library's own answer, imported when a check needs it."""
        module, _, name = self.target.partition(":")
        if module.startswith("kernels."):  # before the kernel: it decides how kernels run
            importlib.import_module("course_lib.notebook.triton_here")
        return getattr(importlib.import_module(module), name)


def plain_function(answer: object) -> object:
    """The function that `@triton.jit` wraps, for its source and docstring; others as they are."""
    return getattr(answer, "fn", answer)
