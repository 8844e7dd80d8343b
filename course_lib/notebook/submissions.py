"""The answers in a folder of notebooks, for `course check` and `pytest --answers=FOLDER`."""

import inspect
import types
from pathlib import Path

import pytest

from course_lib.notebook.definitions import Definitions, load_definitions
from course_lib.notebook.exercises import EXERCISES, find_exercise, plain_function


class Submissions:
    """Reads each notebook of a folder once, when its first exercise is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, Definitions | str] = {}

    def answer(self, name: str) -> tuple[object | None, str | None]:
        """(answer, None), or (None, the one line that says why there is none)."""
        stem, _ = find_exercise(name)
        if stem not in self._read:
            names = [exercise.name for exercise in EXERCISES[stem]]
            try:
                definitions = load_definitions(self.folder / f"{stem}.ipynb", names)
            except (ValueError, OSError) as error:
                definitions = str(error)
            self._read[stem] = definitions
        definitions = self._read[stem]
        if isinstance(definitions, str):
            return None, f"{definitions} ({name} was not read)"
        if problem := definitions.problem_of(name):
            return None, problem
        return definitions.namespace[name], None

    def answer_or_outcome(self, name: str) -> object:
        """The answer for a pytest fixture: a problem fails the test, a stub skips it."""
        answer, problem = self.answer(name)
        if problem:
            pytest.fail(problem, pytrace=False)
        if is_stub(answer):
            pytest.skip(f"{name}: not attempted")
        return answer


def _stub() -> None:
    raise NotImplementedError


def is_stub(answer: object) -> bool:
    """True if a function, or every method of a class, only raises NotImplementedError."""
    answer = plain_function(answer)
    if isinstance(answer, type):
        functions = [item for item in vars(answer).values() if isinstance(item, types.FunctionType)]
    else:
        functions = [answer] if isinstance(answer, types.FunctionType) else []
    stub = inspect.unwrap(_stub).__code__
    codes = [function.__code__ for function in functions]
    return bool(codes) and all(
        code.co_code == stub.co_code and code.co_names == stub.co_names for code in codes
    )
