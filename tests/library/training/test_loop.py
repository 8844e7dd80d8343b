"""`train` against a loop written out here, against itself interrupted, and against bad input."""

import json
import math
import os
import signal
import subprocess
import sys
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import (
    IGNORED,
    Batch,
    RandomBatches,
    ShuffledBatches,
    epoch_batches,
    pack_documents,
)
from course_lib.training import (
    Record,
    adamw,
    mean_loss,
    next_token_loss,
    train,
    warmup_cosine,
)
from course_lib.training.checkpoints import read_extra
from course_lib.training.schedules import constant

VOCAB = 11


class Bigram(nn.Module):
    """A small model with dropout, a norm and an embedding: the next token from this one."""

    def __init__(self, seed=0, vocab_size=VOCAB):
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocab_size, 6)
            self.norm = nn.LayerNorm(6)
            self.dropout = nn.Dropout(0.2)
            self.output = nn.Linear(6, vocab_size)

    def forward(self, tokens):
        return self.output(self.dropout(self.norm(self.embedding(tokens))))


@pytest.fixture
def stream():
    """A stream with something to learn: mostly t, t + 3, t + 6, ..."""
    generator = torch.Generator().manual_seed(0)
    jumps = torch.where(torch.rand(600, generator=generator) < 0.9, 3, 5)
    return jumps.cumsum(0) % VOCAB


@pytest.fixture
def batches(stream):
    return RandomBatches(stream, 3, 7, seed=4)


def run(model, batches, num_steps=20, **options):
    return train(model, batches, num_steps=num_steps, **{"progress": False, **options})


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def without_clock(record):
    return {**record.to_json(), "seconds": 0.0}


def test_training_is_the_loop_everyone_knows(batches):
    """Without dropout: zero_grad, loss, backward, PyTorch's clipping, the schedule's rate, step."""
    model, theirs = Bigram(), Bigram()
    model.dropout.p = theirs.dropout.p = 0.0
    record = run(
        model,
        batches,
        15,
        optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.5),
        max_norm=0.3,
    )
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5)
    losses = []
    for step in range(15):
        optimizer.param_groups[0]["lr"] = 0.5 * warmup_cosine(step, 15)
        batch = batches(step)
        optimizer.zero_grad()
        loss = F.cross_entropy(theirs(batch.tokens).transpose(1, 2), batch.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.3)
        optimizer.step()
        losses.append(loss.item())
    assert record.losses == pytest.approx(losses, rel=1e-5)
    for mine, other in zip(model.parameters(), theirs.parameters(), strict=True):
        # our clipping has no 1e-6 beside the norm
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_training_learns_and_its_record_says_so(batches, stream):
    held_out = list(epoch_batches(stream, 4, context_length=7))
    model = Bigram()
    before = mean_loss(model, held_out)
    record = run(
        model,
        batches,
        300,
        optimizer=lambda m: adamw(m, learning_rate=0.02),
        evaluate=lambda m: mean_loss(m, held_out),
    )
    assert [each["step"] for each in record.evaluations] == [100, 200, 300]
    assert record.evaluations[-1]["loss"] == mean_loss(model, held_out)
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert before > 2
    assert entropy * 0.8 < record.evaluations[-1]["loss"] < 1.0
    assert record.num_steps == 300
    assert record.num_tokens == 300 * 21
    assert record.tokens_per_second > 0
    assert record.state == "finished"
    assert len(record.learning_rates) == len(record.gradient_norms) == 300


@pytest.mark.parametrize("cut", [RandomBatches, ShuffledBatches])
def test_the_same_seed_gives_the_same_run_bit_for_bit(stream, cut):
    torch.manual_seed(1)
    first = Bigram()
    one = run(first, cut(stream, 3, 7), seed=5)
    torch.manual_seed(2)
    second = Bigram()
    two = run(second, cut(stream, 3, 7), seed=5)
    assert without_clock(one) == without_clock(two)
    assert same_weights(first, second)
    other = Bigram()
    run(other, cut(stream, 3, 7), seed=6)  # other dropout
    assert not same_weights(first, other)


def test_pytorchs_own_generator_is_left_alone(batches):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run(Bigram(), batches)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("training", [True, False])
def test_training_has_dropout_evaluation_has_none_and_the_mode_is_put_back(batches, training):
    model = Bigram().train(training)
    modes = []

    def loss(model, batch):
        modes.append(("loss", model.training, torch.is_grad_enabled()))
        return next_token_loss(model, batch)

    def evaluate(model):
        modes.append(("evaluate", model.training, torch.is_grad_enabled()))
        return 0.0

    run(model, batches, 3, loss=loss, evaluate=evaluate, evaluate_every=1)
    assert modes == [("loss", True, True), ("evaluate", False, False)] * 3
    assert model.training is training


def test_evaluation_may_draw_at_random_without_changing_the_run(batches):
    plain, evaluated = Bigram(), Bigram()
    run(plain, batches)
    run(evaluated, batches, evaluate=lambda m: float(torch.rand(1)), evaluate_every=3)
    assert same_weights(plain, evaluated)


