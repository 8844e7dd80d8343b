"""Reading answers from notebook files: what is taken, and what stands in the way, in one line."""

import json
import subprocess
import sys

import pytest

from course_lib.notebook.definitions import load_definitions
from course_lib.notebook.places import ROOT
from course_lib.notebook.submissions import Submissions


def write(folder, *sources, stem="00_welcome"):
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / f"{stem}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return folder


def problem(folder):
    answer, found = Submissions(folder).answer("softmax")
    assert answer is None
    assert "\n" not in found
    return found


SOFTMAX = "def softmax(x, dim):\n    return torch.softmax(x, dim) * SCALE"


def test_definitions_are_taken_and_lessons_are_not_run(tmp_path):
    write(tmp_path, "import torch\nSCALE = 2 * 3", "1 / 0\nprint('lesson')", SOFTMAX)
    definitions = load_definitions(tmp_path / "00_welcome.ipynb", ["softmax"])
    assert definitions.namespace["SCALE"] == 6
    assert callable(definitions.namespace["softmax"])
    assert definitions.problem_of("softmax") is None


def test_missing_notebook_and_broken_ones_are_one_line(tmp_path):
    assert "there is no such notebook" in problem(tmp_path)
    (tmp_path / "00_welcome.ipynb").write_text('{"cells": [')
    assert "00_welcome.ipynb" in problem(tmp_path)
    (tmp_path / "00_welcome.ipynb").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in problem(tmp_path)


def test_exercise_defined_twice_names_both_cells(tmp_path):
    assert "cells 1 and 2 (softmax)" in problem(write(tmp_path, SOFTMAX, SOFTMAX))


def test_renamed_exercise_is_found(tmp_path):
    found = problem(write(tmp_path, "def soft_max(x, dim):\n    return x"))
    assert "is it soft_max in cell 1" in found


def test_syntax_error_names_file_cell_and_line(tmp_path):
    found = problem(write(tmp_path, "x = 1", "def softmax(x, dim):\n    return x +"))
    assert found.startswith("00_welcome.ipynb, cell 2 (softmax): syntax error in line 2")


def test_magics_in_an_exercise_are_named_and_elsewhere_ignored(tmp_path):
    write(tmp_path, "%matplotlib inline\nimport torch", "%%time\n1 +", "!ls\nSCALE = 1", SOFTMAX)
    assert Submissions(tmp_path).answer("softmax")[1] is None
    assert "'%%time' is a notebook command" in problem(write(tmp_path, "%%time\n" + SOFTMAX))


def test_definition_that_raises_is_named(tmp_path):
    found = problem(write(tmp_path, "@decorate\n" + SOFTMAX))
    assert "raised NameError" in found


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("def softmax(x, dim):\n    raise NotImplementedError", 1, "0 of 1 attempted"),
        ("import torch\ndef softmax(x, dim):\n    return torch.softmax(x, dim)", 0, "1 right"),
        ("def softmax(x, dim):\n    return x", 1, "0 right"),
    ],
)
@pytest.mark.budget(20)
def test_both_command_lines_give_the_same_verdicts(tmp_path, source, code, words):
    write(tmp_path, source)
    command = [
        sys.executable,
        "-m",
        "course_lib.notebook.cli",
        "check",
        "00",
        "--answers",
        tmp_path,
    ]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (checked.returncode, checked.stderr) == (code, "")
    assert words in checked.stdout
    tests = [sys.executable, "-m", "pytest", "tests/chapters/test_00_welcome.py", "-rs", "-q"]
    run = subprocess.run(
        [*tests, f"--answers={tmp_path}"], capture_output=True, text=True, cwd=ROOT
    )
    assert ("failed" in run.stdout) == ("1 of 1 attempted, 0 right" in checked.stdout)
    assert ("softmax: not attempted" in run.stdout) == ("0 of 1 attempted" in checked.stdout)


def test_command_line_records_progress_of_the_learners_own_work(tmp_path, monkeypatch, capsys):
    from course_lib.notebook.cli import main
    from course_lib.notebook.journal import progress

    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    write(tmp_path, "import torch\ndef softmax(x, dim):\n    return torch.softmax(x, dim)")
    assert main(["check", "00", "--answers", str(tmp_path)]) == 0
    assert "0 of 1 solved" in str(progress())
    assert main(["check", "00"]) == 0
    assert "1 of 1 solved" in str(progress())


def test_two_notebooks_of_one_name_keep_their_own_lines(tmp_path):
    """A chapter and its solution share name and cell numbers; a traceback must not mix them."""
    import inspect

    for folder, value in (("mine", 1), ("solution", 2)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"def softmax(x, dim):\n    return {value}")
    mine, theirs = (
        load_definitions(tmp_path / folder / "00_welcome.ipynb", []).namespace["softmax"]
        for folder in ("mine", "solution")
    )
    assert "return 1" in inspect.getsource(mine)
    assert "return 2" in inspect.getsource(theirs)
