"""The table of exercises: for each chapter its exercises, with the hints, which stand only here.

The library is the answer key: every exercise is an object of `course_lib` or `kernels` with the
same name and signature (`target`). Names are unique over the whole course.
"""

import difflib
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
        return getattr(importlib.import_module(module), name)


EXERCISES: dict[str, tuple[Exercise, ...]] = {
    "00_welcome": (
        Exercise(
            "softmax",
            "course_lib.model.activations:softmax",
            minutes=10,
            difficulty=1,
            hints=(
                "Follow the equation: exponentials, then divide by their sum along `dim`. "
                "`keepdim=True` keeps the sum's shape ready for broadcasting.",
                "exp(1000) is inf in fp32. What may be subtracted from every score of a row "
                "without changing the quotient?",
                "Subtract each row's own maximum, `x.amax(dim=dim, keepdim=True)`: the largest "
                "exponential is then exp(0) = 1. One maximum of the whole tensor is not enough: "
                "rows far below it become 0 / 0.",
            ),
        ),
    ),
}


def find_exercise(name: str) -> tuple[str, Exercise]:
    """'softmax' -> ('00_welcome', Exercise('softmax', ...)); ValueError suggests close names."""
    known = {exercise.name: (stem, exercise) for stem, of in EXERCISES.items() for exercise in of}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3)
    advice = f"did you mean {' or '.join(close)}?" if close else "`progress()` lists them"
    raise ValueError(f"{name!r} is not an exercise of this course: {advice}")
