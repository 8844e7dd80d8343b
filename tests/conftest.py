"""Whose answers the checks run on: the library's, a learner's folder's, or one under examination.

A check's argument is named after an exercise; here each exercise becomes a fixture.
"""

from pathlib import Path

import pytest

from course_lib.notebook.exercises import EXERCISES, find_exercise


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
    folder = config.getoption("--answers")
    if folder is None:
        config.course_answers = lambda name: find_exercise(name)[1].library_object()
    else:
        from course_lib.notebook.submissions import Submissions

        config.course_answers = Submissions(folder).answer_or_outcome


def _fixture_of(exercise_name: str):
    @pytest.fixture(name=exercise_name)
    def answer(request: pytest.FixtureRequest) -> object:
        return request.config.course_answers(exercise_name)

    return answer


for _exercises in EXERCISES.values():
    for _exercise in _exercises:
        globals()[f"fixture_{_exercise.name}"] = _fixture_of(_exercise.name)
