"""Scheduled sampling against a loop, against teacher forcing at its ends, and resumed."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import IGNORED, Batch, RandomBatches, pack_documents
from course_lib.training import next_token_loss, train
from course_lib.training.scheduled_sampling import (
    MixedBatch,
    MixedBatches,
    mixing_share,
    scheduled_sampling_loss,
)


class Certain(nn.Module):
    """After token n it is sure of (n + 1) % vocab_size, and it keeps what it was given."""

    def __init__(self, vocab_size):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(50.0))
        self.vocab_size, self.seen = vocab_size, []

    def forward(self, tokens, **given):
        self.seen.append(tokens)
        return self.scale * F.one_hot((tokens + 1) % self.vocab_size, self.vocab_size)


def packed_batch():
    return pack_documents([[0, 5, 5, 5, 0], [0, 3, 3, 0]], 7)


def test_the_model_reads_its_own_words_and_is_asked_for_the_gold_ones():
    model, batch = Certain(7), packed_batch()
    loss = scheduled_sampling_loss(model, MixedBatch(batch, 1.0, seed=0))
    gold, mixed = model.seen
    assert gold.tolist() == [[0, 5, 5, 5, 0, 3, 3]]
    assert mixed.tolist() == [[0, 1, 6, 6, 0, 1, 4]]
    expected = F.cross_entropy(model(mixed).flatten(0, 1), batch.targets.flatten())
    torch.testing.assert_close(loss, expected)


def test_a_prompt_is_not_written_over():
    """Tokens 5, 5 are given: no target asks for them. What follows them is the model's."""
    model = Certain(7)
    targets = torch.tensor([[IGNORED, IGNORED, 3, 3]])
    batch = Batch(torch.tensor([[5, 5, 5, 3]]), targets)
    scheduled_sampling_loss(model, MixedBatch(batch, 1.0, seed=0))
    assert model.seen[1].tolist() == [[5, 5, 5, 6]]


def test_without_own_words_it_is_teacher_forcing_at_teacher_forcings_price():
    model, batch = Certain(7), packed_batch()
    loss = scheduled_sampling_loss(model, MixedBatch(batch, 0.0, seed=0))
    assert len(model.seen) == 1
    torch.testing.assert_close(loss, next_token_loss(model, batch))


def test_words_are_drawn_as_the_model_would_draw_them():
    """Logits of ln 3 and 0: three words in four are the likelier one."""
    logits = torch.tensor([3.0, 1.0]).log().expand(50, 80, 2)
    seen = []

    def model(tokens):
        seen.append(tokens)
        return logits

    tokens = torch.zeros(50, 80, dtype=torch.int64)
    scheduled_sampling_loss(model, MixedBatch(Batch(tokens, tokens), 1.0, seed=1))
    share = float(seen[1][:, 1:].double().mean())
    assert abs(share - 0.25) < 5 * (0.25 * 0.75 / 3950) ** 0.5


def test_every_word_is_drawn_as_often_as_it_is_probable_and_an_impossible_one_never():
    expected = torch.tensor([0.0, 0.1, 0.0, 0.3, 0.05, 0.55, 0.0], dtype=torch.float64)
    seen = []

    def model(tokens):
        seen.append(tokens)
        return expected.float().log().expand(*tokens.shape, 7)

    tokens = torch.zeros(100, 201, dtype=torch.int64)
    scheduled_sampling_loss(model, MixedBatch(Batch(tokens, tokens), 1.0, seed=3))
    counts = seen[1][:, 1:].flatten().bincount(minlength=7).double()
    deviations = (20_000 * expected * (1 - expected)).sqrt()
    assert ((counts - 20_000 * expected).abs() <= 5 * deviations).all()


def test_no_gradient_flows_through_the_writing():
    """The gradient is that of the second pass alone, as if the words had been given."""
    model, batch = Certain(7), packed_batch()
    scheduled_sampling_loss(model, MixedBatch(batch, 1.0, seed=0)).backward()
    whole = model.scale.grad.clone()
    model.scale.grad = None
    mixed = model.seen[1]
    next_token_loss(model, Batch(mixed, batch.targets, batch.documents, batch.positions)).backward()
    torch.testing.assert_close(whole, model.scale.grad)


def test_the_share_rises_from_nothing_to_its_end():
    shares = [mixing_share(step, 10, final=0.8) for step in range(12)]
    assert shares == pytest.approx([0, 0.16, 0.32, 0.48, 0.64, *[0.8] * 7])
    assert mixing_share(0, 1) == 0


def test_a_run_repeats_bitwise_and_goes_on_bitwise(tmp_path):
    stream = torch.randint(11, (300,), generator=torch.Generator().manual_seed(0))
    mixed = MixedBatches(RandomBatches(stream, 3, 8), num_steps=6)
    config = llama_config(vocab_size=11, context_length=8, model_dim=16, num_layers=1, num_heads=2)
    records = []
    for stops in ([6], [4, 6]):
        model = Transformer(config, seed=1)
        for stop in stops:
            record = train(
                model,
                mixed,
                num_steps=stop,
                schedule=lambda step, num_steps: 1.0,
                loss=scheduled_sampling_loss,
                checkpoint=tmp_path / f"{len(stops)}.safetensors",
                progress=False,
            )
        records.append(record)
    assert records[0].losses == records[1].losses
    assert records[0].num_tokens == 6 * 3 * 8
