"""Which preset a chapter gets, and what its first cell sets."""

import platform
import random
import subprocess
import sys

import numpy
import pytest
import torch

from course_lib.notebook.presets import PRESETS, allowed_threads, chosen_preset, setup


@pytest.fixture(autouse=True)
def _threads_and_style_are_put_back():
    import matplotlib

    threads = torch.get_num_threads()
    with matplotlib.rc_context():
        yield
    torch.set_num_threads(threads)


def test_without_a_wish_it_is_the_laptop():
    assert chosen_preset({}).name == chosen_preset({"COURSE_PRESET": ""}).name == "laptop"


@pytest.mark.parametrize("name", PRESETS)
def test_each_name_chooses_its_preset(name):
    assert chosen_preset({"COURSE_PRESET": name}).name == name


def test_a_wrong_name_is_one_sentence_with_the_right_ones():
    with pytest.raises(ValueError, match=r"COURSE_PRESET = 'fast'.*laptop, thorough, gpu"):
        chosen_preset({"COURSE_PRESET": "fast"})


def test_thorough_has_three_seeds_and_only_the_gpu_leaves_fp32():
    assert len(set(PRESETS["thorough"].seeds)) >= 3
    assert [p.name for p in PRESETS.values() if p.dtype != "float32"] == ["gpu"]


@pytest.mark.parametrize(("limit", "threads"), [("1", 1), ("", None), ("0", None), ("many", None)])
def test_threads_never_exceed_omp_num_threads(limit, threads):
    allowed = allowed_threads(2, {"OMP_NUM_THREADS": limit})
    assert allowed == (threads or allowed_threads(2, {}))
    assert allowed_threads(10**6, {}) < 10**6


def test_two_setups_give_the_same_random_numbers(capsys, monkeypatch):
    monkeypatch.delenv("COURSE_PRESET", raising=False)

    def draws():
        setup()
        return random.random(), numpy.random.rand(), torch.rand(3).tolist()

    assert draws() == draws()
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("Preset laptop: seeds 0;")


TRAINING = """
import resource, torch
from course_lib.model.config import llama_config
from course_lib.model.fused_attention import fused_attention
from course_lib.model.transformer import Transformer
from course_lib.notebook.presets import setup
from course_lib.text.batches import RandomBatches
from course_lib.training import muon, train

setup()
torch.set_num_threads(1)
faults = []
config = llama_config(vocab_size=2048, context_length=256, model_dim=96, num_layers=3, num_heads=3)
train(
    Transformer(config, attention=fused_attention),
    RandomBatches(torch.arange(3000) % 2048, 4, 256),
    num_steps=16,
    optimizer=muon,
    progress=False,
    plot=lambda record: faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt),
)
print((faults[-1] - faults[-9]) / 8)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's allocator")
@pytest.mark.budget(15)
def test_what_a_training_step_frees_is_there_for_the_next():
    """Its activations are 8,000 pages, most of which a step would ask for anew without setup."""
    command = [sys.executable, "-c", TRAINING]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(output.splitlines()[-1]) < 1000


def test_the_gpu_preset_without_a_gpu_says_what_to_do(monkeypatch):
    monkeypatch.setenv("COURSE_PRESET", "gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no GPU; use COURSE_PRESET=laptop"):
        setup()
