"""The static gate: the kernels as a GPU would get them, compiled without one."""

import os
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
@pytest.mark.budget(60)
@pytest.mark.parametrize(
    ("operation", "num_kernels"), [("rms_norm", 6), ("swiglu", 2), ("linear_cross_entropy", 1)]
)
def test_fused_kernels_compile_without_spills(operation, num_kernels):
    done = run_gate("sm_90", "bfloat16", operation)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  ok") == num_kernels


TILES = """
import torch
from kernels import gate, tiles

configuration = gate.Configuration(90, torch.bfloat16, 128)
for tile in (tiles.Tile(64, 64, 4, 2), tiles.Tile(128, 128, 4, 4)):
    print(gate.compile_tile(configuration, "forward", tile).faults())
print(tiles.choose_tile("forward", 128, torch.bfloat16) == tiles.TILES[90, 16]["forward"][128])
"""


@pytest.mark.slow
@pytest.mark.budget(30)
def test_a_tile_that_does_not_fit_is_told_from_one_that_does():
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    command = [sys.executable, "-c", TILES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    small, large, is_restored = done.stdout.splitlines() or [done.stderr] * 3
    assert small == "[]"
    assert "spills" in large
    assert is_restored == "True"


@pytest.mark.slow
@pytest.mark.budget(30)
def test_a_word_that_fits_nothing_is_a_failure():
    done = run_gate("sm_12")
    assert done.returncode == 1
    assert "0 configurations" in done.stdout
