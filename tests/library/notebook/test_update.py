"""Updating the files: first copies, what has changed, damage and interruption."""

import copy
import json
import shutil
from pathlib import Path

import pytest
from notebook_cells import ANSWER, BASE, STUB, code, notebook, sources, text

from course_lib import files
from course_lib.notebook import cli, places, update
from course_lib.notebook.notebooks import read_notebook, write_notebook

STEM = "05_transformer"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A checkout with one chapter; the learner's folder."""
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "work"))
    write_notebook(tmp_path / "chapters" / f"{STEM}.ipynb", BASE)
    return tmp_path / "work"


def change_course(*cells):
    write_notebook(places.ROOT / "chapters" / f"{STEM}.ipynb", notebook(*cells))


def change_copy(work, cell_id, source):
    copied = read_notebook(work / f"{STEM}.ipynb")
    for cell in copied["cells"]:
        if cell["id"] == cell_id:
            cell["source"] = source
    write_notebook(work / f"{STEM}.ipynb", copied)


NEW_CELLS = (
    text("head", "# Attention, again"),
    *BASE["cells"][1:2],
    code("stub", STUB + "  # new"),
    text("tip", "Tip"),
    *BASE["cells"][3:],
)


def test_a_chapter_is_copied_once_and_never_again_over_the_learners(work):
    assert update.copy_new_chapters() == [STEM]
    assert sources(read_notebook(work / f"{STEM}.ipynb")) == sources(BASE)
    change_copy(work, "stub", ANSWER)
    assert update.copy_new_chapters() == []
    assert ANSWER in sources(read_notebook(work / f"{STEM}.ipynb"))


def test_a_broken_link_in_the_place_of_a_copy_is_left_alone(work):
    work.mkdir()
    (work / f"{STEM}.ipynb").symlink_to(work / "elsewhere.ipynb")
    assert update.copy_new_chapters() == []


def test_only_another_version_of_the_course_counts_as_changed(work):
    assert update.changed_chapters() == []
    update.copy_new_chapters()
    change_copy(work, "stub", ANSWER)
    assert update.changed_chapters() == []
    change_course(*NEW_CELLS)
    assert update.changed_chapters() == [STEM]
    update.update_chapter(STEM)
    assert update.changed_chapters() == []
    (work / f"{STEM}.ipynb").write_text("broken")
    assert update.changed_chapters() == []


def test_an_update_keeps_the_file_before_and_says_what_it_did(work, capsys):
    (places.ROOT / "CHANGELOG.md").write_text("# Changes\n\n- Old news\n")
    assert cli.main(["update"]) == 0
    change_copy(work, "stub", ANSWER)
    before = (work / f"{STEM}.ipynb").read_bytes()
    change_course(*NEW_CELLS)
    (places.ROOT / "CHANGELOG.md").write_text("# Changes\n\n- The mask is\n  clearer\n- Old news\n")
    capsys.readouterr()
    assert cli.main(["update", "5"]) == 0
    said = capsys.readouterr().out
    for words in (
        '1 cell now as in the course: "Attention, again"',
        '1 cell added by the course: "Tip"',
        'the new one stands below yours: "def causal_mask"',
        "- The mask is\n    clearer",
        "Reload Notebook from Disk",
    ):
        assert words in said
    assert "Old news" not in said
    [kept] = (work / ".course" / "before").iterdir()
    assert kept.read_bytes() == before
    assert ANSWER in sources(read_notebook(work / f"{STEM}.ipynb"))
    assert cli.main(["update"]) == 0
    assert capsys.readouterr().out == f"{STEM}: nothing new\n"


def test_a_restored_file_is_updated_again_from_its_own_base(work):
    update.copy_new_chapters()
    change_course(*NEW_CELLS)
    first = update.update_chapter(STEM)
    merged = (work / f"{STEM}.ipynb").read_bytes()
    shutil.copy(first.before, work / f"{STEM}.ipynb")
    assert update.update_chapter(STEM).report == first.report
    assert (work / f"{STEM}.ipynb").read_bytes() == merged