def test_an_evaluation_may_have_several_values(batches):
    record = run(Bigram(), batches, 4, evaluate=lambda m: {"loss": 1.0, "accuracy": 0.5})
    assert record.evaluations == [{"step": 4, "loss": 1.0, "accuracy": 0.5}]


def interrupt_at(step, times=1):
    """A loss that presses Ctrl-C while the update after `step` is running."""
    calls = []

    def loss(model, batch):
        calls.append(batch)
        if len(calls) == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return next_token_loss(model, batch)

    return loss


@pytest.mark.parametrize("interrupted_at", [1, 10, 13])
def test_ctrl_c_and_resume_are_bitwise_one_run(batches, stream, tmp_path, interrupted_at, capsys):
    held_out = list(epoch_batches(stream, 4, context_length=7))
    options = {"evaluate": lambda m: mean_loss(m, held_out), "evaluate_every": 4}
    whole = Bigram()
    expected = run(whole, batches, **options)

    path = tmp_path / "run.safetensors"
    options |= {"checkpoint": path, "checkpoint_every": 6}
    first = Bigram()
    part = run(first, batches, loss=interrupt_at(interrupted_at), **options)
    assert part.state == "interrupted"
    assert part.losses == expected.losses[:interrupted_at]
    message = f"Interrupted after update {interrupted_at} of 20; the same call goes on from {path}"
    assert message in " ".join(capsys.readouterr().out.split())

    again = Bigram(seed=9)
    rest = run(again, batches, **options)
    assert without_clock(rest) == without_clock(expected)
    assert same_weights(again, whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_finished_run_is_not_run_again(batches, tmp_path):
    path = tmp_path / "c"
    first = Bigram()
    record = run(first, batches, checkpoint=path)
    second = Bigram(seed=1)
    again = run(second, batches, checkpoint=path)
    assert again == record
    assert same_weights(first, second)


def test_a_run_can_be_prolonged(batches, tmp_path):
    whole, parts = Bigram(), Bigram()
    run(whole, batches, 20, schedule=constant_rate)
    run(parts, batches, 12, schedule=constant_rate, checkpoint=tmp_path / "c")
    record = run(parts, batches, 20, schedule=constant_rate, checkpoint=tmp_path / "c")
    assert record.num_steps == 20
    assert same_weights(parts, whole)


def constant_rate(step, num_steps):
    return 0.3


def test_without_a_checkpoint_ctrl_c_still_returns_what_was_done(batches, capsys):
    model, theirs = Bigram(), Bigram()
    record = run(model, batches, loss=interrupt_at(5), schedule=constant)
    assert record.num_steps == 5
    assert "nothing is saved" in capsys.readouterr().out
    run(theirs, batches, 5, schedule=constant)
    assert same_weights(model, theirs)


def test_a_second_ctrl_c_breaks_in(batches, tmp_path):
    path = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        run(Bigram(), batches, loss=interrupt_at(5, 2), checkpoint=path, checkpoint_every=2)
    assert len(read_extra(path)["record"]["losses"]) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_works_outside_the_main_thread(batches):
    records = []
    thread = threading.Thread(target=lambda: records.append(run(Bigram(), batches, 3)))
    thread.start()
    thread.join()
    assert records[0].num_steps == 3


KILLED_RUN = """
import os, signal, sys, torch
from test_loop import VOCAB, Bigram, RandomBatches, next_token_loss, run

stream, path = torch.load(sys.argv[1], weights_only=True), sys.argv[2]
count = 0

def loss(model, batch):
    global count
    count += 1
    if count == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    return next_token_loss(model, batch)

run(Bigram(), RandomBatches(stream, 3, 7, seed=4), loss=loss, checkpoint=path, checkpoint_every=5)
"""


@pytest.mark.budget(20)
@pytest.mark.slow
def test_a_killed_run_gets_to_the_same_end(batches, stream, tmp_path):
    path = tmp_path / "c"
    torch.save(stream, tmp_path / "stream")
    folder = os.path.dirname(__file__)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(torch.get_num_threads()),  # sums depend on it, bit for bit
        "PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-c", KILLED_RUN, str(tmp_path / "stream"), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(read_extra(path)["record"]["losses"]) == 10

    resumed, whole = Bigram(seed=3), Bigram()
    record = run(resumed, batches, checkpoint=path)
    assert without_clock(record) == without_clock(run(whole, batches))
    assert same_weights(resumed, whole)


def test_a_loss_that_is_nan_stops_with_a_sentence_and_good_weights(batches, tmp_path):
    path, seen = tmp_path / "c", []

    def loss(model, batch):
        seen.append([each.clone() for each in model.parameters()])
        return next_token_loss(model, batch) * (math.nan if len(seen) == 8 else 1.0)

    model = Bigram()
    with pytest.raises(ValueError, match=r"loss = nan.* at update 8.*weights of update 7"):
        run(model, batches, loss=loss, checkpoint=path, checkpoint_every=5)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), seen[-1], strict=True))
    assert len(read_extra(path)["record"]["losses"]) == 5
    record = run(model, batches, checkpoint=path)
    assert record.state == "finished"


