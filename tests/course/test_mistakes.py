"""Checks with teeth: every known mistake is rejected, and named to the learner who makes it."""

import pytest
from constant_answers import CONSTANT_ANSWERS

from course_lib.notebook.exercises import EXERCISES
from course_lib.notebook.mistakes import load_mistakes, name_mistakes
from course_lib.notebook.running import run_checks

EXERCISE_PAIRS = [(stem, each) for stem, of in EXERCISES.items() for each in of]
MISTAKES = [
    pytest.param(stem, exercise, mistake, id=f"{exercise.name}-{mistake.name}")
    for stem, exercise in EXERCISE_PAIRS
    for mistake in load_mistakes(stem, exercise)
]


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "exercise", "mistake"), MISTAKES)
def test_mistake_is_rejected_and_recognised_as_itself(stem, exercise, mistake):
    """A learner who makes it reads its explanation first, not another's."""
    result = run_checks(mistake.answer, stem, exercise)
    assert result.failed
    named = name_mistakes(result, stem, exercise)
    assert [each.name for each in named] == [mistake.name]
    assert len(mistake.explanation) > 60, "the docstring explains the misconception"


@pytest.mark.parametrize(
    ("stem", "exercise"), EXERCISE_PAIRS, ids=[each.name for _, each in EXERCISE_PAIRS]
)
def test_exercise_has_three_known_mistakes_or_more(stem, exercise):
    assert len(load_mistakes(stem, exercise)) >= 3


@pytest.mark.parametrize("answer", CONSTANT_ANSWERS)
@pytest.mark.parametrize(
    ("stem", "exercise"), EXERCISE_PAIRS, ids=[each.name for _, each in EXERCISE_PAIRS]
)
def test_no_exercise_accepts_a_constant_or_its_input(stem, exercise, answer):
    assert run_checks(answer, stem, exercise).failed


@pytest.mark.parametrize(
    ("stem", "exercise"), EXERCISE_PAIRS, ids=[each.name for _, each in EXERCISE_PAIRS]
)
def test_the_librarys_answer_passes_and_is_quick(stem, exercise):
    result = run_checks(exercise.library_object(), stem, exercise)
    assert result.passed
    assert len(result.outcomes) >= 3


def test_no_check_imports_what_it_checks():
    """An oracle is independent: a check never calls the library function it checks."""
    import ast

    from course_lib.notebook.places import ROOT

    for stem, exercises in EXERCISES.items():
        tree = ast.parse((ROOT / "tests" / "chapters" / f"test_{stem}.py").read_text("utf-8"))
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_lib")
            for alias in node.names
        }
        assert not imported & {exercise.name for exercise in exercises}
