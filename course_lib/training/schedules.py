"""Learning-rate schedules: the share of the peak rate that each step gets.

A schedule is `schedule(step, num_steps) -> share`; step 0 is the first update. Others than the
defaults: `functools.partial(warmup_cosine, warmup_steps=100)`.
"""

import math


def constant(step: int, num_steps: int) -> float:
    """1 at every step."""
    return 1.0


def warmup_cosine(
    step: int, num_steps: int, *, warmup_steps: int | None = None, final: float | int = 0.1
) -> float:
    """Linear to 1 over `warmup_steps`, then half a cosine down to `final` at the last step.

    The first update already gets 1 / warmup_steps: a rate of 0 would waste it. Warm-up is a
    twentieth of the run unless given; steps past the end stay at `final`.

    Loshchilov & Hutter 2016, https://arxiv.org/abs/1608.03983, eq. 5. Chapter 07.
    """
    warmup_steps = _warmup_steps(num_steps, warmup_steps)
    done = step + 1
    if done <= warmup_steps:
        return done / warmup_steps
    progress = min(1.0, (done - warmup_steps) / max(1, num_steps - warmup_steps))
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def warmup_stable_decay(
    step: int,
    num_steps: int,
    *,
    warmup_steps: int | None = None,
    decay_steps: int | None = None,
    final: float | int = 0.0,
) -> float:
    """Linear to 1 over `warmup_steps`, then 1, then linear to `final` over `decay_steps`.

    Until the decay begins nothing depends on num_steps, so a run can be prolonged from there.
    Warm-up is a twentieth of the run and decay a fifth unless given.

    Hu et al. 2024, https://arxiv.org/abs/2404.06395, eq. 1; linear decay: Hägele et al. 2024,
    https://arxiv.org/abs/2405.18392, section 3. Chapter 07.
    """
    warmup_steps = _warmup_steps(num_steps, warmup_steps)
    decay_steps = num_steps // 5 if decay_steps is None else decay_steps
    if not 0 <= decay_steps <= num_steps - warmup_steps:
        raise ValueError(
            f"decay_steps = {decay_steps} must be between 0 and num_steps - warmup_steps = "
            f"{num_steps - warmup_steps}"
        )
    done = step + 1
    if done <= warmup_steps:
        return done / warmup_steps
    left = max(0, num_steps - done)
    if left >= decay_steps:
        return 1.0
    return final + (1 - final) * left / decay_steps


def _warmup_steps(num_steps: int, warmup_steps: int | None) -> int:
    if warmup_steps is None:
        return num_steps // 20
    if not 0 <= warmup_steps <= num_steps:
        raise ValueError(
            f"warmup_steps = {warmup_steps} must be between 0 and num_steps = {num_steps}"
        )
    return warmup_steps
