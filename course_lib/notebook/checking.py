"""What a chapter calls: check, check_rejects, hint, solution."""

import inspect
from collections import Counter

from course_lib.notebook.exercises import Exercise, find_exercise, plain_function
from course_lib.notebook.journal import record
from course_lib.notebook.messages import (
    Message,
    Section,
    failure_sections,
    mistake_sections,
    tell,
)
from course_lib.notebook.mistakes import name_mistakes
from course_lib.notebook.notebooks import read_notebook
from course_lib.notebook.places import ROOT
from course_lib.notebook.running import Result, run_checks
from course_lib.notebook.submissions import is_stub

_hints_given: Counter[str] = Counter()


class WrongAnswer(AssertionError):
    """Raised by `check` after it has said what is wrong: one line in a notebook."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def check(answer: object) -> object:
    """Check an answer and say what was found; returns what the rest of the chapter should use.

    Right: the answer. Not attempted: the library's own, so that the chapter runs on. Wrong: says
    which checks fail and which known mistake it is, and raises WrongAnswer, so that the name
    keeps the learner's own object. The library's object is recognised and not counted.
    """
    stem, exercise = find_exercise(_name_of(answer))
    verdict, message = judge(answer, stem, exercise)
    notice = record(stem, exercise.name, verdict, source_of(answer))
    tell(message)
    if notice:
        tell(Message("note", notice))
    if verdict == "wrong":
        raise WrongAnswer(f"{message.headline}; the name {exercise.name} stays yours")
    return answer if verdict == "right" or _why_absent(exercise) else exercise.library_object()


def judge(
    answer: object, stem: str, exercise: Exercise, *, problem: str | None = None
) -> tuple[str, Message]:
    """A verdict ("right", "wrong", "not attempted", "library", "unreadable") and its message.

    `problem` is why there is no answer to judge: an exercise that could not be read.
    """
    if problem:
        return "unreadable", Message("wrong", problem)
    if absent := _why_absent(exercise):
        return "not attempted", Message("note", f"{exercise.name}: {absent}")
    if answer is exercise.library_object():
        headline = f"{exercise.name}: this is the library's own, so it is not counted"
        return "library", Message("note", headline)
    if is_stub(answer):
        headline = f"{exercise.name}: not attempted yet, the chapter goes on with the library's"
        advice = Section(text=f"`hint({exercise.name})` gives a hint")
        return "not attempted", Message("note", headline, (advice,))
    result = run_checks(answer, stem, exercise)
    return ("right" if result.passed else "wrong"), describe(result, stem, exercise)


def describe(result: Result, stem: str, exercise: Exercise) -> Message:
    """The message for an attempted answer."""
    printed = (Section("Your code printed", values=result.printed[-2000:]),)
    printed = printed if result.printed else ()
    if result.passed:
        headline = f"{exercise.name} is right: {len(result.outcomes)} checks passed"
        return Message("right", headline, printed)
    mistakes = mistake_sections(name_mistakes(result, stem, exercise))
    sections = mistakes + failure_sections(result.failed) + printed
    return Message("wrong", f"{exercise.name} is not right yet: {_count(result)}", sections)


def check_rejects(answer: object, name: str) -> None:
    """Prove that the checks of exercise `name` catch a wrong answer, or raise AssertionError."""
    stem, exercise = find_exercise(name)
    result = run_checks(answer, stem, exercise)
    if result.passed:
        raise AssertionError(f"{_name_of(answer)} passes every check of {name}")
    sentences = "; ".join(outcome.sentence for outcome in result.failed[:3])
    tell(Message("right", f"{_name_of(answer)} is rejected", (Section(text=sentences),)))


def hint(answer: object) -> None:
    """Give the next hint of an exercise (its function, or its name); after the last, begin anew."""
    _, exercise = find_exercise(_name_of(answer))
    number = _hints_given[exercise.name] % len(exercise.hints)
    _hints_given[exercise.name] += 1
    headline = f"{exercise.name}, hint {number + 1} of {len(exercise.hints)}"
    tell(Message("note", headline, (Section(text=exercise.hints[number]),)))


def solution(answer: object) -> None:
    """Show the library's source of an exercise and the explained answer."""
    stem, exercise = find_exercise(_name_of(answer))
    if absent := _why_absent(exercise):
        return tell(Message("note", f"{exercise.name}: {absent}"))
    source = inspect.getsource(plain_function(exercise.library_object()))
    explained = _explanation(stem, exercise)
    sections = [Section(text=explained)] if explained else []
    sections.append(Section(f"{exercise.target.replace(':', '.')}", values=source))
    return tell(Message("note", f"{exercise.name}: a solution", tuple(sections)))


def source_of(answer: object) -> str:
    """The source of an answer, or "" where none is kept."""
    try:
        return inspect.getsource(plain_function(answer))
    except (OSError, TypeError):
        return ""


def _why_absent(exercise: Exercise) -> str:
    """Why the exercise cannot be done on this machine (a kernel without Triton); "" if it can."""
    try:
        exercise.library_object()
    except ImportError as error:
        return str(error)
    return ""


def _explanation(stem: str, exercise: Exercise) -> str:
    """The prose below the heading that names the exercise in the solution notebook."""
    path = ROOT / "solutions" / f"{stem}.ipynb"
    if not path.exists():
        return ""
    for cell in read_notebook(path)["cells"]:
        heading, _, text = "".join(cell["source"]).partition("\n")
        if cell["cell_type"] == "markdown" and f"`{exercise.name}`" in heading:
            return text.strip()
    return ""


def _count(result: Result) -> str:
    return f"{len(result.failed)} of {len(result.outcomes)} checks fail"


def _name_of(answer: object) -> str:
    name = answer if isinstance(answer, str) else getattr(answer, "__name__", None)
    if name is None:
        raise ValueError(f"check takes a function or a class, not {type(answer).__name__}")
    return name
