"""README and the pages beside it are true; the tests are tested on a course that lies."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import readme

from course_lib.notebook import cli, index, places
from course_lib.notebook.exercises import Exercise
from course_lib.notebook.measurements import load_record
from course_lib.notebook.notebooks import write_notebook
from course_lib.notebook.places import ROOT
from course_lib.notebook.quoting import quoted_keys, quotes_are_current

PAGES = ("README.md", "CONTRIBUTING.md", "TECHNIQUES.md", "CHANGELOG.md")
README_CHECKS = (readme.lies_in_chapter_table, readme.lies_in_timetable, readme.lies_in_tree)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("lies", README_CHECKS, ids=lambda lies: lies.__name__[8:])
def test_readme_is_true(lies):
    found_lies = list(lies(read("README.md")))
    assert not found_lies


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_would_be_understood(name):
    unknown = list(readme.lies_in_commands(read(name)))
    assert not unknown


@pytest.mark.parametrize("name", PAGES)
def test_no_link_of_a_page_is_dead(name):
    dead = list(readme.dead_links(ROOT / name))
    assert not dead


def test_pages_made_by_the_index_are_current(capsys):
    assert cli.main(["index", "--check"]) == 0, capsys.readouterr().out


def test_every_claim_that_readme_names_is_quoted_from_the_record():
    for line in read("README.md").splitlines():
        assert set(re.findall(r"\bC\d+\b", line)) == {key.split()[0] for key in quoted_keys(line)}
    assert quotes_are_current(read("README.md"), load_record())


README = """# Course

| chapter | title | exercises | status |
|---|---|---|---|
| 00 | [Welcome](chapters/00_welcome.ipynb) | 1 | ready |
| 01 | Tokenization | | planned |

Run `make lab`, see [the tree](#the-repository) and [more](MORE.md#a--b-c). ![A](pictures/a.png)

```sh
make lab ARGS="--port 8899"   # make nothing
COURSE_PRESET=gpu .venv/bin/course check 00 --answers work
pip install x  # don't ask
```

| chapter | read | solve |
|---|---|---|
| 00 | 40 min | 10 min |

## The repository

```
chapters/       the notebooks
course_lib/     the library
  model/        norms
pictures/       pictures
Makefile        one line a task
```
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small course whose README is true."""
    monkeypatch.setattr(places, "ROOT", tmp_path)
    exercises = {"00_welcome": (Exercise("softmax", "module:softmax", 10, 1, ("one", "two")),)}
    monkeypatch.setattr(readme, "EXERCISES", exercises)
    monkeypatch.setattr(index, "EXERCISES", exercises)
    for folder in ("chapters", "course_lib/model", "pictures", "build", ".git"):
        (tmp_path / folder).mkdir(parents=True)
    head = "# 00 Welcome\n\n**Time:** 40 minutes to read, 10 to solve."
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": head}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    write_notebook(tmp_path / "chapters" / "00_welcome.ipynb", notebook)
    (tmp_path / "Makefile").write_text("ARGS ?=\nX := a\nlab test: .venv\n\tcourse lab\n")
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "MORE.md").write_text("# A & *b*: c\n")
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def found(lies: Callable, old: str = "", new: str = "") -> str:
    """The lies that are found after README says `new` instead of `old`, a line each."""
    assert old in README
    return "\n".join(lies(README.replace(old, new, 1)))


def test_a_true_readme_has_no_lies(course):
    for lies in (*README_CHECKS, readme.lies_in_commands):
        assert not found(lies)
    assert not list(readme.dead_links(course / "README.md"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| 00 | [Welcome]", "| 00 | [Hello]"),
        ("[Welcome](chapters/00_welcome.ipynb)", "Welcome"),
        ("| 1 | ready", "| 2 | ready"),
        ("ready", "planned"),
        ("| | planned |", "| | ready |"),
        ("| Tokenization |", "| [Tokenization](chapters/01_tokenization.ipynb) |"),
        ("| Tokenization | |", "| Tokenization | 6 |"),
        ("| 00 | [Welcome](chapters/00_welcome.ipynb) | 1 | ready |\n", ""),
        ("| 01 | Tok", "| 00 | Tok"),
        ("| chapter | title | exercises | status |", "| chapter | name | exercises | status |"),
    ],
)
def test_a_lie_in_the_chapter_table_is_found(course, old, new):
    assert found(readme.lies_in_chapter_table, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [("40 min", "45 min"), ("10 min", "15 min"), ("| 00 | 40", "| 01 | 40"), ("solve", "do")],
)
def test_a_lie_in_the_timetable_is_found(course, old, new):
    assert "00_welcome" in found(readme.lies_in_timetable, old, new)


def test_a_chapter_whose_head_and_exercises_disagree_is_found(course):
    path = course / "chapters" / "00_welcome.ipynb"
    path.write_text(path.read_text().replace("10 to solve", "20 to solve"))
    assert "00_welcome" in found(readme.lies_in_timetable)


@pytest.mark.parametrize(
    ("old", "new", "lie"),
    [
        ("  model/ ", "model/ ", "shows model"),
        ("  model/ ", "  norms/ ", "shows course_lib/norms"),
        ("Makefile  ", "Makefile/ ", "shows Makefile"),
        ("pictures/  ", "pictures   ", "shows pictures"),
        ("pictures/       pictures\n", "", "pictures out"),
        ("## The repository", "## The tree", "no tree"),
    ],
)
def test_a_lie_in_the_tree_is_found(course, old, new, lie):
    assert lie in found(readme.lies_in_tree, old, new)


def test_a_folder_beside_those_shown_may_not_be_left_out(course):
    (course / "course_lib" / "training").mkdir()
    assert found(readme.lies_in_tree).endswith("course_lib/training out")
    shutil.rmtree(course / "course_lib" / "training")
    (course / "course_lib" / "model" / "parts").mkdir()
    assert not found(readme.lies_in_tree)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("`make lab`", "`make labs`"),
        ("make lab ARGS", "make lab ARG"),
        ("course check", "course chek"),
        ("--answers", "--replies"),
    ],
)
def test_a_command_that_does_not_exist_is_found(course, old, new):
    assert new.strip("`") in found(readme.lies_in_commands, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MORE.md#a--b-c", "LESS.md"),
        ("MORE.md#a--b-c", "MORE.md#a-b"),
        ("#the-repository", "#the-tree"),
        ("pictures/a.png", "pictures/b.png"),
        ("pictures/a.png", "../outside.png"),
        ("MORE.md#a--b-c", "/MORE.md"),
    ],
)
def test_a_dead_link_is_found(course: Path, old: str, new: str):
    path = course / "README.md"
    (course.parent / "outside.png").write_bytes(b"")
    path.write_text(README.replace(old, new, 1))
    assert new in "\n".join(readme.dead_links(path))


def test_equal_headings_have_different_anchors():
    text = "# One\n## Two, three\n## One\n```\n# not a heading\n```\n## `One`\n"
    assert readme.anchors(text) == {"one", "two-three", "one-1", "one-2"}