def test_a_gradient_that_is_not_finite_stops_too(batches):
    def loss(model, batch):  # the root's slope at 0 is infinite
        return (model.output.bias * 0).sum().sqrt()

    model = Bigram()
    before = model.output.bias.clone()
    with pytest.raises(ValueError, match=r"gradient norm = (nan|inf) at update 1"):
        run(model, batches, loss=loss)
    assert torch.equal(model.output.bias, before)


def test_a_vocabulary_too_small_is_one_sentence(batches):
    with pytest.raises(ValueError, match=r"largest token is 10 .* vocab_size = 9.* at least 11"):
        run(Bigram(vocab_size=9), batches)


def test_an_output_that_is_no_logits_is_one_sentence(batches):
    with pytest.raises(ValueError, match=r"gave shape \(1, 7, 6, 1\)"):
        run(nn.Sequential(nn.Embedding(VOCAB, 6), nn.Unflatten(-1, (6, 1))), batches)


@pytest.mark.parametrize("name", ["num_steps", "evaluate_every", "checkpoint_every"])
def test_counts_below_one_are_named(batches, name):
    with pytest.raises(ValueError, match=f"{name} = 0"):
        run(Bigram(), batches, **{name: 0})


def test_a_checkpoint_of_another_seed_is_refused_and_changes_nothing(batches, tmp_path):
    path = tmp_path / "c"
    run(Bigram(), batches, 3, checkpoint=path, seed=1)
    model = Bigram()
    with pytest.raises(ValueError, match="seed = 1, not 2"):
        run(model, batches, 3, checkpoint=path, seed=2)
    assert same_weights(model, Bigram())


def test_a_loss_and_batches_of_ones_own(batches):
    """Anything that a step can give, anything that gives a number to minimise."""
    model = nn.Linear(2, 1)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(64, 2, generator=generator)
    record = run(
        model,
        lambda step: {"x": points, "y": points @ torch.tensor([[2.0], [-3.0]])},
        200,
        loss=lambda model, batch: ((model(batch["x"]) - batch["y"]) ** 2).mean(),
        optimizer=lambda model: adamw(model, learning_rate=0.1, weight_decay=0.0),
    )
    assert record.losses[-1] < 1e-4
    assert record.num_tokens == 0
    assert record.tokens_per_second == 0


def test_the_plot_sees_every_update_and_the_end(batches):
    seen = []
    run(Bigram(), batches, 5, plot=lambda record: seen.append((record.num_steps, record.state)))
    assert seen == [(n, "running") for n in range(1, 5)] + [(5, "finished")]


def test_the_bar_shows_loss_and_speed(batches, capsys):
    run(Bigram(), batches, progress=True)
    shown = capsys.readouterr().err
    assert "20/20" in shown
    assert "tokens/s" in shown
    assert "loss 2." in shown


def test_mean_loss_weighs_tokens_and_not_batches():
    model = Bigram().eval()
    documents = [[1, 2, 3, 4, 5, 6, 7], [3, 1]]
    rows = [pack_documents([document], 6) for document in documents]
    plain = [Batch(row.tokens, row.targets) for row in rows]
    losses = [-F.log_softmax(model(row.tokens).detach(), -1) for row in plain]
    kept = torch.cat(
        [
            loss.gather(-1, row.targets.clamp(min=0)[..., None])[row.targets != IGNORED]
            for loss, row in zip(losses, plain, strict=True)
        ]
    )
    assert len(kept) == 7
    assert mean_loss(model, plain) == pytest.approx(float(kept.mean()))
    with pytest.raises(ValueError, match="no target to evaluate"):
        mean_loss(model, iter([]))


def test_packed_documents_are_learned_as_each_alone():
    """One packed batch and the documents one by one: the same loss, the same gradients."""
    documents = [[1, 2, 3], [4, 5, 6, 7, 8], [9, 10], [7, 1, 7, 1, 7, 2]]
    config = llama_config(vocab_size=VOCAB, model_dim=12, num_layers=2, num_heads=3)
    model = Transformer(config)
    packed = pack_documents(documents, 7)
    assert len(packed.tokens) == 2
    next_token_loss(model, packed).backward()
    ours = [parameter.grad.clone() for parameter in model.parameters()]

    model.zero_grad()
    for document in documents:
        alone = Batch(torch.tensor([document[:-1]]), torch.tensor([document[1:]]))
        loss = next_token_loss(model, alone) * alone.num_tokens / packed.num_tokens
        loss.backward()
    for mine, parameter in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad)


def test_a_record_is_kept_as_json(batches, tmp_path):
    record = run(Bigram(), batches, 3, evaluate=lambda m: 1.5)
    record.save(tmp_path / "deep" / "record.json")
    assert Record.load(tmp_path / "deep" / "record.json") == record
    assert json.loads((tmp_path / "deep" / "record.json").read_text())["losses"] == record.losses
    (tmp_path / "other.json").write_text('{"loss": 3}')
    for path in (tmp_path / "other.json", tmp_path / "nothing.json"):
        with pytest.raises(ValueError, match="no record of a training run"):
            Record.load(path)
