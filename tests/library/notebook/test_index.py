"""The index of techniques of a small library; markdown-it is the oracle of what is shown."""

import subprocess
import sys

import pytest
from markdown_it import MarkdownIt

from course_lib.notebook import cli, index, places
from course_lib.notebook.exercises import Exercise
from course_lib.notebook.notebooks import write_notebook

NORMS = '''
def rms_norm(x):
    """x / rms(x) * gain: a|b, <unk> and *stars* stay as they are, `c|d_e` too.

    Costs 2048 bytes.

    Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467, eq. 4. Chapter 05.
    """


class LayerNorm:
    """Mean 0, variance 1. Chapter 05."""

    def public_method(self):
        """Not a technique. Chapter 05."""


def _private():
    """Chapter 05."""


def untaught():
    """Used inside; https://example.org is no paper of a chapter."""


def later():
    """Of a chapter that does not exist. Chapter 09."""


def answer(x):
    """Twice x."""
'''
LIMITS = '''
raise RuntimeError("the index imports the library")


def first():
    """One paragraph.

    Model: Goldwater, Griffiths and
    Johnson 2011, https://jmlr.org/papers/v12/goldwater11a.html,
    section 5.1. Inference: Asuncion et al. 2009, https://arxiv.org/abs/1205.2662, eq. 14 (CVB0).
    Chapter 00.
    """


def second():
    """No address.

    J. Bridle 1990, "Probabilistic interpretation". Chapter 00.
    """
'''


@pytest.fixture(autouse=True)
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    exercise = Exercise("answer", "course_lib.model.norms:answer", 15, 2, ("one", "two"))
    monkeypatch.setattr(index, "EXERCISES", {"05_transformer": (exercise,), "17_later": ()})
    for name, source in {"model/norms.py": NORMS, "limits.py": LIMITS}.items():
        path = tmp_path / "course_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    for stem, head in {"00_welcome": "# 00 Welcome", "05_transformer": "# 05. The *one*"}.items():
        cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"{head}\n\ntext"}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        write_notebook(tmp_path / "chapters" / f"{stem}.ipynb", notebook)
    (tmp_path / "README.md").write_text("# Course\n", encoding="utf-8")
    return tmp_path


def shown_rows() -> list[list[str]]:
    """The cells of the page's rows as a reader sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(index.techniques_page())
    rows = []
    for position, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "td_open":
            rows[-1].append("".join(each.content for each in tokens[position + 1].children))
    return [row for row in rows if row]


def test_techniques_are_those_of_chapters_that_exist():
    assert [(each.stem, each.module, each.name) for each in index.techniques()] == [
        ("00_welcome", "course_lib.limits", "first"),
        ("00_welcome", "course_lib.limits", "second"),
        ("05_transformer", "course_lib.model.norms", "rms_norm"),
        ("05_transformer", "course_lib.model.norms", "LayerNorm"),
        ("05_transformer", "course_lib.model.norms", "answer"),
    ]


def test_a_reader_sees_the_docstrings_own_characters():
    first, second, rms_norm, layer_norm, answer = shown_rows()
    module = "course_lib.model.norms"
    says = "rms_norm: x / rms(x) * gain: a|b, <unk> and *stars* stay as they are, c|d_e too"
    assert rms_norm == [says, module, "Zhang and Sennrich 2019, eq. 4", "—"]
    assert layer_norm == ["LayerNorm: Mean 0, variance 1", module, "—", "—"]
    assert answer == ["answer: Twice x", module, "—", "15 min, difficulty 2 of 5"]
    models = "Model: Goldwater, Griffiths and Johnson 2011, section 5.1; "
    assert first[2] == models + "Inference: Asuncion et al. 2009, eq. 14 (CVB0)"
    assert second[2] == 'J. Bridle 1990, "Probabilistic interpretation"'


def test_papers_modules_and_chapters_are_linked():
    page = index.techniques_page()
    assert "[Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467)" in page
    assert "[Asuncion et al. 2009](https://arxiv.org/abs/1205.2662)" in page
    assert "[course_lib.limits](course_lib/limits.py)" in page
    assert "## 05 [The \\*one\\*](chapters/05_transformer.ipynb)" in page
    assert "0 exercises, 0 minutes." in page
    assert "1 exercise, 15 minutes." in page


def test_an_exercise_without_its_answer_in_the_library_is_named(monkeypatch):
    lost = Exercise("lost", "course_lib.limits:nowhere", 5, 1, ("one", "two"))
    monkeypatch.setattr(index, "EXERCISES", {"00_welcome": (lost,)})
    with pytest.raises(ValueError, match=r"exercise lost: course_lib\.limits:nowhere"):
        index.techniques()


def test_a_chapter_without_a_heading_is_named(library):
    path = library / "chapters" / "00_welcome.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("# 00", "00"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"00_welcome\.ipynb has no heading"):
        index.chapter_title("00_welcome")


def test_minutes_of_a_chapter_are_those_of_its_exercises():
    assert index.chapter_minutes("05_transformer") == 15
    assert index.chapter_minutes("00_welcome") == 0


def test_the_command_writes_the_page_once_and_check_only_looks(library, capsys):
    assert cli.main(["index", "--check"]) == 1
    assert "TECHNIQUES.md: is not current: course index" in capsys.readouterr().out
    assert not (library / "TECHNIQUES.md").exists()
    assert cli.main(["index"]) == 0
    assert capsys.readouterr().out == "TECHNIQUES.md: written\n"
    assert cli.main(["index", "--check"]) == 0
    (library / "course_lib" / "limits.py").write_text("", encoding="utf-8")
    assert cli.main(["index", "--check"]) == 1
    assert capsys.readouterr().out == "TECHNIQUES.md: is not current: course index\n"


def test_a_claim_that_is_quoted_but_not_recorded_is_one_line(library, capsys):
    quote = "<!-- claim: C3 -->1 ms<!-- /claim -->"
    (library / "README.md").write_text(quote, encoding="utf-8")
    assert cli.main(["index"]) == 2
    assert capsys.readouterr().err.startswith("course index: claim 'C3' is quoted but not in")
    assert not (library / "TECHNIQUES.md").exists()


def test_the_library_is_read_and_not_imported():
    code = "import sys; from course_lib.notebook.cli import main; main(['index', '--check'])"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)
