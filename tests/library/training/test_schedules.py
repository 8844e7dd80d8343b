"""Schedules against PyTorch's and transformers' own, and their limits."""

import pytest
import torch
from transformers import get_wsd_schedule

from course_lib.training.schedules import constant, warmup_cosine, warmup_stable_decay


def rates_of(scheduler, optimizer, num_steps):
    """The learning rate at each count of updates done, from 1."""
    rates = []
    for _ in range(num_steps):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def make_optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


@pytest.mark.parametrize(("num_steps", "warmup_steps", "final"), [(20, 5, 0.1), (13, 0, 0.0)])
def test_cosine_is_pytorchs_after_the_warmup(num_steps, warmup_steps, final):
    optimizer = make_optimizer()
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=num_steps - warmup_steps, eta_min=final
    )
    expected = [(n + 1) / warmup_steps for n in range(warmup_steps)]
    expected += rates_of(cosine, optimizer, num_steps - warmup_steps)
    ours = [
        warmup_cosine(step, num_steps, warmup_steps=warmup_steps, final=final)
        for step in range(num_steps)
    ]
    assert ours == pytest.approx(expected)


@pytest.mark.parametrize(("final", "first"), [(0.0, 0), (0.2, 4)])
def test_stable_decay_is_transformers(final, first):
    """From the end of the warm-up where `final` > 0: theirs then begins at it instead of at 0."""
    optimizer = make_optimizer()
    scheduler = get_wsd_schedule(
        optimizer,
        num_warmup_steps=4,
        num_stable_steps=9,
        num_decay_steps=7,
        decay_type="linear",
        min_lr_ratio=final,
    )
    theirs = rates_of(scheduler, optimizer, 20)
    ours = [
        warmup_stable_decay(step, 20, warmup_steps=4, decay_steps=7, final=final)
        for step in range(20)
    ]
    assert ours[first:] == pytest.approx(theirs[first:])


@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_stable_decay, constant])
@pytest.mark.parametrize("num_steps", [1, 2, 7, 40, 400])
def test_every_update_learns_except_a_last_one_decayed_to_nothing(schedule, num_steps):
    shares = [schedule(step, num_steps) for step in range(num_steps)]
    assert all(0 < share <= 1 for share in shares[:-1])
    assert max(shares) <= 1
    assert schedule(num_steps + 5, num_steps) == shares[-1]


def test_the_peak_is_reached_at_the_end_of_the_warmup_and_only_there():
    shares = [warmup_cosine(step, 100, warmup_steps=10) for step in range(100)]
    assert shares.index(max(shares)) == 9
    assert shares[9] == 1.0
    assert sorted(shares[9:], reverse=True) == shares[9:]
    assert shares[-1] == pytest.approx(0.1)


def test_before_the_decay_nothing_depends_on_the_runs_length():
    short, long = (
        [warmup_stable_decay(step, n, warmup_steps=5, decay_steps=10) for step in range(90)]
        for n in (100, 1000)
    )
    assert short == long


@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_stable_decay])
@pytest.mark.parametrize("warmup_steps", [-1, 11])
def test_a_warmup_longer_than_the_run_is_refused(schedule, warmup_steps):
    with pytest.raises(ValueError, match=f"warmup_steps = {warmup_steps} .* num_steps = 10"):
        schedule(0, 10, warmup_steps=warmup_steps)


def test_a_decay_longer_than_what_the_warmup_leaves_is_refused():
    with pytest.raises(ValueError, match="decay_steps = 7"):
        warmup_stable_decay(0, 10, warmup_steps=4, decay_steps=7)
