"""Updates on several processes against one process that knows nothing of them."""

import pickle

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.parallel.ranks import run_on_ranks
from course_lib.text.batches import IGNORED, Batch
from course_lib.text.tokenizers import BPETokenizer
from course_lib.training import sharded_checkpoints
from course_lib.training.checkpoints import save_checkpoint
from course_lib.training.sharded import Ranks, joined_ranks, shard_model, sharded_update
from course_lib.training.sharded_checkpoints import (
    export_model,
    load_export,
    load_sharded,
    newest_checkpoint,
    read_run,
    save_sharded,
)

CONFIG = llama_config(vocab_size=37, model_dim=20, num_layers=2, num_heads=5, context_length=11)
CPU = torch.device("cpu")
PATIENCE = 400  # seconds, on a machine that has other things to do


def batch_of(step, *, num_rows=12):
    """Rows whose numbers of counted targets differ widely, so that means of means would differ."""
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(37, (num_rows, 12), generator=generator)
    targets = tokens[:, 1:].clone()
    for row in range(num_rows):
        targets[row, 1 + (5 * row + step) % 11 :] = IGNORED
    documents = torch.where(torch.arange(11) < 4, 1, 2).repeat(num_rows, 1)
    positions = torch.cat((torch.arange(4), torch.arange(7))).repeat(num_rows, 1)
    return Batch(tokens[:, :-1], targets, documents, positions)


def optimizer_of(model, *, fused=True):
    """AdamW in one call for all tensors, or in PyTorch's loop over them."""
    return torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1, fused=fused)


def losses_on_one_process(num_steps):
    """PyTorch alone: no ranks, no pieces; losses and norms, and the weights in the end."""
    model = Transformer(CONFIG, seed=4)
    optimizer = optimizer_of(model, fused=False)
    numbers = []
    for step in range(num_steps):
        batch = batch_of(step)
        logits = model(batch.tokens, documents=batch.documents, positions=batch.positions)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.7)
        optimizer.step()
        numbers.append([loss.item(), norm.item()])
    return torch.tensor(numbers), dict(model.named_parameters())


def rows_of_rank(batch, rank, world_size):
    return Batch(
        *(
            value[rank::world_size]
            for value in (batch.tokens, batch.targets, batch.documents, batch.positions)
        )
    )


def train_on_ranks(sharding, num_pieces, local_size, steps, load=None, save=None):
    """What a rank does: [loss, norm] of each step; checkpoints read before and written after."""
    ranks = Ranks(dist.get_rank(), dist.get_world_size(), local_size, CPU)
    model = shard_model(CONFIG, ranks, sharding=sharding, seed=4 if load is None else None)
    optimizer = optimizer_of(model)
    if load is not None:
        load_sharded(newest_checkpoint(load), model, optimizer)
    numbers = []
    for step in steps:
        rows = rows_of_rank(batch_of(step), ranks.rank, ranks.world_size)
        done = sharded_update(model, rows.split(num_pieces), optimizer, max_norm=0.7)
        numbers.append([done.loss, done.norm])
        assert done.num_tokens == batch_of(step).num_tokens
    if save is not None:
        positions = {ranks.rank: {"taken": 10 + ranks.rank}}
        save_sharded(save, model, optimizer, step=4, run={"a": 1}, positions=positions)
        export_model(save, model, CONFIG, BPETokenizer.train([], 256))
    return torch.tensor(numbers), sum(each.to_local().numel() for each in model.parameters())


def several_runs(runs):
    """Several runs in one set of processes, whose start is what takes long."""
    torch.set_num_threads(1)
    return [train_on_ranks(*run) for run in runs]


