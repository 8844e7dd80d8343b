"""Checkpoints come back bit for bit, refuse what is not theirs, and survive a kill."""

import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib.files import replacing
from course_lib.training.checkpoints import (
    load_checkpoint,
    read_extra,
    read_tree,
    save_checkpoint,
    write_tree,
)


class Tied(nn.Module):
    """Tied weights, a buffer, a 16-bit parameter."""

    def __init__(self, seed=0, width=3):
        super().__init__()
        self.embedding = nn.Embedding(7, width)
        self.output = nn.Linear(width, 7, bias=False)
        self.output.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.ones(width, dtype=torch.bfloat16))
        self.register_buffer("count", torch.tensor(0))
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.embedding.weight, generator=generator)

    def forward(self, tokens):
        return self.output(self.embedding(tokens) * self.scale.float())


def take_steps(model, optimizer, count):
    for step in range(count):
        optimizer.zero_grad()
        tokens = torch.tensor([[step % 7, 1, 2]])
        (model(tokens) ** 2).mean().backward()
        optimizer.step()
        model.count += 1


OPTIMIZERS = {
    "adamw": lambda model: torch.optim.AdamW(model.parameters(), amsgrad=True),
    "momentum": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "plain": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    "adafactor": lambda model: torch.optim.Adafactor(model.parameters()),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_going_on_from_a_checkpoint_is_as_if_nothing_had_happened(tmp_path, name):
    whole = Tied()
    take_steps(whole, of_whole := OPTIMIZERS[name](whole), 3)
    save_checkpoint(tmp_path / "c", whole, of_whole, extra={"note": "half", "loss": 0.1})
    take_steps(whole, of_whole, 4)
    other = Tied(seed=1)
    of_other = OPTIMIZERS[name](other)
    assert load_checkpoint(tmp_path / "c", other, of_other) == {"note": "half", "loss": 0.1}
    take_steps(other, of_other, 4)
    for ours, theirs in zip(other.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert other.output.weight is other.embedding.weight
    assert int(other.count) == 7


def test_a_tree_comes_back_whole(tmp_path):
    tree = {
        "tensors": [torch.arange(6).reshape(2, 3).T, torch.tensor(1.5), torch.empty(0, 4)],
        "half": torch.tensor([1.0, float("nan"), -0.0], dtype=torch.bfloat16),
        "plain": {"float": 0.1 + 0.2, "nothing": None, "text": "ёжик", "yes": True, "list": []},
    }
    write_tree(tmp_path / "deep" / "tree", tree)
    back = read_tree(tmp_path / "deep" / "tree")
    assert back["plain"] == tree["plain"]
    for one, other in zip(back["tensors"], tree["tensors"], strict=True):
        assert torch.equal(one, other)
    assert torch.equal(back["half"].view(torch.int16), tree["half"].view(torch.int16))


def test_what_is_read_does_not_hang_on_the_file(tmp_path):
    write_tree(tmp_path / "t", {"x": torch.zeros(3)})
    read = read_tree(tmp_path / "t")["x"]
    read += 1
    write_tree(tmp_path / "t", {"x": torch.full((3,), 7.0)})
    assert read.tolist() == [1, 1, 1]


def test_other_tools_can_read_the_tensors_and_no_pickle_is_in_it(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", Tied())
    tensors = load_file(tmp_path / "c.safetensors")
    assert set(tensors) == {"/model/embedding.weight", "/model/scale", "/model/count"}


def test_the_extra_is_read_without_the_tensors(tmp_path):
    save_checkpoint(tmp_path / "c", Tied(), extra={"seed": 3})
    assert read_extra(tmp_path / "c") == {"seed": 3}


def test_a_file_that_is_being_replaced_is_the_old_one_until_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_and_stop():
        with replacing(path) as new:
            new.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_is_as_readable_as_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    save_checkpoint(tmp_path / "c", Tied())
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "c")]
    assert modes[0] == modes[1]


KILLED_WRITERS = """
import os, signal, sys, torch
from pathlib import Path
from course_lib.training.checkpoints import read_tree, write_tree

path = Path(sys.argv[1])
for attempt in range(20):
    write_tree(path, {"number": 0, "x": torch.zeros(300, 1000)})
    child = os.fork()
    if not child:
        for number in range(1, 100_000):
            write_tree(path, {"number": number, "x": torch.full((300, 1000), float(number))})
    while read_tree(path)["number"] <= attempt:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    tree = read_tree(path)
    assert tree["number"] > attempt and (tree["x"] == tree["number"]).all()
print("twenty")
"""


@pytest.mark.budget(20)
@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    """Twenty writers get SIGKILL amid their writing; the file is whole and of one moment."""
    command = [sys.executable, "-c", KILLED_WRITERS, str(tmp_path / "c")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "twenty\n", done.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip, as torch.save writes",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 9) + b'{"a": [[[',
    ],
)
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path, content):
    (tmp_path / "c").write_bytes(content)
    for read in (read_tree, read_extra, lambda path: load_checkpoint(path, Tied())):
        with pytest.raises(ValueError, match="is no checkpoint of this course"):
            read(tmp_path / "c")


