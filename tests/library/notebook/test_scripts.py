"""Stripping, editing as a script and saving back, as the commands do it."""

import difflib
import json
import sys

import pytest
from notebook_cells import ANSWER, STUB, code, notebook, text

from course_lib.notebook import cli, places, scripts
from course_lib.notebook.notebooks import read_notebook, strip, write_notebook

STEM = "05_transformer"
PICTURE = {"a.png": {"image/png": "iVBORw0KGgo="}}
CELLS = (
    text("head", "# Attention\n\nWith $x$ and `code`.\n", metadata={"tags": ["intro"]}),
    text("picture", "![a](attachment:a.png)", attachments=PICTURE),
    code("imports", "%matplotlib inline\n!ls\nimport torch\n"),
    code("empty", ""),
    text("blank", ""),
    code("stub", STUB, metadata={"slideshow": {"slide_type": "slide"}}),
    code("shell", "%%bash\nls | head"),
    {"cell_type": "raw", "id": "raw", "source": "as it is", "metadata": {}},
    text("quotes", 'Кавычки """ and \\ back\n\n- list\n    - deeper'),
    code("spaces", "\n\nx = 1\n\n\n"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    write_notebook(tmp_path / "chapters" / f"{STEM}.ipynb", strip(notebook(*CELLS)))
    write_notebook(tmp_path / "solutions" / f"{STEM}.ipynb", strip(notebook(CELLS[0])))
    return tmp_path


@pytest.fixture
def chapter(folder):
    return folder / "chapters" / f"{STEM}.ipynb"


@pytest.fixture
def script(folder):
    return folder / "build" / f"{STEM}.py"


def test_every_kind_of_cell_survives_the_way_to_a_script_and_back(chapter):
    given = read_notebook(chapter)
    assert scripts.from_script(scripts.to_script(given), given) == strip(given)


def test_a_one_line_edit_is_a_one_line_diff(chapter, script, capsys):
    before = chapter.read_text()
    assert cli.main(["edit", "5"]) == 0
    assert capsys.readouterr().out == f"{script}\n"
    script.write_text(script.read_text().replace("raise NotImplementedError", "return None"))
    assert cli.main(["save", "05"]) == 0
    assert "cells changed: 1, added: 0, removed: 0" in capsys.readouterr().out
    changed = [
        line
        for line in difflib.ndiff(before.splitlines(), chapter.read_text().splitlines())
        if line.startswith(("+", "-"))
    ]
    assert changed == ['-     "    raise NotImplementedError"', '+     "    return None"']


def test_saving_what_was_not_edited_changes_no_byte(chapter):
    before = chapter.read_bytes()
    assert cli.main(["edit", "5"]) == cli.main(["save", "5"]) == cli.main(["save", "5"]) == 0
    assert chapter.read_bytes() == before


def test_solutions_are_edited_beside_their_chapters(folder):
    assert cli.main(["edit", "5", "--solution"]) == 0
    path = folder / "build" / f"{STEM}_solution.py"
    path.write_text(path.read_text().replace("# # Attention", "# # Answers"))
    assert cli.main(["save", "5", "--solution"]) == 0
    assert "# Answers" in (folder / "solutions" / f"{STEM}.ipynb").read_text()


def test_new_and_copied_cells_get_ids_of_their_own_and_none_is_lost(chapter, script):
    cli.main(["edit", "5"])
    content = script.read_text()
    copied = '# %% id="stub"\n' + ANSWER
    script.write_text(content + "\n\n" + copied + "\n\n# %%\nnew = 1\n")
    assert cli.main(["save", "5"]) == 0
    saved = read_notebook(chapter, repair_ids=False)["cells"]
    assert [cell["id"] for cell in saved[:10]] == [cell["id"] for cell in CELLS]
    assert len({cell["id"] for cell in saved}) == 12
    assert saved[-1]["source"] == "new = 1"


def refused(arguments, words, capsys):
    capsys.readouterr()
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_notebook_that_changed_meanwhile_is_not_overwritten(chapter, script, capsys):
    cli.main(["edit", "5"])
    script.write_text(script.read_text().replace("# Attention", "# Mine"))
    write_notebook(chapter, strip(notebook(*CELLS, code("more", "y = 2"))))
    before = chapter.read_bytes()
    refused(["save", "5"], "has changed since `course edit`", capsys)
    assert chapter.read_bytes() == before


def test_running_the_notebook_is_no_change(chapter, script):
    cli.main(["edit", "5"])
    raw = json.loads(chapter.read_text())
    raw["cells"][2] |= {"execution_count": 3, "outputs": [{"output_type": "stream"}]}
    chapter.write_text(json.dumps(raw))
    assert cli.main(["save", "5"]) == 0
    assert cli.main(["strip", "--check"]) == 0


def test_a_save_that_was_killed_before_its_last_write_is_completed(chapter, script, monkeypatch):
    cli.main(["edit", "5"])
    script.write_text(script.read_text().replace("# Attention", "# Mine"))
    with monkeypatch.context() as patch:
        patch.setattr(scripts, "_write_state", lambda *given: (_ for _ in ()).throw(OSError("x")))
        assert cli.main(["save", "5"]) == 2
    assert cli.main(["save", "5"]) == 0
    assert cli.main(["edit", "5"]) == 0
    assert "# Mine" in chapter.read_text()


def test_edits_that_are_not_saved_are_not_replaced(script, capsys):
    cli.main(["edit", "5"])
    script.write_text(script.read_text() + "# mine\n")
    refused(["edit", "5"], "edits that are not saved", capsys)
    assert script.read_text().endswith("# mine\n")


def test_what_cannot_be_saved_is_one_sentence(chapter, script, capsys):
    refused(["save", "5"], "write it with `course edit`", capsys)
    script.parent.mkdir(exist_ok=True)
    script.write_text("# %%\nx = 1\n")
    refused(["save", "5"], "was not written by `course edit`", capsys)
    refused(["edit", "5"], "edits that are not saved", capsys)
    script.unlink()
    cli.main(["edit", "5"])
    script.write_text("")
    refused(["save", "5"], "no cells", capsys)
    refused(["edit", "99"], "chapter = '99'", capsys)


def test_a_cell_that_holds_a_marker_is_refused_by_name(chapter, capsys):
    write_notebook(chapter, strip(notebook(*CELLS, code("marker", "x = 1\n# %% not a cell\ny"))))
    refused(["edit", "5"], "cell 11 (x = 1, id marker)", capsys)


def test_without_jupytext_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    refused(["edit", "5"], "pip install -r tests/requirements.txt", capsys)


def test_strip_names_what_is_not_stripped_and_check_changes_nothing(chapter, folder, capsys):
    assert cli.main(["strip", "--check"]) == 0
    raw = json.loads(chapter.read_text())
    raw["metadata"]["kernelspec"]["name"] = "my-kernel"
    chapter.write_text(json.dumps(raw))
    before = chapter.read_bytes()
    capsys.readouterr()
    assert cli.main(["strip", "--check"]) == 1
    assert capsys.readouterr().out.startswith(f"chapters/{STEM}.ipynb: is not stripped")
    assert chapter.read_bytes() == before
    assert cli.main(["strip", "5"]) == 0
    assert cli.main(["strip", "--check"]) == 0
    assert read_notebook(chapter) == strip(notebook(*CELLS))
