"""Importing `kernels` switches the interpreter on, whatever was imported before."""

import os
import subprocess
import sys

import pytest
import torch

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU compiles the kernels")
ATTEND = """
query = torch.ones(1, 1, 4, 16)
output = kernels.flash_attention.flash_attention(query, query, query)
assert torch.equal(output, query), output
"""


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: each for name, each in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@WITHOUT_GPU
@pytest.mark.budget(15)
def test_kernels_are_interpreted_although_an_optimizer_imported_triton():
    done = run_python(
        "import sys, torch\n"
        "torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))])\n"
        "assert 'triton' in sys.modules, 'AdamW no longer imports triton: this test is empty'\n"
        "import kernels.flash_attention" + ATTEND
    )
    assert done.returncode == 0, done.stderr


def test_an_existing_setting_is_respected():
    done = run_python("import kernels; print(kernels.IS_INTERPRETED)", TRITON_INTERPRET="0")
    assert done.stdout == "False\n", done.stderr


def test_without_triton_one_sentence_says_so():
    done = run_python("import sys; sys.modules['triton'] = None; import kernels")
    assert done.stderr.splitlines()[-1].startswith("ImportError: `kernels` needs Triton")
