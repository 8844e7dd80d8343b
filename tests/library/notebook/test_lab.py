"""`course lab`: what it starts, what it refuses in one sentence."""

import os
import socket
import sys
import types
from pathlib import Path

import pytest

from course_lib.notebook import cli, lab


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[list[str], dict]]:
    """What would have been started, with work in tmp_path/work and one changed chapter."""
    calls: list[tuple[list[str], dict]] = []
    update = types.SimpleNamespace(
        copy_new_chapters=lambda: ["00_welcome"], changed_chapters=lambda: ["05_transformer"]
    )
    monkeypatch.setitem(sys.modules, "course_lib.notebook.update", update)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "work"))
    monkeypatch.setattr(
        os, "execve", lambda _, command, environment: calls.append((command, environment))
    )
    return calls


def test_unknown_options_reach_jupyterlab_after_the_course_s_own(started, tmp_path):
    cli.main(["lab", "--no-browser", "--ServerApp.root_dir=/elsewhere"])
    command, _ = started[0]
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[-2:] == ["--no-browser", "--ServerApp.root_dir=/elsewhere"]
    assert command.index(f"--ServerApp.root_dir={tmp_path / 'work'}") < len(command) - 2


def test_other_commands_still_refuse_what_they_do_not_know(capsys):
    with pytest.raises(SystemExit):
        cli.main(["clean", "--no-browser"])
    assert "unrecognized arguments: --no-browser" in capsys.readouterr().err


def test_says_what_was_copied_and_which_chapters_changed(started, capsys):
    cli.main(["lab"])
    told = capsys.readouterr().out
    assert "00_welcome" in told
    assert "chapter 05 has changed: course update" in told


@pytest.mark.parametrize(("user", "is_allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_only_where_it_is_root(monkeypatch, tmp_path, user, is_allowed):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("--allow-root" in lab.lab_command(tmp_path)) is is_allowed


def test_opens_the_first_chapter_if_it_is_there(tmp_path):
    option = "--LabApp.default_url=/lab/tree/00_welcome.ipynb"
    assert option not in lab.lab_command(tmp_path)
    (tmp_path / "00_welcome.ipynb").touch()
    assert option in lab.lab_command(tmp_path)


def test_kernels_find_the_course_and_keep_what_the_learner_set(tmp_path):
    environment = lab.lab_environment(tmp_path, {"PYTHONPATH": "/mine", "LANG": "C"})
    assert environment["PYTHONPATH"] == f"{lab.ROOT}{os.pathsep}/mine"
    assert environment["LANG"] == "C"
    assert environment["COURSE_HOME"] == str(tmp_path)
    assert (Path(environment["JUPYTER_CONFIG_PATH"]) / "labconfig" / "page_config.json").exists()


@pytest.mark.parametrize("spelling", ["--port {}", "--port={}", "--ServerApp.port={}"])
def test_a_busy_port_is_one_sentence(started, capsys, spelling):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["lab", *spelling.format(port).split()]) == 2
    told = capsys.readouterr().err
    assert f"port {port}" in told
    assert told.count("\n") == 1
    assert started == []


def test_a_missing_jupyterlab_is_one_sentence(started, capsys, monkeypatch):
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["lab"]) == 2
    assert "make" in capsys.readouterr().err
    assert started == []


def test_work_that_cannot_be_written_points_to_course_home(started, capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file" / "work"))
    assert cli.main(["lab"]) == 2
    told = capsys.readouterr().err
    assert "COURSE_HOME=" in told
    assert told.count("\n") == 1
