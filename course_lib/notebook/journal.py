"""The journal of the learner's answers: recording verdicts, and what they add up to."""

import ast
import contextlib
import hashlib
import json
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from course_lib.files import locked, write_atomically
from course_lib.notebook import places
from course_lib.notebook.notebooks import read_notebook
from course_lib.notebook.progress_table import ChapterProgress, ExerciseProgress, Progress

COUNTED = ("right", "wrong")
NOT_COUNTED = ("not attempted", "library", "unreadable")


def record(
    chapter_stem: str,
    exercise_name: str,
    verdict: str,
    answer_source: str,
    checks_source: str | None = None,
) -> str:
    """Record a verdict on an answer: "" or, if something went wrong, one sentence to show.

    "right" and "wrong" are recorded; "not attempted", "unreadable" and "library" (the library's
    own object) never count. `checks_source` is by default what `find_checks` finds now.
    """
    if verdict in NOT_COUNTED:
        return ""
    if verdict not in COUNTED:
        raise ValueError(f"verdict = {verdict!r}, must be one of {COUNTED + NOT_COUNTED}")
    if checks_source is None:
        checks_source = find_checks(chapter_stem, exercise_name)
    attempt = {
        "verdict": verdict,
        "time": time.time(),
        "answer": source_hash(answer_source, exercise_name) if answer_source else "",
        "checks": source_hash(checks_source),
    }
    try:
        with _lock():
            records, notice = _read_records()
            known = records.get(exercise_name, {})
            records[exercise_name] = _add_attempt(known, attempt) | {"chapter": chapter_stem}
            write_atomically(_path(), json.dumps({"exercises": records}, indent=1) + "\n")
    except OSError as error:
        return f"Your progress was not recorded: {error}"
    return notice


def _add_attempt(known: dict, attempt: dict) -> dict:
    solved = known.get("solved")
    if attempt["verdict"] == "right":
        solved = attempt | {"time": solved["time"] if solved else attempt["time"]}
    return {
        "attempts": known.get("attempts", 0) + 1,
        "first": known.get("first", attempt),
        "solved": solved,
        "last": attempt,
    }


def source_hash(source: str, name: str | None = None) -> str:
    """The hash of the code without layout and comments; of the definition of `name` if it is there.

    Source that does not parse is hashed as it stands.
    """
    try:
        tree = ast.parse(textwrap.dedent(source))
        named = [node for node in tree.body if _defines(node, name)]
        text = ast.dump(named[-1] if named else tree)
    except (SyntaxError, ValueError, RecursionError):
        text = source
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _defines(node: ast.stmt, name: str | None) -> bool:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return isinstance(node, kinds) and node.name == name


def find_checks(chapter_stem: str, exercise_name: str) -> str:
    """The source of an exercise's checks: the chapter's tests with an argument of its name."""
    path = places.ROOT / "tests" / "chapters" / f"test_{chapter_stem}.py"
    if not path.exists():
        return ""
    source = path.read_text(encoding="utf-8")
    checks = [
        ast.get_source_segment(source, node)
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
        and exercise_name in {argument.arg for argument in node.args.args}
    ]
    return "\n".join(checks)


def _path() -> Path:
    return places.work_folder() / ".course" / "progress.json"


def _lock() -> contextlib.AbstractContextManager[None]:
    return locked(_path().with_suffix(".lock"))


def _read_records() -> tuple[dict[str, dict], str]:
    """The records and "", or none and a sentence when the file is broken: it is kept aside."""
    path = _path()
    if not path.exists():
        return {}, ""
    try:
        records = json.loads(path.read_bytes())["exercises"]
        if all(map(_is_record, records.values())):
            return records, ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    aside = path.with_name(time.strftime("progress.broken.%Y-%m-%d_%H-%M-%S.json"))
    path.replace(aside)
    return {}, f"The record of your progress was broken: it is kept as {aside}, and begins anew."


def _is_record(known: dict) -> bool:
    attempts = [known["first"], known["last"], *([known["solved"]] if known["solved"] else [])]
    return isinstance(known["attempts"], int) and all(
        isinstance(each["time"], int | float)
        and all(isinstance(each[key], str) for key in ("verdict", "answer", "checks"))
        for each in attempts
    )


def progress(
    table: Mapping | None = None, *, checks: Callable[[str, str], str] = find_checks
) -> Progress:
    """What is solved, attempted and left, per chapter of the table of exercises.

    A solved exercise counts as changed since when its checks are other ones, when the last verdict
    was wrong, or when the saved notebook has another answer.
    """
    if table is None:
        from course_lib.notebook.exercises import EXERCISES as table

    try:
        with _lock():
            records, notice = _read_records()
    except OSError as error:
        records, notice = {}, f"Your progress cannot be read: {error}"
    chapters = []
    for stem, exercises in table.items():
        is_begun = any(exercise.name in records for exercise in exercises)
        code = _saved_code(stem) if is_begun else (0.0, [])
        standings = []
        for exercise in exercises:
            state, has_changed = "not attempted", False
            if known := records.get(exercise.name):
                state = "solved" if known["solved"] else "attempted"
                has_changed = state == "solved" and _has_changed(
                    known, exercise.name, checks(stem, exercise.name), code
                )
            standings.append(ExerciseProgress(exercise.name, exercise.minutes, state, has_changed))
        chapters.append(ChapterProgress(stem, tuple(standings)))
    return Progress(tuple(chapters), notice)


def _has_changed(known: dict, name: str, checks: str, code: tuple[float, list[ast.stmt]]) -> bool:
    solved, last = known["solved"], known["last"]
    saved, nodes = code
    answers = [node for node in nodes if _defines(node, name)]
    has_changed = last["verdict"] != "right" or source_hash(checks) != solved["checks"]
    # A notebook saved before the last check is older than the answer that was checked.
    if saved > last["time"] and solved["answer"]:
        answer = ast.unparse(answers[-1]) if answers else ""
        has_changed |= source_hash(answer, name) != solved["answer"]
    return has_changed


def _saved_code(stem: str) -> tuple[float, list[ast.stmt]]:
    """When the learner's notebook was saved, and its top-level statements; magics are left out."""
    path = places.work_folder() / f"{stem}.ipynb"
    nodes = []
    try:
        cells = read_notebook(path)["cells"]
        saved = path.stat().st_mtime
    except (ValueError, OSError):
        return 0.0, []
    for cell in cells:
        if cell["cell_type"] == "code":
            lines = cell["source"].splitlines()
            source = "\n".join("" if line.startswith(("%", "!")) else line for line in lines)
            try:
                nodes += ast.parse(source).body
            except (SyntaxError, ValueError, RecursionError):
                continue
    return saved, nodes
