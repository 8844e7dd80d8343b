"""Where things are: the checkout, its chapters, the learner's work."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def work_folder() -> Path:
    """The learner's copies of the chapters and their progress: COURSE_HOME, or work/."""
    return Path(os.environ.get("COURSE_HOME") or ROOT / "work").expanduser()


def chapter_stems() -> list[str]:
    """Stems of the chapters in order: ["00_welcome", "01_tokenization", ...]."""
    return sorted(path.stem for path in (ROOT / "chapters").glob("[0-9][0-9]_*.ipynb"))


def find_stem(chapter: str) -> str:
    """'1', '01' or '01_tokenization' -> '01_tokenization'; ValueError names what exists."""
    name = Path(chapter).stem
    number = name.split("_")[0].zfill(2)
    for stem in chapter_stems():
        if name == stem or ("_" not in name and stem.startswith(f"{number}_")):
            return stem
    raise ValueError(f"chapter = {chapter!r}: there are {', '.join(chapter_stems())}")
