"""The table of exercises: for each chapter its exercises, with the hints, which stand only here.

The library is the answer key: every exercise is an object of `course_lib` or `kernels` with the
same name and signature (`target`). Names are unique over the whole course. A chapter has a module
of its own.
"""

import difflib

from course_lib.notebook.exercises import (
    chapter_00,
    chapter_01,
    chapter_02,
    chapter_03,
    chapter_04,
    chapter_05,
    chapter_06,
    chapter_07,
    chapter_08,
    chapter_15,
)
from course_lib.notebook.exercises.exercise import Exercise, plain_function

__all__ = ["EXERCISES", "Exercise", "find_exercise", "plain_function"]

EXERCISES: dict[str, tuple[Exercise, ...]] = {
    "00_welcome": chapter_00.EXERCISES,
    "01_tokenization": chapter_01.EXERCISES,
    "02_language_modelling": chapter_02.EXERCISES,
    "03_prompting": chapter_03.EXERCISES,
    "04_recurrent_networks": chapter_04.EXERCISES,
    "05_transformer": chapter_05.EXERCISES,
    "06_positional_encoding": chapter_06.EXERCISES,
    "07_pretraining": chapter_07.EXERCISES,
    "08_data_for_training": chapter_08.EXERCISES,
    "15_flash_attention": chapter_15.EXERCISES,
}


def find_exercise(name: str) -> tuple[str, Exercise]:
    """'softmax' -> ('00_welcome', Exercise('softmax', ...)); ValueError suggests close names."""
    known = {exercise.name: (stem, exercise) for stem, of in EXERCISES.items() for exercise in of}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3)
    advice = f"did you mean {' or '.join(close)}?" if close else "`progress()` lists them"
    raise ValueError(f"{name!r} is not an exercise of this course: {advice}")
