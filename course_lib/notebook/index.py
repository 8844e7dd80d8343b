"""The index of techniques, TECHNIQUES.md: chapter, module, paper and exercise of each.

Nothing of it is typed: a public function or class is a technique if its docstring ends with
"Chapter 01.", or if an exercise has it as its answer. Read as text: the library is not imported.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from course_lib.notebook import places
from course_lib.notebook.exercises import EXERCISES, Exercise
from course_lib.notebook.notebooks import read_notebook

PAGE = "TECHNIQUES.md"
PACKAGES = ("course_lib", "kernels")
HEAD = """# Techniques

Every technique of the course, in the order of its chapters. `course index` makes this page
from the library's docstrings and the table of exercises.
"""
_CHAPTER = re.compile(r"\s*\bChapter (\d\d)\.$")
_URL = re.compile(r"https?://\S*[^\s.,;:)]")
_AUTHOR_YEAR = re.compile(r"\b(?:[A-Z]\w+|et al\.),? (?:19|20)\d\d\b")
_SENTENCE_END = re.compile(r"(?<=[.;])(?<!\bal\.)(?<!\b[A-Z]\.) (?=[A-Z])")
_MARKDOWN = re.compile(r"(`[^`]*`)|([\\*_\[\]<$~|])")


@dataclass(frozen=True)
class Technique:
    """A public function or class that a chapter teaches; `says` is its docstring's first line."""

    name: str
    path: str
    stem: str
    says: str
    papers: tuple[str, ...]
    exercise: Exercise | None

    @property
    def module(self) -> str:
        """What it is imported from."""
        return _module(self.path)


def techniques() -> list[Technique]:
    """The techniques of the chapters that exist, by chapter, module and place in the module.

    ValueError where an exercise's target is no public function or class with a docstring.
    """
    stems = {stem[:2]: stem for stem in places.chapter_stems()}
    exercises = {
        exercise.target: (stem[:2], exercise)
        for stem in stems.values()
        for exercise in EXERCISES.get(stem, ())
    }
    found = []
    for path, name, docstring in _public_objects():
        of_target = exercises.pop(f"{_module(path)}:{name}", ("", None))
        text, chapter = _without_chapter(docstring)
        stem = stems.get(chapter or of_target[0])
        if stem:
            says, papers = text.partition("\n")[0].removesuffix("."), _papers(text)
            found.append(Technique(name, path, stem, says, papers, of_target[1]))
    for target, (_, exercise) in exercises.items():
        raise ValueError(f"exercise {exercise.name}: {target} is no public object with a docstring")
    return sorted(found, key=lambda each: (each.stem, each.module))


def techniques_page() -> str:
    """The text of TECHNIQUES.md: a heading and a table for each chapter that has techniques."""
    sections = [HEAD]
    found = techniques()
    for stem in places.chapter_stems():
        rows = [_row(each) for each in found if each.stem == stem]
        if rows:
            heading = f"## {stem[:2]} [{escape(chapter_title(stem))}](chapters/{stem}.ipynb)\n"
            count, minutes = len(EXERCISES.get(stem, ())), chapter_minutes(stem)
            exercises = f"{count} exercise{'s' if count != 1 else ''}, {minutes} minutes.\n"
            table = ["| technique | module | paper | exercise |", "|---|---|---|---|", *rows]
            sections += [heading, exercises, "\n".join(table) + "\n"]
    return "\n".join(sections)


def chapter_title(stem: str) -> str:
    """The notebook's first heading without its number: '01_tokenization' -> 'Tokenization'."""
    for cell in read_notebook(places.ROOT / "chapters" / f"{stem}.ipynb")["cells"]:
        heading = re.search(r"^#+ +(?:\d\d\b\W*)?(.+?) *$", cell["source"], re.MULTILINE)
        if cell["cell_type"] == "markdown" and heading:
            return heading[1]
    raise ValueError(f"chapters/{stem}.ipynb has no heading: begin it with '# {stem[:2]} Title'")


def chapter_minutes(stem: str) -> int:
    """Minutes to solve all exercises of a chapter."""
    return sum(exercise.minutes for exercise in EXERCISES.get(stem, ()))


def escape(text: str) -> str:
    """Markdown that shows `text` as it is inside a table; its code spans stay code spans."""
    return _MARKDOWN.sub(
        lambda found: found[1].replace("|", r"\|") if found[1] else f"\\{found[2]}", text
    )


def _public_objects() -> Iterator[tuple[str, str, str]]:
    """(path from the root, name, docstring) of what modules define for others to use."""
    for package in PACKAGES:
        for path in sorted((places.ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                    docstring = ast.get_docstring(node)
                    if docstring:
                        yield path.relative_to(places.ROOT).as_posix(), node.name, docstring


def _module(path: str) -> str:
    """'course_lib/model/norms.py' -> 'course_lib.model.norms'."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _without_chapter(docstring: str) -> tuple[str, str]:
    found = _CHAPTER.search(docstring)
    return (docstring[: found.start()], found[1]) if found else (docstring, "")


def _papers(text: str) -> tuple[str, ...]:
    """The sentences of the last paragraph that cite, as Markdown: the words before a URL link."""
    paragraph = " ".join(text.split("\n\n")[-1].split())
    sentences = _SENTENCE_END.split(paragraph)
    cites = [each for each in sentences if _URL.search(each) or _AUTHOR_YEAR.search(each)]
    return tuple(_linked(each.rstrip(".;")) for each in cites)


def _linked(citation: str) -> str:
    url = _URL.search(citation)
    if not url:
        return escape(citation)
    before, after = citation[: url.start()].rstrip(", "), citation[url.end() :]
    label, colon, words = before.rpartition(": ")
    words = words or url.group().partition("://")[2]
    return f"{escape(label + colon)}[{escape(words)}]({url.group()}){escape(after)}"


def _row(technique: Technique) -> str:
    exercise = technique.exercise
    cells = (
        f"`{technique.name}`: {escape(technique.says)}",
        f"[{technique.module}]({technique.path})",
        "; ".join(technique.papers) or "—",
        f"{exercise.minutes} min, difficulty {exercise.difficulty} of 5" if exercise else "—",
    )
    return f"| {' | '.join(cells)} |"
