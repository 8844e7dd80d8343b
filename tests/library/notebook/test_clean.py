"""`course clean` removes what it names and nothing that cannot be made again."""

import argparse
from pathlib import Path

import pytest

from course_lib.notebook.clean import remove


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "all" / "work"
    folder.mkdir(parents=True)
    (folder / "00_welcome.ipynb").write_text("mine")
    monkeypatch.setenv("COURSE_HOME", str(folder))
    return folder


def test_says_how_much_was_removed(tmp_path):
    (tmp_path / "build" / "deep").mkdir(parents=True)
    (tmp_path / "build" / "deep" / "data").write_bytes(bytes(1_500_000))
    (tmp_path / "build" / "page.html").touch()
    assert remove(tmp_path / "build") == f"removed {tmp_path / 'build'}: 2 files, 1.5 MB"
    assert not (tmp_path / "build").exists()


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    assert "nothing to remove" in remove(tmp_path / "build")


@pytest.mark.parametrize("place", ["", "..", "../..", "sub", "../work/sub/.."])
def test_the_learner_s_work_is_never_removed(work, place):
    (work / "sub").mkdir()
    with pytest.raises(ValueError, match="is not removed"):
        remove(work / place)
    assert (work / "00_welcome.ipynb").read_text() == "mine"


def test_work_inside_the_cache_is_found_through_a_link(work, tmp_path):
    (tmp_path / "cache").symlink_to(work.parent)
    assert "link" in remove(tmp_path / "cache")
    assert (work / "00_welcome.ipynb").exists()


def test_the_home_folder_is_never_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home" / "me")
    (tmp_path / "home" / "me").mkdir(parents=True)
    with pytest.raises(ValueError, match="is not removed"):
        remove(tmp_path / "home")


def test_links_inside_are_removed_but_not_what_they_point_to(work, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine").symlink_to(work)
    remove(tmp_path / "cache")
    assert (work / "00_welcome.ipynb").exists()


def test_a_script_with_unsaved_edits_is_not_cleaned_away(tmp_path, monkeypatch):
    from course_lib.notebook import places
    from course_lib.notebook.commands import clean as command

    monkeypatch.setattr(places, "ROOT", tmp_path)
    script = tmp_path / "build" / "00_welcome.py"
    script.parent.mkdir()
    script.write_text("# %%\nmy_edit = 1\n")
    with pytest.raises(ValueError, match="has edits"):
        command.run(argparse.Namespace(cache=False))
    assert script.exists()
