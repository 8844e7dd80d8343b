"""A batch in pieces against the whole one; products in bf16 against fp32."""

import copy

import pytest
import torch

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import IGNORED, Batch, RandomBatches, pack_documents
from course_lib.training import adamw, mean_loss, next_token_loss, precision, train
from course_lib.training.losses import cross_entropy
from course_lib.training.precision import choose_dtype, products_in
from course_lib.training.updates import update

CONFIG = llama_config(vocab_size=20, model_dim=12, num_layers=2, num_heads=2, context_length=8)
DOCUMENTS = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [9, 10], [7, 1, 7, 1, 7, 2], [3, 4, 5, 6, 7], [5] * 8]


def uneven_batch():
    """Rows with different numbers of counted targets, the last with none."""
    packed = pack_documents(DOCUMENTS, 7)
    assert len(packed.tokens) == 4
    targets = packed.targets.clone()
    targets[-1] = IGNORED
    return Batch(packed.tokens, targets, packed.documents, packed.positions)


def gradients(model, batch, **options):
    """Loss, norm and gradients of an update that leaves the weights where they are."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    numbers = update(model, batch, optimizer, next_token_loss, max_norm=torch.inf, **options)
    return numbers, [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("accumulation", [2, 3, 4])
def test_pieces_with_unequal_numbers_of_tokens_add_up_to_the_batch(accumulation):
    model, batch = Transformer(CONFIG).double(), uneven_batch()
    counted = {piece.num_tokens for piece in batch.split(accumulation)}
    assert len(counted) > 1
    # The loss itself is taken in fp32.
    (loss, norm), whole = gradients(model, batch)
    (their_loss, their_norm), pieces = gradients(model, batch, accumulation=accumulation)
    assert their_loss == pytest.approx(loss, rel=1e-6)
    assert their_norm == pytest.approx(norm, rel=1e-6)
    for ours, theirs in zip(whole, pieces, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_run_in_pieces_is_the_run():
    batches = RandomBatches(torch.arange(300) % 20, 6, 8)
    whole, pieces = Transformer(CONFIG), Transformer(CONFIG)
    records = [
        train(model, batches, num_steps=10, accumulation=number, progress=False)
        for model, number in ((whole, 1), (pieces, 4))
    ]
    assert records[0].losses == pytest.approx(records[1].losses, rel=1e-4)
    assert records[0].num_tokens == records[1].num_tokens


def test_pieces_keep_every_row_with_its_documents():
    batch = uneven_batch()
    pieces = batch.split(3)
    assert [len(piece.tokens) for piece in pieces] == [2, 1, 1]
    for name in ("tokens", "targets", "documents", "positions"):
        together = torch.cat([getattr(piece, name) for piece in pieces])
        assert torch.equal(together, getattr(batch, name))
    assert Batch(batch.tokens, batch.targets).split(4)[3].documents is None


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="num_pieces = 5 must be from 1 to the batch's 4 rows"):
        gradients(Transformer(CONFIG), uneven_batch(), accumulation=5)
    with pytest.raises(ValueError, match=r"accumulation = 2 needs batches .* not tuple"):
        gradients(Transformer(CONFIG), (1, 2), accumulation=2)


def test_a_batch_without_targets_changes_nothing():
    batch = uneven_batch()
    empty = Batch(batch.tokens, torch.full_like(batch.targets, IGNORED))
    for accumulation in (1, 2):
        (loss, norm), _ = gradients(Transformer(CONFIG), empty, accumulation=accumulation)
        assert (loss, norm) == (0.0, 0.0)


def test_the_loss_is_cross_entropy_of_chapter_02():
    model, batch = Transformer(CONFIG), uneven_batch()
    logits = model(batch.tokens, **batch.restrictions)
    torch.testing.assert_close(next_token_loss(model, batch), cross_entropy(logits, batch.targets))


def test_products_in_bf16_leave_weights_loss_and_gradients_in_fp32():
    model, batch = Transformer(CONFIG), uneven_batch()
    (loss, _), exact = gradients(model, batch)
    (rounded_loss, _), rounded = gradients(model, batch, dtype=torch.bfloat16)
    assert rounded_loss != loss
    assert rounded_loss == pytest.approx(loss, rel=0.01)
    for ours, theirs in zip(exact, rounded, strict=True):
        assert theirs.dtype == torch.float32
        assert (ours - theirs).norm() < 0.05 * ours.norm()  # 8 bits: 0.4 % a product
    record = train(model, lambda step: batch, num_steps=3, dtype="bfloat16", progress=False)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert record.losses[0] == pytest.approx(rounded_loss)


def test_only_the_block_is_in_bf16():
    x = torch.ones(3, 3)
    with products_in(torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
    with products_in(torch.float32):
        assert (x @ x).dtype == torch.float32
    assert (x @ x).dtype == torch.float32


@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_auto_is_what_is_faster_here(monkeypatch, faster):
    speeds = {torch.float32: 1.0, torch.bfloat16: 2.0 if faster == "bfloat16" else 0.5}
    monkeypatch.setattr(precision, "matmul_peak", lambda dtype, device, *, seconds: speeds[dtype])
    assert choose_dtype("auto") == getattr(torch, faster)


def test_auto_measures_in_earnest():
    assert choose_dtype("auto") in (torch.float32, torch.bfloat16)
    assert choose_dtype("float32") == torch.float32


def test_another_dtype_is_refused_with_the_names():
    with pytest.raises(ValueError, match=r'dtype = .float16. must be one of "auto", "float32"'):
        choose_dtype("float16")


def test_one_update_is_adamws():
    model, batch = Transformer(CONFIG), uneven_batch()
    before = copy.deepcopy(model)
    loss, _ = update(model, batch, adamw(model), next_token_loss)
    assert loss == pytest.approx(mean_loss(before, [batch]))
    assert mean_loss(model, [batch]) < loss
