"""Answers that are kernels: seen through for their source, and absent where Triton is."""

import importlib.util
import os
import subprocess
import sys

import pytest

from course_lib.notebook import checking
from course_lib.notebook.exercises import Exercise, find_exercise, plain_function

WITH_TRITON = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="needs Triton")
WITHOUT_TRITON = """
import sys
sys.modules["triton"] = None
from course_lib.notebook.triton_here import kernels_run, tl, triton

@triton.jit
def fused_softmax(x, output, x_stride, num_columns, COLUMNS: tl.constexpr):
    raise NotImplementedError

assert not kernels_run()
from course_lib.notebook import check, solution
assert check(fused_softmax) is fused_softmax
solution("fused_softmax")
"""
WITH_A_GPU = """
import torch
torch.cuda.is_available = lambda: True
from course_lib.notebook.exercises import find_exercise
from course_lib.notebook.running import run_checks

for name in ("fused_softmax", "flash_kernel"):
    stem, exercise = find_exercise(name)
    assert run_checks(exercise.library_object(), stem, exercise).passed, name
"""


@WITH_TRITON
@pytest.mark.budget(30)
@pytest.mark.slow
def test_beside_a_gpu_kernels_of_a_chapter_are_interpreted(tmp_path):
    """The tensors of chapter 15 and of its checks lie on the CPU."""
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_GPU],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
    )
    assert done.returncode == 0, done.stderr


@WITH_TRITON
def test_a_kernels_source_and_docstring_are_those_of_its_function(capsys):
    kernel = find_exercise("fused_softmax")[1].library_object()
    assert checking.source_of(kernel).lstrip().startswith("@triton.jit\ndef fused_softmax(")
    assert plain_function(kernel).__doc__.startswith("softmax of one row")
    checking.solution("fused_softmax")
    assert "tl.load(x + row * x_stride" in capsys.readouterr().out


def test_plain_functions_are_seen_as_they_are():
    assert plain_function(test_plain_functions_are_seen_as_they_are).__name__.startswith("test_")


def test_an_exercise_that_this_machine_cannot_do_is_not_attempted(monkeypatch):
    def absent(self):
        raise ImportError("needs Triton")

    monkeypatch.setattr(Exercise, "library_object", absent)
    stem, exercise = find_exercise("softmax")
    verdict, message = checking.judge(lambda x, dim: x, stem, exercise)
    assert (verdict, message.headline) == ("not attempted", "softmax: needs Triton")


@pytest.mark.budget(15)
def test_without_triton_cells_run_and_one_sentence_says_why_nothing_is_launched(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRITON],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("Triton is made for Linux")
    assert all("needs Triton" in line for line in lines[1:])
