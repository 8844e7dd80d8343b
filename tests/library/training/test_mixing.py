"""Mixing: rows by weight, the proxy's loss and gradient, and DoReMi on domains of known kinds."""

import functools

import pytest
import torch
from torch.testing import assert_close

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import Batch, epoch_batches
from course_lib.training import adamw, mean_loss, next_token_loss, train
from course_lib.training.mixing import (
    DomainBatch,
    DomainBatches,
    DoReMi,
    domain_losses,
    domain_means,
    token_losses,
)


def make_model(seed=0):
    config = llama_config(vocab_size=12, context_length=7, model_dim=16, num_layers=1, num_heads=2)
    return Transformer(config, seed=seed)


STREAMS = [torch.arange(200) % 4, 4 + torch.arange(90) % 3, 7 + torch.arange(40) % 5]


def make_batches(weights=(0.5, 0.3, 0.2), batch_size=10, seed=0):
    return DomainBatches(STREAMS, weights, batch_size, 7, seed)


def test_each_domain_gets_its_share_of_the_rows_to_within_one():
    counts = torch.zeros(3)
    for step in range(100):
        batch = make_batches((0.55, 0.32, 0.13), batch_size=9)(step)
        rows = torch.bincount(batch.domains, minlength=3)
        assert ((rows - 9 * torch.tensor([0.55, 0.32, 0.13])).abs() <= 1).all()
        counts += rows
    assert_close(counts / counts.sum(), torch.tensor([0.55, 0.32, 0.13]), atol=0.02, rtol=0)


def test_a_row_is_a_window_of_its_domain():
    batch = make_batches()(3)
    low = torch.tensor([0, 4, 7])[batch.domains]
    high = torch.tensor([4, 7, 12])[batch.domains]
    assert batch.num_tokens == 70
    for tokens in (batch.tokens, batch.targets):
        assert (tokens >= low[:, None]).all()
        assert (tokens < high[:, None]).all()
    assert_close(batch.tokens[:, 1:], batch.targets[:, :-1])


def test_a_step_always_gives_the_same_batch_and_a_seed_another():
    assert torch.equal(make_batches()(5).tokens, make_batches()(5).tokens)
    assert not torch.equal(make_batches()(5).tokens, make_batches(seed=1)(5).tokens)


def test_a_domain_of_weight_zero_is_never_drawn():
    batches = make_batches((0.0, 1.0, 0.0))
    assert {int(domain) for step in range(20) for domain in batches(step).domains} == {1}


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.2, 0.2, 0.2)])
def test_weights_must_be_a_distribution_over_the_streams(weights):
    with pytest.raises(ValueError, match="weights"):
        make_batches(weights)


def test_domain_means_are_zero_where_there_is_nothing():
    values, domains = torch.tensor([1.0, 5.0, 3.0]), torch.tensor([2, 0, 2])
    assert_close(domain_means(values, domains, 4), torch.tensor([5.0, 0.0, 2.0, 0.0]))


def test_token_losses_average_to_the_loss_of_training():
    model, batch = make_model(), make_batches()(0)
    assert_close(token_losses(model, batch).mean(), next_token_loss(model, batch))


def test_the_proxys_gradient_weighs_domains_and_leaves_the_reference_alone():
    """dLoss = Σ α_i d(mean loss of domain i), α the weights after the step; α is no function."""
    proxy, reference, batch = make_model(1), make_model(2), make_batches()(0)
    doremi = DoReMi(reference, 3)
    doremi.loss(proxy, batch).backward()
    (weights,) = doremi.history
    assert sum(weights) == pytest.approx(1, abs=1e-6)
    other = make_model(1)
    for domain, weight in enumerate(weights):
        rows = batch.domains == domain
        (weight * next_token_loss(other, Batch(batch.tokens[rows], batch.targets[rows]))).backward()
    for ours, theirs in zip(proxy.parameters(), other.parameters(), strict=True):
        assert_close(ours.grad, theirs.grad)
    assert all(parameter.grad is None for parameter in reference.parameters())


def test_a_proxy_equal_to_its_reference_leaves_the_weights_uniform():
    doremi = DoReMi(make_model(1), 3)
    for step in range(3):
        doremi.loss(make_model(1), make_batches()(step))
    assert_close(torch.tensor(doremi.average), torch.full((3,), 1 / 3))


def test_weight_goes_to_the_domain_that_the_reference_knows_and_the_proxy_does_not():
    """Bigram tables: the reference has learned domain 2 alone, so only there is it ahead."""
    torch.manual_seed(0)
    reference, proxy = torch.nn.Embedding(12, 12), torch.nn.Embedding(12, 12)
    proxy.load_state_dict(reference.state_dict())
    fast = functools.partial(adamw, learning_rate=0.1)
    settings = {"num_steps": 40, "optimizer": fast, "progress": False}
    train(reference, make_batches((0.0, 0.0, 1.0)), **settings)
    doremi = DoReMi(reference, 3, step_size=0.1)
    train(proxy, make_batches((1 / 3, 1 / 3, 1 / 3)), loss=doremi.loss, **settings)
    assert doremi.average[2] > 0.4 > max(doremi.average[:2])


def test_before_any_step_there_is_no_average():
    with pytest.raises(ValueError, match="no step has been taken"):
        _ = DoReMi(make_model(), 3).average


def test_domain_losses_are_the_mean_losses_by_name():
    model = make_model()
    held_out = {
        name: list(epoch_batches(stream, 4, context_length=7))
        for name, stream in zip(("a", "b"), STREAMS[:2], strict=True)
    }
    losses = domain_losses(model, held_out)
    assert losses == {name: mean_loss(model, batches) for name, batches in held_out.items()}


def test_a_domain_batch_is_a_batch_for_any_loss():
    model, batches = make_model(), make_batches()
    assert isinstance(batches(0), DomainBatch)
    record = train(model, batches, num_steps=2, optimizer=adamw, progress=False)
    assert record.num_tokens == 140
