"""The static gate: the kernels as a GPU would get them, compiled without one."""

import subprocess
import sys

import pytest


def run_gate(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "kernels.gate", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
@pytest.mark.budget(30)
def test_kernels_compile_without_spills_on_tensor_cores():
    done = run_gate("sm_90", "float16")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("tensor cores") == 3, "forward, key gradients, query gradients"


@pytest.mark.slow
@pytest.mark.budget(30)
def test_a_word_that_fits_nothing_is_a_failure():
    done = run_gate("sm_12")
    assert done.returncode == 1
    assert "0 configurations" in done.stdout
