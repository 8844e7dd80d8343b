"""Scheduled sampling: a model that is trained partly on its own words, as it will have to write.

In reading order: `scheduled_sampling_inputs` (own words into the text), `mixing_share` (how many,
and when), and what `train` takes: `MixedBatches` and their `scheduled_sampling_loss`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib.model.modes import device_of
from course_lib.text.batches import IGNORED, Batch, mixed_seed, seeded_generator
from course_lib.training.loop import next_token_loss


def scheduled_sampling_inputs(
    gold: Int[Tensor, "batch time"],
    predicted: Int[Tensor, "batch time"],
    p: float | int,
    *,
    positions: Int[Tensor, "batch time"] | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch time"]:
    """The text with each token, by a coin of its own, the model's instead: with probability `p`.

    predicted[:, t] is what the model wrote *after* gold[:, t], so it stands in for gold[:, t + 1].
    The first token of a text, where `positions` is 0, has nobody to write it and stays. Targets
    stay the gold ones. ValueError unless 0 <= p <= 1.

    Bengio et al. 2015, https://arxiv.org/abs/1506.03099, section 2.4 (there p = 1 - epsilon).
    Chapter 07.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p = {p} must be a probability, from 0 (gold) to 1 (the model's words)")
    coins = torch.rand(gold.shape, generator=generator).to(gold.device)
    written = predicted.roll(1, dims=1)
    starts = torch.zeros_like(gold, dtype=torch.bool) if positions is None else positions == 0
    starts[:, 0] = True
    return torch.where((coins < p) & ~starts, written, gold)


def mixing_share(step: int, num_steps: int, *, final: float | int = 0.5) -> float:
    """From 0 at the first step linearly to `final` in the middle of the run, and then `final`.

    A model that cannot write yet has no use for its own words: it begins with the gold ones.

    Bengio et al. 2015, https://arxiv.org/abs/1506.03099, section 2.4, linear decay. Chapter 07.
    """
    return final * min(1.0, step / max(1, num_steps // 2))


@dataclass(frozen=True)
class MixedBatch:
    """A batch, the share of its inputs that the model writes, and the seed of what it writes."""

    batch: Batch
    share: float
    seed: int

    @property
    def num_tokens(self) -> int:
        """How many targets are counted."""
        return self.batch.num_tokens


@dataclass(frozen=True)
class MixedBatches:
    """Step n -> its batch, mixed by `schedule(n, num_steps)`; the same step is mixed the same way.

    `MixedBatches(batches, num_steps=400, schedule=partial(mixing_share, final=1.0))`.
    """

    batches: Callable[[int], Batch]
    num_steps: int
    schedule: Callable[[int, int], float] = mixing_share
    seed: int = 0

    def __call__(self, step: int) -> MixedBatch:
        share = self.schedule(step, self.num_steps)
        return MixedBatch(self.batches(step), share, mixed_seed(self.seed, step))


def scheduled_sampling_loss(model: Callable[..., Tensor], mixed: MixedBatch) -> Float[Tensor, ""]:
    """The next-token loss on a text into which the model has written: a `loss` for `train`.

    Two passes: the first, without gradients, draws at every place what the model writes after the
    gold text; the second learns from the mixture. A step costs a forward pass more, where writing
    word by word would cost one for every token. Tokens that no counted target asks for (a prompt)
    stay as they are.

    Mihaylova and Martins 2019, https://arxiv.org/abs/1906.07651, section 3. Chapter 07.
    """
    batch = mixed.batch.to(device_of(model))
    if mixed.share == 0:
        return next_token_loss(model, batch)
    generator = seeded_generator(mixed.seed)
    with torch.no_grad():
        logits = model(batch.tokens, **batch.restrictions)
    following = batch.tokens.roll(-1, dims=1)
    tokens = scheduled_sampling_inputs(
        batch.tokens,
        _drawn(logits, generator).where(batch.targets != IGNORED, following),
        mixed.share,
        positions=batch.positions,
        generator=generator,
    )
    return next_token_loss(model, replace(batch, tokens=tokens))


def _drawn(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A token from each row of softmax(logits), drawn on the CPU so that a seed means one draw.

    The first at which the probabilities add up to more than a number drawn for the row:
    torch.multinomial draws one for every token of the vocabulary, and takes 20 times as long.
    """
    sums = logits.float().softmax(dim=-1).cpu().cumsum(dim=-1)
    whole = sums[..., -1:]
    least = torch.rand(whole.shape, generator=generator) * whole
    least = least.minimum(whole.nextafter(torch.zeros(())))  # rounding may have given the whole
    return torch.searchsorted(sums, least, right=True).squeeze(-1).to(logits.device)
