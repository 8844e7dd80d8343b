"""The models that the course ships, in `weights/`: made by `make weights`, read by the chapters."""

from pathlib import Path

from course_lib.hub.checkpoint import load_pretrained
from course_lib.model.transformer import Transformer
from course_lib.text.tokenizers import Tokenizer

WEIGHTS = Path(__file__).parents[2] / "weights"


def load_course_model(name: str = "course") -> tuple[Transformer, Tokenizer]:
    """(model, tokenizer): the course's own model, in fp32 and eval mode, in milliseconds.

    Other names: "course-1-minute" and "course-5-minutes", the same model trained for less. Every
    text begins after the token `<|endoftext|>`. ValueError lists the names that there are.
    Chapter 07.
    """
    folder = WEIGHTS / name
    if not (folder / "config.json").is_file():
        there = sorted(path.parent.name for path in WEIGHTS.glob("*/config.json"))
        raise ValueError(
            f"name={name!r}: weights/ holds {', '.join(there) or 'no model'}; git restores what "
            "was deleted, `make weights` makes all of them anew"
        )
    return load_pretrained(folder)
