"""What `make weights` makes, in order: the name, the minutes on two cores, the function."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_lib.recipes.course_model import make_course_model
from course_lib.recipes.laboratory import make_prompting_models
from course_lib.recipes.speaker import save_speaker, train_speaker


@dataclass(frozen=True)
class Recipe:
    """Makes files in a folder (the first argument of `make`); the second is for checkpoints."""

    name: str
    minutes: int
    make: Callable[[Path, Path], None]


def make_speaker(folder: Path, work: Path) -> None:
    """The translator of chapter 04's demo."""
    save_speaker(train_speaker(), folder)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("course", 15, make_course_model),
        Recipe("speaker", 1, make_speaker),
        Recipe("prompting", 12, make_prompting_models),
    )
}