def test_a_truncated_checkpoint_is_one_sentence(tmp_path):
    save_checkpoint(tmp_path / "c", Tied())
    content = (tmp_path / "c").read_bytes()
    for length in (7, 20, len(content) // 2, len(content) - 1):
        (tmp_path / "short").write_bytes(content[:length])
        with pytest.raises(ValueError, match="is no checkpoint"):
            load_checkpoint(tmp_path / "short", Tied())


@pytest.mark.parametrize("outline", ["[1, 2]", '{"model": 3}', '"text"', "null", "[" * 10**5])
def test_an_outline_that_is_none_is_one_sentence(tmp_path, outline):
    save_file({"x": torch.zeros(2)}, tmp_path / "c", metadata={"outline": outline})
    with pytest.raises(ValueError, match="checkpoint"):
        load_checkpoint(tmp_path / "c", Tied())


def test_an_outline_that_names_an_absent_tensor_is_one_sentence(tmp_path):
    outline = json.dumps({"x": {"__tensor__": "nowhere"}})
    save_file({"x": torch.zeros(2)}, tmp_path / "c", metadata={"outline": outline})
    with pytest.raises(ValueError, match="is no checkpoint"):
        read_tree(tmp_path / "c")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_checkpoint(Path(tmp_path / "nothing"), Tied())


def test_another_models_checkpoint_is_refused_and_changes_nothing(tmp_path):
    save_checkpoint(tmp_path / "c", Tied(width=5))
    model = Tied()
    before = model.embedding.weight.clone()
    with pytest.raises(ValueError, match=r"embedding.weight is \[7, 5\].* and \[7, 3\]"):
        load_checkpoint(tmp_path / "c", model)
    with pytest.raises(ValueError, match=r"is missing|missing in"):
        load_checkpoint(tmp_path / "c", nn.Linear(2, 2))
    assert torch.equal(model.embedding.weight, before)


def test_another_optimizers_checkpoint_is_refused_and_changes_nothing(tmp_path):
    save_checkpoint(tmp_path / "c", (model := Tied()), torch.optim.SGD([model.scale], lr=0.1))
    other = Tied(seed=1)
    before = other.embedding.weight.clone()
    with pytest.raises(ValueError, match="another optimizer"):
        load_checkpoint(tmp_path / "c", other, OPTIMIZERS["adamw"](other))
    assert torch.equal(other.embedding.weight, before)


def test_weights_alone_do_not_pretend_to_hold_an_optimizer(tmp_path):
    save_checkpoint(tmp_path / "c", Tied())
    with pytest.raises(ValueError, match="weights only"):
        load_checkpoint(tmp_path / "c", (model := Tied()), OPTIMIZERS["adamw"](model))