def test_a_copy_that_lost_its_metadata_is_matched_with_the_most_alike_base(work):
    update.copy_new_chapters()
    change_copy(work, "stub", ANSWER)
    copied = read_notebook(work / f"{STEM}.ipynb")
    write_notebook(work / f"{STEM}.ipynb", copied | {"metadata": {}})
    change_course(*NEW_CELLS)
    assert update.update_chapter(STEM).report.changed == ("Attention, again",)


@pytest.mark.parametrize("damage", [shutil.rmtree, lambda folder: _spoil(folder)])
def test_a_lost_base_loses_nothing(work, damage):
    update.copy_new_chapters()
    change_copy(work, "stub", ANSWER)
    change_course(*NEW_CELLS)
    damage(work / ".course" / "base")
    update.update_chapter(STEM)
    merged = sources(read_notebook(work / f"{STEM}.ipynb"))
    assert ANSWER in merged
    assert "# Attention" in merged
    assert any("# Attention, again" in source for source in merged)
    assert update.changed_chapters() == []


def _spoil(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b'{"nbformat": 4, "cells"')


def test_a_broken_copy_is_named_and_left_and_the_other_chapters_are_updated(work, capsys):
    write_notebook(places.ROOT / "chapters" / "06_training.ipynb", BASE)
    update.copy_new_chapters()
    (work / f"{STEM}.ipynb").write_text('{"cells": [')
    write_notebook(places.ROOT / "chapters" / "06_training.ipynb", notebook(*NEW_CELLS))
    assert cli.main(["update"]) == 1
    said = capsys.readouterr()
    assert f"{STEM}.ipynb: is not a whole notebook" in said.err
    assert "06_training: updated" in said.out
    assert (work / f"{STEM}.ipynb").read_text() == '{"cells": ['


def test_a_file_saved_during_the_update_is_not_overwritten(work, monkeypatch):
    update.copy_new_chapters()
    change_course(*NEW_CELLS)
    merge = update.merge

    def merge_while_jupyter_saves(*versions):
        change_copy(work, "stub", ANSWER)
        return merge(*versions)

    monkeypatch.setattr(update, "merge", merge_while_jupyter_saves)
    with pytest.raises(ValueError, match="saved during the update"):
        update.update_chapter(STEM)
    assert ANSWER in sources(read_notebook(work / f"{STEM}.ipynb"))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", range(8))
def test_killed_between_any_two_writes_nothing_is_lost_and_the_next_update_completes(
    work, monkeypatch, moment
):
    update.copy_new_chapters()
    change_copy(work, "stub", ANSWER)
    untouched = copy.deepcopy(read_notebook(work / f"{STEM}.ipynb"))
    change_course(*NEW_CELLS)
    num_steps = 0

    def step_or_die(original):
        def step(*arguments):
            nonlocal num_steps
            num_steps += 1
            if num_steps > moment:
                raise Killed
            return original(*arguments)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", step_or_die(files.os.fsync))
        patch.setattr(files.Path, "replace", step_or_die(files.Path.replace))
        patch.setattr(files.Path, "unlink", lambda *arguments, **options: None)
        with pytest.raises(Killed):
            update.update_chapter(STEM)
    assert read_notebook(work / f"{STEM}.ipynb") == untouched
    update.update_chapter(STEM)
    merged = read_notebook(work / f"{STEM}.ipynb")
    assert [cell["id"] for cell in merged["cells"]] == [
        "head", "task", "stub", "stub-new", "tip", "check",
    ]  # fmt: skip
    assert ANSWER in sources(merged)
    assert update.changed_chapters() == []
    assert str(update.update_chapter(STEM)) == f"{STEM}: nothing new"


def test_a_copy_with_outputs_keeps_them(work):
    update.copy_new_chapters()
    path = work / f"{STEM}.ipynb"
    raw = json.loads(path.read_text())
    shown = {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}
    raw["cells"][3] |= {"outputs": [shown], "execution_count": 4}
    path.write_text(json.dumps(raw))
    change_course(*NEW_CELLS)
    update.update_chapter(STEM)
    assert read_notebook(path)["cells"][-1]["outputs"] == [shown]
    assert read_notebook(path)["cells"][-1]["execution_count"] == 4
