"""Muon against the SVD, PyTorch's Muon and AdamW, and a problem worked by hand."""

import math

import pytest
import torch
from torch import nn

from course_lib.model.config import TransformerConfig, llama_config
from course_lib.model.transformer import Transformer
from course_lib.training.checkpoints import load_checkpoint, save_checkpoint
from course_lib.training.muon import Muon, hidden_matrices, muon, orthogonalize


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("shape", [(7, 7), (5, 11), (11, 5), (1, 6), (6, 1), (40, 90)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e6])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape, scale):
    matrix = normal(*shape) * scale
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = left.T @ orthogonalize(matrix) @ right.T
    torch.testing.assert_close(values, values.diagonal().diag())
    assert values.diagonal().min() > 0.65
    assert values.diagonal().max() < 1.21


def test_a_singular_value_follows_the_polynomial_by_hand():
    """4 and 3 have the norm 5: the values 0.8 and 0.6 through 3.4445 x - 4.775 x³ + 2.0315 x⁵."""
    once = [3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5 for x in (0.8, 0.6)]
    ours = orthogonalize(torch.tensor([[0.0, 4.0], [-3.0, 0.0]]), num_iterations=1)
    torch.testing.assert_close(ours, torch.tensor([[0.0, once[0]], [-once[1], 0.0]]))


def test_zeros_stay_zeros_and_the_input_is_left_alone():
    assert (orthogonalize(torch.zeros(3, 5)) == 0).all()
    matrix = normal(3, 5)
    before = matrix.clone()
    assert orthogonalize(matrix).dtype == torch.float64
    assert torch.equal(matrix, before)


@pytest.mark.parametrize("shape", [(6, 10), (10, 6)])
def test_matrices_follow_pytorchs_muon(shape):
    ours, theirs = (nn.Parameter(normal(*shape, dtype=torch.float32)) for _ in range(2))
    settings = {"weight_decay": 0.1, "momentum": 0.9}
    our = Muon(
        [{"params": [ours], "weight_decay": 0.1, "orthogonalized": True}], lr=0.1, momentum=0.9
    )
    their = torch.optim.Muon([theirs], lr=0.1, adjust_lr_fn="match_rms_adamw", **settings)
    for step in range(5):
        gradient = normal(*shape, seed=step + 1, dtype=torch.float32)
        ours.grad, theirs.grad = gradient, gradient.clone()
        our.step()
        their.step()
    # PyTorch iterates in bf16: each of five updates of about 0.02 an entry is off by some percent.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02)


def test_the_rest_follows_pytorchs_adamw():
    ours, theirs = (nn.Parameter(normal(5, 3)) for _ in range(2))
    our = Muon([{"params": [ours], "weight_decay": 0.3}], lr=0.1, betas=(0.8, 0.9))
    their = torch.optim.AdamW([theirs], lr=0.1, betas=(0.8, 0.9), weight_decay=0.3)
    for step in range(6):
        gradient = normal(5, 3, seed=step + 1) * 10.0 ** (-step)
        ours.grad, theirs.grad = gradient, gradient.clone()
        our.step()
        their.step()
    torch.testing.assert_close(ours, theirs)


def test_the_update_has_the_size_of_adamws():
    """AdamW's updates have a root mean square of 0.2 to 0.4 learning rates (Liu et al.)."""
    for shape in [(20, 20), (20, 60), (60, 20)]:
        weight = nn.Parameter(torch.zeros(shape))
        weight.grad = normal(*shape, dtype=torch.float32)
        Muon([{"params": [weight], "orthogonalized": True}], lr=0.1).step()
        size = weight.square().mean().sqrt().item()
        assert size == pytest.approx(0.2 * 0.1, rel=0.2)


def test_a_quadratic_is_solved():
    """|A (W - target)|², whose gradient is 100 times weaker along one direction than another."""
    a, target = torch.diag(torch.logspace(0, -1, 4)).double(), normal(4, 6)
    weight = nn.Parameter(torch.zeros(4, 6, dtype=torch.float64))
    optimizer = Muon([{"params": [weight], "orthogonalized": True}], lr=0.1)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        optimizer.zero_grad()
        (a @ (weight - target)).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(weight.detach(), target, rtol=0, atol=0.05)


@pytest.mark.parametrize("tied", [True, False])
def test_embedding_head_and_norms_are_adamws(tied):
    model = Transformer(
        llama_config(vocab_size=30, model_dim=12, num_heads=2, num_layers=2, tied_embeddings=tied)
    )
    optimizer = muon(model, weight_decay=0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_muon, *others = (
        {names[id(each)] for each in group["params"]} for group in optimizer.param_groups
    )
    assert by_muon == {name for name in names.values() if ".blocks." in name and "norm" not in name}
    assert set().union(*others) == set(names.values()) - by_muon
    assert [group["weight_decay"] for group in optimizer.param_groups] == (
        [0.1, 0.0] if tied else [0.1, 0.1, 0.0]
    )


def test_position_tables_biases_and_frozen_weights_are_left_out():
    config = TransformerConfig(positions="transformer_xl", bias=True, model_dim=12, num_layers=2)
    model = Transformer(config)
    model.decoder.blocks[0].requires_grad_(False)
    frozen = {id(each) for each in model.decoder.blocks[0].parameters()}
    chosen = hidden_matrices(model)
    assert all(each.ndim == 2 and id(each) not in frozen for each in chosen)
    linears = [each for each in model.decoder.blocks[1].modules() if isinstance(each, nn.Linear)]
    assert {id(each.weight) for each in linears} <= {id(each) for each in chosen}


def test_a_model_without_hidden_matrices_is_refused():
    with pytest.raises(ValueError, match="no hidden matrix"):
        muon(nn.Sequential(nn.Embedding(5, 3), nn.LayerNorm(3)))


def test_going_on_from_a_checkpoint_is_bitwise_the_same(tmp_path):
    def model_and_optimizer():
        model = Transformer(
            llama_config(vocab_size=30, model_dim=12, num_heads=2, num_layers=2), seed=3
        )
        return model, muon(model)

    def update(model, optimizer, step):
        tokens = torch.randint(30, (2, 5), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(tokens).square().sum().backward()
        optimizer.step()

    model, optimizer = model_and_optimizer()
    for step in range(3):
        update(model, optimizer, step)
    save_checkpoint(tmp_path / "now", model, optimizer)
    again, its_optimizer = model_and_optimizer()
    load_checkpoint(tmp_path / "now", again, its_optimizer)
    for step in range(3, 6):
        update(model, optimizer, step)
        update(again, its_optimizer, step)
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert math.isfinite(sum(each.sum().item() for each in again.parameters()))
