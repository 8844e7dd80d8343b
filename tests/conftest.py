"""Whose answers the checks run on: the library's, a learner's folder's, or one under examination.

A check's argument is named after an exercise; here each exercise becomes a fixture.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

from course_lib.notebook.exercises import EXERCISES, find_exercise
from course_lib.notebook.time_limits import call_test_limited

# pytest puts this folder on the path, where tests/kernels, which is no package, would hide kernels.
sys.path.append(str(Path(__file__).parents[1]))
EXERCISE_NAMES = {exercise.name for exercises in EXERCISES.values() for exercise in exercises}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--answers",
        metavar="FOLDER",
        type=Path,
        help="run the checks on the notebooks in FOLDER (this executes their definitions)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "course_answers"):  # a live check brought the answer
        return
    config.pluginmanager.import_plugin("slowest")
    folder = config.getoption("--answers")
    if folder is None:
        config.course_answers = _library_answer
    else:
        from course_lib.notebook.submissions import Submissions

        config.course_answers = Submissions(folder).answer_or_outcome


def _library_answer(name: str) -> object:
    """The library's own; a kernel's checks are skipped where Triton is not made for the machine."""
    exercise = find_exercise(name)[1]
    if exercise.target.startswith("kernels") and not importlib.util.find_spec("triton"):
        pytest.skip(f"{name} needs Triton, which is made for Linux on x86-64")
    return exercise.library_object()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A learner's answer may not run for ever; in a live check the examination sees to it."""
    exercise = next((name for name in pyfuncitem.fixturenames if name in EXERCISE_NAMES), None)
    if exercise is None or pyfuncitem.config.getoption("--answers") is None:
        return None
    return call_test_limited(pyfuncitem, find_exercise(exercise)[1].limit_seconds)


def _fixture_of(exercise_name: str):
    @pytest.fixture(name=exercise_name)
    def answer(request: pytest.FixtureRequest) -> object:
        return request.config.course_answers(exercise_name)

    return answer


for _name in EXERCISE_NAMES:
    globals()[f"fixture_{_name}"] = _fixture_of(_name)
