"""`make gpu` as far as it goes without a GPU: the whole path dry, its table, its refusals."""

import json
import os
import subprocess
import sys

import pytest
import torch

from course_lib.notebook.places import ROOT

pytest.importorskip("triton", reason="Triton is made for Linux on x86-64")

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import attention, fused, kernel_tests, record, stopwatch, training
from benchmarks.gpu.plans import DRY, FULL, AttentionCase

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="here make gpu does its work")
# What a learner installs, but a bare machine with PyTorch may not have.
# fmt: off
ABSENT = [
    "anywidget", "beartype", "cloudpickle", "datasets", "einops", "gguf", "ipykernel",
    "ipywidgets", "jaxtyping", "jupyterlab", "matplotlib", "nbclient", "nbconvert", "nbformat",
    "psutil", "regex", "safetensors", "sentencepiece", "skimage", "sklearn", "tiktoken",
    "tokenizers", "tqdm", "transformers", "xdist", "yaml",
]
# fmt: on


def run_bare(folder, *arguments: str) -> subprocess.CompletedProcess:
    """Run it where nothing is installed but what it needs."""
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({ABSENT}))\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gpu", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@WITHOUT_GPU
@pytest.mark.budget(20)
def test_without_a_gpu_one_sentence_says_so(tmp_path):
    done = run_bare(tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "needs an NVIDIA GPU" in done.stderr


@WITHOUT_GPU
@pytest.mark.slow
@pytest.mark.budget(120)
def test_a_dry_run_goes_through_everything_on_a_bare_machine(tmp_path):
    page = record.README.read_bytes()
    done = run_bare(tmp_path, "--dry-run", "--build", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("gpu-*.json")
    found = json.loads(path.read_text())
    assert found["tests"]["passed"] > 5
    assert found["tests"]["missing"] == 0
    assert len(found["attention"]) == len(DRY.attention) * 6
    assert len(found["fused"]) == len(DRY.fused) * 3
    assert ["cannot be imported" in row["reason"] for row in found["training"]] == [True] * 4
    for row in found["attention"]:
        measured = row["forward_ms"] is not None and row["backward_ms"] is not None
        assert measured or row["reason"], row
    refused = {row["contestant"] for row in found["attention"] if row["reason"]}
    assert {"SDPA efficient", "SDPA cuDNN"} <= refused
    assert not refused & {attention.OURS, "SDPA math"}
    assert record.README.read_bytes() == page, "a dry run published its figures"


@WITHOUT_GPU
@pytest.mark.slow
@pytest.mark.budget(100)
def test_tuning_tries_every_tile_of_every_part(tmp_path):
    done = run_bare(tmp_path, "--dry-run", "--tune", "32")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("37 of 37 tiles ran") == 3, "36, and the one that ships"
    assert done.stdout.count("ships: Tile(queries=64, keys=64, warps=4, stages=1)") == 3


def test_readme_has_the_table_of_the_tracked_record_or_says_that_there_is_none():
    page = record.README.read_text(encoding="utf-8")
    assert record.fill(page, record.load_record()) == page


def made_up_run() -> dict:
    """A run on a card in which math had no memory, cuDNN no backward pass, and Flex no time."""
    forward = {"SDPA math": None, "SDPA flash": 300.0, "SDPA efficient": 200.0}
    forward |= {"SDPA cuDNN": 400.0, "FlexAttention": None, attention.OURS: 350.0}
    attention_rows = [
        vars(case)
        | {
            "contestant": name,
            "forward_tflops": value,
            "backward_tflops": None if name == "SDPA cuDNN" else value,
            "step_mib": value,
            "reason": "" if value else "out of memory",
        }
        for case in (AttentionCase(4096, 128), AttentionCase(1024, 64))
        for name, value in forward.items()
    ]
    times = {fused.OURS: 0.5, fused.EAGER: 1.25, fused.COMPILED: None}
    fused_rows = [
        vars(case) | {"contestant": name, "step_ms": ms, "step_mib": ms, "reason": ""}
        for case in FULL.fused
        for name, ms in times.items()
    ]
    return {
        "device": "NVIDIA Card 9000",
        "versions": {"torch": "2.13.0", "triton": "3.7.1"},
        "tests": {"passed": 300, "failed": 0, "skipped": 2, "errors": 0, "missing": 0},
        "rooflines": {"matmul_bfloat16_tflops": 712.4, "copy_gb_per_second": 2801.0},
        "attention": attention_rows,
        "fused": fused_rows,
        "training": [
            vars(FULL.training[0])
            | {"contestant": "SDPA", "tokens_per_second": 123456.7, "tflops": None, "step_mib": 9.0}
        ],
    }


def test_the_table_names_the_fastest_and_leaves_out_what_has_no_figure():
    text = record.report(made_up_run())
    assert "| 128, causal, 4096 | 350 | 400 (cuDNN) | — | 350 | 300 (flash) | — |" in text
    assert "64, causal, 1024" not in text
    assert "| `rms_norm`, 16384 x 4096 | 0.500 | 1.250 | — |" in text
    assert "| 124m, 32 x 1024, SDPA | 123,457 | — | 9 |" in text
    assert "NVIDIA Card 9000" in text
    assert "712 TFLOP/s" in text


def test_a_page_is_filled_between_its_marks_and_can_be_filled_again():
    page = "before\n<!-- gpu -->\nold\n<!-- /gpu -->\nafter\n"
    filled = record.fill(page, made_up_run())
    assert filled.startswith("before\n<!-- gpu -->\nOn one NVIDIA")
    assert filled.endswith("|\n<!-- /gpu -->\nafter\n")
    assert record.fill(filled, made_up_run()) == filled
    assert record.NOT_MEASURED in record.fill(filled, None)
    with pytest.raises(ValueError, match="<!-- gpu -->"):
        record.fill("no marks", None)


def test_what_is_published_is_read_back_and_fills_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RECORD", tmp_path / "gpu.json")
    monkeypatch.setattr(record, "README", tmp_path / "README.md")
    assert record.load_record() is None
    record.README.write_text("<!-- gpu -->\n<!-- /gpu -->\n")
    record.publish(made_up_run())
    assert record.load_record() == made_up_run()
    page = record.README.read_text()
    assert record.fill(page, record.load_record()) == page
    assert record.save(made_up_run(), tmp_path).name == "gpu-NVIDIA-Card-9000.json"


def test_a_call_that_fails_is_measured_as_its_reason():
    def refuse():
        raise RuntimeError("No available\nkernel")

    def exhaust():
        raise torch.OutOfMemoryError("tried to allocate 99 GiB")

    assert stopwatch.measure(refuse).reason == "RuntimeError: No available kernel"
    assert stopwatch.measure(exhaust) == stopwatch.Measurement(reason="out of memory")
    assert stopwatch.measure(lambda: None).milliseconds is not None


def test_on_a_gpu_time_is_the_clocks_and_memory_the_peak_above_what_stood(monkeypatch):
    calls = []
    for name in ("synchronize", "reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda name=name: calls.append(name))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 5 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12 * 2**20)
    monkeypatch.setattr(stopwatch.triton.testing, "do_bench", lambda call, return_mode: 2.5)
    found = stopwatch.measure(lambda: calls.append("call"))
    assert found == stopwatch.Measurement(2.5, 7.0)
    assert calls.index("reset_peak_memory_stats") > calls.index("call"), "compiling was counted"
    assert stopwatch.measure(lambda: 1 / 0).reason.startswith("ZeroDivisionError")
    assert calls[-1] == "empty_cache"


@pytest.mark.budget(10)
def test_after_the_deadline_the_rest_is_left_out():
    rows = list(attention.rows(DRY, "cpu", deadline=0.0))
    assert {row["reason"] for row in rows} == {"left out: time was up"}


def test_a_failed_test_or_a_kernel_of_ours_that_did_not_run_is_a_fault():
    run = made_up_run()
    assert gpu.faults(run) == []
    run["tests"]["failed"] = 2
    run["fused"][0]["reason"] = "out of memory"
    run["fused"][3]["reason"] = stopwatch.LEFT_OUT.reason
    assert [sentence.split(":")[0] for sentence in gpu.faults(run)] == [
        "tests of the kernels",
        "ours did not run",
    ]


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("2 failed, 30 passed, 1 skipped in 3.21s", {"failed": 2, "passed": 30, "skipped": 1}),
        ("1 passed, 3 warnings, 2 errors in 61.00s (0:01:01)", {"passed": 1, "errors": 2}),
        ("Segmentation fault", {}),
    ],
)
def test_pytests_last_line_is_read(line, counts):
    assert kernel_tests.outcomes(f"....\n{line}\n") == counts


def test_flops_are_counted_as_the_papers_do():
    """FlashAttention's benchmarks: 4 * length^2 * head_dim * heads * batch, half if causal."""
    case = AttentionCase(1024, 64, False, tokens=2048, model_dim=128)
    assert case.shape == (2, 2, 1024, 64)
    assert case.forward_flops == 4 * 1024**2 * 64 * 2 * 2
    assert AttentionCase(1024, 64, tokens=2048, model_dim=128).forward_flops * 2 == (
        case.forward_flops
    )


@pytest.mark.budget(10)
def test_every_contestant_computes_the_same_attention():
    case = AttentionCase(48, 32, dtype="float32", tokens=96, model_dim=32)
    query, key, value, _ = (each.detach() for each in attention.inputs(case, "cpu"))
    makers = attention.contestants(case, "cpu", "eager")
    right = makers["SDPA math"]()(query, key, value)
    for name in (attention.OURS, "SDPA flash", attention.FLEX):
        torch.testing.assert_close(makers[name]()(query, key, value), right)


LOSSES = """
from dataclasses import replace
from tests.benchmarks.gpu import training
from tests.benchmarks.gpu.plans import DRY
training.measure = lambda step: print(*step())
training._row = lambda *given: {}
list(training.rows(replace(DRY, compiler="eager"), "cpu", deadline=float("inf")))
"""


@pytest.mark.slow
@pytest.mark.budget(40)
def test_every_training_step_has_the_same_loss_and_gradient():
    """In a process of its own: torch.compile takes no function whose types are checked."""
    command = [sys.executable, "-c", LOSSES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert len(found) == len(training.CONTESTANTS)
    for loss_and_norm in found[1:]:
        assert loss_and_norm == pytest.approx(found[0], rel=1e-4)


@pytest.mark.parametrize("case", DRY.fused, ids=lambda case: case.operation)
def test_both_sides_compute_the_same(case):
    ours, theirs, given = fused.problem(case, "cpu")
    torch.testing.assert_close(ours(*given), theirs(*given))
