"""The command, on one process, on several, and under torchrun; interrupted and gone on with."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist

from course_lib.hub import load_pretrained, save_pretrained
from course_lib.parallel.ranks import run_on_ranks
from course_lib.text.tokenizers import BPETokenizer
from course_lib.training.__main__ import main
from course_lib.training.sharded_checkpoints import load_export, newest_checkpoint, read_run

SMALL = ["--batch-tokens", "1024", "--streams", "4", "--schedule", "constant", "--seed", "3"]
PATIENCE = 400  # seconds, on a machine that has other things to do


@pytest.fixture(scope="module")
def bytes_folder(tmp_path_factory):
    """A tokenizer of bytes, quick to make and to use."""
    folder = tmp_path_factory.mktemp("tokenizer")
    BPETokenizer.train([], 257, special_tokens=["<|endoftext|>"]).save(folder)
    return folder


def command(tokenizer, folder, num_steps, *options):
    arguments = [*SMALL, "--tokenizer", str(tokenizer), "--checkpoint", str(folder)]
    return [*arguments, "--steps", str(num_steps), *options]


def losses(folder):
    run, _ = read_run(newest_checkpoint(folder))
    return torch.tensor(run["record"]["losses"])


def only_checkpoint(folder, name, target):
    """A copy of the run's folder as it was at an earlier checkpoint."""
    shutil.copytree(folder / name, target / name)
    return target


@pytest.mark.slow
@pytest.mark.budget(60)
def test_any_number_of_processes_makes_the_same_run_and_goes_on_from_any_other(
    tmp_path, bytes_folder
):
    """1 against 4; and from 4's checkpoint in the middle on 2, and on 1: same losses at each step.

    fp32 sums in another order, amplified by four updates: 1e-5.
    """
    one, four = tmp_path / "one", tmp_path / "four"
    options = ("--checkpoint-every", "2")
    assert main(command(bytes_folder, one, 4)) == 0
    expected = losses(one)
    assert expected[0] == pytest.approx(math.log(320), abs=0.1)  # nothing is known yet
    assert expected[-1] < expected[0] - 0.5
    arguments = command(bytes_folder, four, 4, *options)
    assert run_on_ranks(main, 4, arguments, timeout_seconds=PATIENCE) == [0] * 4
    torch.testing.assert_close(losses(four), expected, rtol=1e-5, atol=1e-5)

    for_two, for_one = (
        only_checkpoint(four, "step-00000002", tmp_path / name) for name in ("two", "alone")
    )
    arguments = command(bytes_folder, for_two, 4, "--shard", "none", "--accumulate", "2")
    assert run_on_ranks(main, 2, arguments, timeout_seconds=PATIENCE) == [0] * 2
    assert main(command(bytes_folder, for_one, 4)) == 0
    for folder in (for_two, for_one):
        torch.testing.assert_close(losses(folder), expected, rtol=1e-5, atol=1e-5)
    models = [load_export(folder)[0].state_dict() for folder in (one, four, for_two, for_one)]
    for other in models[1:]:
        torch.testing.assert_close(other, models[0], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.budget(60)
def test_torchrun_ends_at_sigterm_with_a_checkpoint_for_one_process(tmp_path, bytes_folder):
    """The first progress is waited for, so the signal comes amid the training."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    arguments = command(bytes_folder, stopped, 100_000)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    process = subprocess.Popen(
        [*launcher, "--nproc-per-node", "2", "-m", "course_lib.training", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = b""
    while b" 2/100000 " not in said and (read := process.stdout.read(1)):
        said += read
    process.send_signal(signal.SIGTERM)
    said += process.stdout.read()
    assert process.wait() != 0
    assert b"the same command goes on from" in said, said.decode()
    run, _ = read_run(newest_checkpoint(stopped))
    done = run["record"]
    assert done["state"] == "interrupted"
    num_steps = len(done["losses"]) + 2
    assert main(command(bytes_folder, stopped, num_steps)) == 0
    assert main(command(bytes_folder, whole, num_steps)) == 0
    torch.testing.assert_close(losses(stopped), losses(whole), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.budget(20)
def test_a_finished_run_is_not_trained_again_and_can_be_prolonged(tmp_path, bytes_folder, capsys):
    assert main(command(bytes_folder, tmp_path, 1)) == 0
    (tmp_path / "model.safetensors").unlink()
    assert main(command(bytes_folder, tmp_path, 1)) == 0
    assert len(losses(tmp_path)) == 1
    model, tokenizer = load_export(tmp_path)
    opened, _ = load_pretrained(save_pretrained(model, tokenizer, tmp_path / "llama"))
    tokens = torch.tensor([tokenizer.encode("a fox")])
    torch.testing.assert_close(opened(tokens), model(tokens))
    assert main(command(bytes_folder, tmp_path, 2)) == 0
    assert len(losses(tmp_path)) == 2
    capsys.readouterr()
    assert main(command(bytes_folder, tmp_path, 3, "--seed", "4")) == 2
    assert "is of a run with seed = 3, not 4: go on" in capsys.readouterr().err
    run = newest_checkpoint(tmp_path) / "run.json"
    run.write_text(json.dumps({"record": {}}))
    assert main(command(bytes_folder, tmp_path, 3)) == 2
    assert "remove that folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "2b"], "size = '2b' must be one of 1m"),
        (["--corpus", "poems"], "corpus = 'poems' must be one of stories-en"),
        (["--tokenizer", "/nowhere"], "/nowhere does not exist"),
        (["--dry-run", "--shard", "half"], "sharding = 'half' must be one of full"),
        (["--dry-run", "--steps", "0"], "num_steps = 0 must be at least 1"),
        (["--dry-run", "--accumulate", "9"], "accumulate = 9 must not exceed a rank's 8 rows"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(options, message, capsys):
    assert main(options) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize(("rank", "told"), [("0", True), ("1", False)])
def test_an_unknown_option_is_told_by_the_first_rank_alone(rank, told, capsys, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(SystemExit) as ended:
        main(["--sizes", "1m"])
    assert ended.value.code == 2
    assert ("unrecognized arguments: --sizes" in capsys.readouterr().err) == told


def run_main(arguments_of_ranks):
    return main(arguments_of_ranks[dist.get_rank()])


@pytest.mark.slow
@pytest.mark.budget(30)
def test_on_several_ranks_the_first_alone_says_what_is_wrong_on_any(tmp_path, capsys):
    """With all of them, and with the second, which alone does not find its tokenizer."""
    BPETokenizer.train([], 256).save(tmp_path)
    wrong = [["--dry-run", "--batch-tokens", "384"]] * 2
    missing = [["--dry-run", "--tokenizer", str(folder)] for folder in (tmp_path, "/nowhere")]
    for arguments in (wrong, missing):
        assert run_on_ranks(run_main, 2, arguments, timeout_seconds=PATIENCE) == [2, 2]
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert lines[0].startswith(
        "[rank 0] error: batch_tokens = 384 are 3 rows of 128, which 2 ranks"
    )
    assert lines[1].startswith("[rank 0] error: /nowhere does not exist")
    assert len(lines) == 2


def test_a_dry_run_only_prints(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["--size", "3m", "--dry-run", "--checkpoint", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("3m: 3,049,920 parameters (vocabulary 2,048)")
    assert not folder.exists()
