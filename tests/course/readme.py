"""What a page for readers says that can be checked: tables, the tree, commands, links.

Each `lies_in_...` gives one line for everything that is not so, and nothing for a true page.
"""

import contextlib
import fnmatch
import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from course_lib.notebook import places
from course_lib.notebook.cli import build_parser
from course_lib.notebook.exercises import EXERCISES
from course_lib.notebook.index import chapter_minutes, chapter_title
from course_lib.notebook.notebooks import read_notebook

_COMMAND = re.compile(r"\s*(?:[A-Z_]+=\S* )*((?:make|(?:\S*/)?course) .*)")


def parse(text: str) -> list[Token]:
    """The page's tokens, those inside a line at the place of the line."""
    tokens = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        tokens += token.children if token.type == "inline" else [token]
    return tokens


def table(text: str, *columns: str) -> list[dict[str, str]]:
    """The rows, as {column: Markdown}, of the table that has these columns; [] if there is none."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    tables, rows = [], []
    for position, token in enumerate(tokens):
        if token.type == "table_open":
            tables.append(rows := [])
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(tokens[position + 1].content)
    for head, *body in tables:
        if set(columns) <= set(head):
            return [dict(zip(head, row, strict=True)) for row in body]
    return []


def lies_in_chapter_table(text: str) -> Iterator[str]:
    """Each existing chapter is linked under its own title, each other is `planned`."""
    rows = table(text, "chapter", "title", "exercises", "status")
    numbers = [row["chapter"] for row in rows]
    stems = {stem[:2]: stem for stem in places.chapter_stems()}
    if numbers != sorted(set(numbers)):
        yield f"the chapters {numbers} are not in order, each once"
    yield from (f"{stems[number]} has no row" for number in stems if number not in numbers)
    for row in rows:
        number, status = row["chapter"], row["status"]
        if number in stems:
            stem = stems[number]
            truth = (
                f"[{chapter_title(stem)}](chapters/{stem}.ipynb)",
                str(len(EXERCISES.get(stem, ()))),
            )
            if (row["title"], row["exercises"]) != truth or "planned" in status:
                yield f"{number}: {row} is not {truth}, and not planned"
        elif "](" in row["title"] or status != "planned" or row["exercises"]:
            yield f"{number}: there is no such chapter, but the row is {row}"


def lies_in_timetable(text: str) -> Iterator[str]:
    """`read` and `solve` are the minutes of the chapter's head and of the table of exercises."""
    rows = table(text, "chapter", "read", "solve")
    stems = places.chapter_stems()
    if [row["chapter"] for row in rows] != [stem[:2] for stem in stems]:
        yield f"the timetable's rows are not the chapters {stems}"
    for row in rows:
        for stem in (stem for stem in stems if stem.startswith(f"{row['chapter']}_")):
            head = read_notebook(places.ROOT / "chapters" / f"{stem}.ipynb")["cells"][0]["source"]
            said = re.search(r"(\d+) minutes to read, (\d+) to solve", head)
            truth = (f"{said[1]} min", f"{chapter_minutes(stem)} min") if said else ()
            if (row["read"], row["solve"]) != truth or said[2] != str(chapter_minutes(stem)):
                yield f"{stem}: {row['read']}, {row['solve']}; head and exercises say {truth}"


def lies_in_tree(text: str) -> Iterator[str]:
    """Every path exists, a folder ends in /, and no folder is left out beside those shown."""
    found = re.search(r"^## The repository\n.*?^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if not found:
        yield "there is no tree under '## The repository'"
        return
    shown: dict[Path, list[str]] = {}
    parents: list[tuple[int, Path]] = []
    for line in filter(str.strip, found[1].splitlines()):
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        parents = [(depth, path) for depth, path in parents if depth < indent]
        parent = parents[-1][1] if parents else places.ROOT
        path = parent / name
        shown.setdefault(parent, []).append(name.rstrip("/"))
        parents.append((indent, path))
        if not (path.is_dir() if name.endswith("/") else path.is_file()):
            yield f"the tree shows {path.relative_to(places.ROOT)}: {line.strip()!r}"
    for parent, names in shown.items():
        left_out = [name for name in _folders(parent) if name not in names]
        yield from (f"the tree leaves {(parent / name)} out" for name in left_out)


def _folders(parent: Path) -> list[str]:
    """The folders that git keeps: none that is hidden or that .gitignore names."""
    ignored = (places.ROOT / ".gitignore").read_text(encoding="utf-8").split()
    patterns = [".*", *(line.strip("/") for line in ignored)]
    names = sorted(path.name for path in parent.iterdir() if path.is_dir())
    return [name for name in names if not any(fnmatch.fnmatch(name, each) for each in patterns)]


def lies_in_commands(text: str) -> Iterator[str]:
    """`make X` is a target and `course X ...` would be understood, in code and in `sh` blocks."""
    for token in parse(text):
        if token.type == "code_inline" or (token.type == "fence" and token.info == "sh"):
            for line in token.content.splitlines():
                found = _COMMAND.match(line)
                if found and not _is_understood(shlex.split(found[1], comments=True)):
                    yield f"{line.strip()!r} is not a command of this course"


def _is_understood(words: list[str]) -> bool:
    if words[0] == "make":
        makefile = (places.ROOT / "Makefile").read_text(encoding="utf-8")
        rules = re.findall(r"^([a-z][\w ]*):(?!=)", makefile, re.MULTILINE)
        known = {target for targets in rules for target in targets.split()}
        known |= {f"{name}=" for name in re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE)}
        return {re.sub("=.*", "=", word) for word in words[1:]} <= known
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parsed, unknown = build_parser().parse_known_args(words[1:])
    except SystemExit:
        return False
    return parsed.passes_on or not unknown


def dead_links(path: Path) -> Iterator[str]:
    """Links and pictures of a Markdown file that lead to no file of the course or no heading."""
    for token in parse(path.read_text(encoding="utf-8")):
        target = token.attrGet("href") or token.attrGet("src")
        if target is None or urlsplit(target).scheme:
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path.resolve()
        inside = file.is_relative_to(places.ROOT.resolve()) and not name.startswith("/")
        if not (inside and file.exists()):
            yield f"{path.name}: {target} does not exist"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text("utf-8")):
            yield f"{path.name}: {target}: there is no such heading"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page: equal ones are numbered."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    times, names = Counter(), set()
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            shown = "".join(each.content for each in tokens[position + 1].children)
            name = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
            names.add(f"{name}-{times[name]}" if times[name] else name)
            times[name] += 1
    return names