@pytest.mark.slow
@pytest.mark.budget(60)
def test_many_processes_make_the_updates_of_one(tmp_path):
    """Same losses, norms and weights, sharded anyhow, in one piece or three; on 2 and 4 processes.

    fp32 sums in another order: 1e-5. Then a checkpoint of 4 is gone on from by 2, and by 1.
    """
    expected, weights = losses_on_one_process(6)
    first, all_steps = range(4), range(6)
    four = [("full", 3, 4, all_steps), ("none", 1, 4, all_steps), ("hybrid", 3, 2, all_steps)]
    four.append(("full", 1, 4, first, None, tmp_path))
    *whole, (part, _) = run_on_ranks(several_runs, 4, four, timeout_seconds=PATIENCE)[2]
    for numbers, _ in whole:
        torch.testing.assert_close(numbers, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(part, expected[:4], rtol=1e-5, atol=1e-5)
    num_parameters = sum(weight.numel() for weight in weights.values())
    full, none, hybrid = (held / num_parameters for _, held in whole)
    assert (full, none, hybrid) == pytest.approx((0.25, 1.0, 0.5), abs=0.02)

    run, positions = read_run(newest_checkpoint(tmp_path))
    assert run == {"a": 1}
    assert positions == {rank: {"taken": 10 + rank} for rank in range(4)}
    rest = [("full", 2, 2, range(4, 6), tmp_path, None), ("none", 1, 2, all_steps)]
    (resumed, _), (whole, _) = run_on_ranks(several_runs, 2, rest, timeout_seconds=PATIENCE)[1]
    torch.testing.assert_close(resumed, expected[4:], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(whole, expected, rtol=1e-5, atol=1e-5)
    with joined_ranks():
        resumed, _ = train_on_ranks("full", 1, 1, range(4, 6), tmp_path, tmp_path / "one")
    torch.testing.assert_close(resumed, expected[4:], rtol=1e-5, atol=1e-5)
    exported, _ = load_export(tmp_path / "one")
    for name, weight in exported.named_parameters():
        torch.testing.assert_close(weight, weights[name], rtol=1e-4, atol=1e-4)


@pytest.fixture
def alone(tmp_path):
    """(folder, model, optimizer) of one process with a checkpoint at update 4."""
    with joined_ranks() as ranks:
        model = shard_model(CONFIG, ranks, seed=4)
        optimizer = optimizer_of(model)
        sharded_update(model, [batch_of(0)], optimizer)
        save_sharded(tmp_path, model, optimizer, step=4, run={"step": 4}, positions={})
        yield tmp_path, model, optimizer


@pytest.mark.slow
@pytest.mark.budget(15)
def test_a_failed_save_leaves_the_last_whole_checkpoint(alone, monkeypatch):
    """At any file of it; what it left is swept away by the next one, and two are kept."""
    folder, model, optimizer = alone
    for failing in ("write_atomically", "_sync"):
        with monkeypatch.context() as broken:
            broken.setattr(sharded_checkpoints, failing, fail)
            with pytest.raises(OSError, match="disk full"):
                save_sharded(folder, model, optimizer, step=5, run={}, positions={})
        assert newest_checkpoint(folder) == folder / "step-00000004"
        assert read_run(newest_checkpoint(folder))[0] == {"step": 4}
    for step in (5, 10, 1000):
        save_sharded(folder, model, optimizer, step=step, run={"step": step}, positions={})
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000010", "step-00001000"]


def fail(*arguments):
    raise OSError("disk full")


@pytest.mark.slow
@pytest.mark.budget(15)
def test_a_checkpoint_is_read_without_unpickling(alone, monkeypatch):
    """There is no file but safetensors and JSON, and a pickle put there is left alone."""
    folder, model, optimizer = alone
    checkpoint = newest_checkpoint(folder)
    assert {path.suffix for path in checkpoint.iterdir()} == {".safetensors", ".json"}
    (checkpoint / ".metadata").write_bytes(pickle.dumps({"not": "read"}))
    before = {name: value.full_tensor().clone() for name, value in model.named_parameters()}
    for step in (1, 2):
        sharded_update(model, [batch_of(step)], optimizer)
    for module in (pickle, torch):
        monkeypatch.setattr(module, "load", fail)
    load_sharded(checkpoint, model, optimizer)
    assert all(torch.equal(value.full_tensor(), before[n]) for n, value in model.named_parameters())


@pytest.mark.slow
@pytest.mark.budget(15)
def test_what_is_no_whole_checkpoint_is_one_sentence(alone):
    folder, model, optimizer = alone
    checkpoint = newest_checkpoint(folder)
    with joined_ranks() as ranks:
        for changes in ({"vocab_size": 41}, {"num_layers": 4}):
            other = shard_model(CONFIG.replace(**changes), ranks, seed=0)
            with pytest.raises(ValueError, match="is no whole checkpoint of this model"):
                load_sharded(checkpoint, other, optimizer_of(other))
    (piece,) = checkpoint.glob("*.safetensors")
    content = piece.read_bytes()
    for damaged in (content[:100], content[:-1], b""):
        piece.write_bytes(damaged)
        with pytest.raises(ValueError, match="is no whole checkpoint of this model"):
            load_sharded(checkpoint, model, optimizer)
    piece.unlink()
    with pytest.raises(ValueError, match="is no whole checkpoint of this model"):
        load_sharded(checkpoint, model, optimizer)
    (checkpoint / "run.json").write_text("{")
    with pytest.raises(ValueError, match="remove that folder to go on from the one before"):
        read_run(checkpoint)


@pytest.mark.slow
@pytest.mark.budget(15)
def test_an_update_that_is_not_finite_changes_nothing(alone):
    _, model, optimizer = alone
    before = {name: value.full_tensor().clone() for name, value in model.named_parameters()}
    with torch.no_grad():
        model.decoder.norm.weight.to_local().fill_(torch.inf)
    done = sharded_update(model, [batch_of(1)], optimizer)
    assert not torch.isfinite(torch.tensor([done.loss, done.norm])).all()
    for name, value in model.named_parameters():
        if name != "decoder.norm.weight":
            assert torch.equal(value.full_tensor(), before[name])


def test_a_folder_without_an_exported_model_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_export(tmp_path)
    save_checkpoint(tmp_path / "model.safetensors", nn.Linear(2, 3), extra={"config": {"size": 3}})
    with pytest.raises(ValueError, match="is no exported model"):
        load_export(tmp_path)
