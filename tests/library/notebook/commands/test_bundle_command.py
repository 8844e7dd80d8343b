"""`course bundle`: what it asks pip for, and that its data needs no network."""

import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.notebook.cli import main
from course_lib.notebook.commands.bundle import requirements, target_options
from course_lib.text import fetching
from course_lib.text.sources import SOURCES, Source


def test_the_checkout_itself_is_not_downloaded_but_what_builds_it_is():
    lines = requirements(tests=False)
    assert not [line for line in lines if line.startswith("-")]
    assert any(line.startswith("torch==") for line in lines)
    assert any(line.startswith("setuptools==") for line in lines)
    assert not any(line.startswith("hypothesis==") for line in lines)
    assert any(line.startswith("hypothesis==") for line in requirements(tests=True))


def test_other_machines_are_described_in_pips_words():
    assert target_options(None, None) == []
    assert target_options(["a", "b"], "3.12") == [
        *("--platform", "a", "--platform", "b", "--python-version", "3.12")
    ]


@pytest.fixture
def asked(monkeypatch):
    """pip's `download` is not run; the commands it was given."""
    commands = []

    def run(command, **options):
        wanted = Path(command[command.index("--requirement") + 1]).read_text()
        commands.append((command, wanted))
        return subprocess.CompletedProcess(command, returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


@pytest.fixture
def one_source(monkeypatch):
    """The table has one source; its download writes a file with its name."""
    for name in list(SOURCES):
        monkeypatch.delitem(SOURCES, name)
    source = Source("tiny", "1.0", "0" * 64, 1, "tiny", ("*",), "MIT", "tests")
    monkeypatch.setitem(SOURCES, "tiny", source)
    downloads = []

    def download(source, destination, **options):
        downloads.append(source.name)
        path = destination / "tiny-1.0-py3-none-any.whl"
        path.write_bytes(b"tiny")
        return path

    monkeypatch.setattr(fetching, "download_wheel", download)
    monkeypatch.setattr(fetching, "file_sha256", lambda path: "0" * 64)
    return downloads


def test_a_bundle_has_wheels_and_data_and_a_second_run_adds_what_lacks(
    asked, one_source, tmp_path, capsys
):
    folder = tmp_path / "bundle"
    arguments = ["bundle", str(folder), "--platform", "win_amd64", "--python-version", "3.12"]
    assert main(arguments) == 0
    assert main(arguments) == 0
    command, wanted = asked[0]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert command[command.index("--dest") + 1] == str(folder / "wheels")
    assert "--platform" in command
    assert "torch==" in wanted
    assert one_source == ["tiny"]
    assert f"make setup BUNDLE={folder}" in capsys.readouterr().out


def test_a_failing_pip_is_one_line(asked, one_source, monkeypatch, tmp_path, capsys):
    failed = subprocess.CompletedProcess([], returncode=1)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: failed)
    assert main(["bundle", str(tmp_path)]) == 2
    assert "course bundle: pip could not collect the wheels" in capsys.readouterr().err
