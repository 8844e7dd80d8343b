"""Mixtures of domains: batches drawn by weights, and DoReMi, which finds the weights.

In reading order: `DomainBatches`, the excess loss of each domain, one step of the weights
(`doremi_step`), and `DoReMi`, the proxy's loss that takes such a step in every update.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from course_lib.model.modes import device_of
from course_lib.text.batches import Batch, sample_batch, seeded_generator
from course_lib.training.loop import mean_loss


@dataclass(frozen=True)
class DomainBatch(Batch):
    """A batch whose rows come from domains: `domains[i]` is the number of row i's."""

    domains: Int[Tensor, "batch"] | None = None


@dataclass(frozen=True)
class DomainBatches:
    """Step n -> a batch drawn from (seed, n), each row of a domain chosen with `weights`.

    A domain gets its share of the rows to within one in every batch, and exactly on average: one
    random offset, then equal steps through the cumulated weights.
    """

    streams: Sequence[Integer[Tensor, "_"]]
    weights: Sequence[float]
    batch_size: int
    context_length: int
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.streams) != len(self.weights):
            raise ValueError(f"{len(self.streams)} streams need as many weights")
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-4:
            raise ValueError(f"weights = {list(self.weights)} must be at least 0 and sum to 1")

    def __call__(self, step: int) -> DomainBatch:
        generator = seeded_generator(self.seed, step)
        offset = torch.rand((), generator=generator, dtype=torch.float64)
        points = (torch.arange(self.batch_size) + offset) / self.batch_size
        edges = torch.tensor(self.weights, dtype=torch.float64).cumsum(0)
        domains = torch.searchsorted(edges, points * edges[-1], right=True)
        domains = domains.clamp(max=len(self.streams) - 1)
        # They come in order, so the rows of one domain are drawn together.
        numbers, counts = domains.unique_consecutive(return_counts=True)
        parts = [
            sample_batch(
                self.streams[number],
                count,
                context_length=self.context_length,
                generator=generator,
            )
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
        tokens, targets = (torch.cat(each) for each in zip(*parts, strict=True))
        return DomainBatch(tokens, targets, domains=domains)


def domain_means(
    values: Float[Tensor, "tokens"], domains: Int[Tensor, "tokens"], num_domains: int
) -> Float[Tensor, "num_domains"]:
    """The mean of the values of each domain; 0 for a domain that has none."""
    members = F.one_hot(domains, num_domains).to(values.dtype)  # (tokens, num_domains)
    return (values @ members) / members.sum(dim=0).clamp(min=1)


def doremi_step(
    weights: Float[Tensor, "num_domains"],
    excess_loss: Float[Tensor, "tokens"],
    *,
    domains: Int[Tensor, "tokens"],
    step_size: float | int = 1.0,
    smoothing: float | int = 1e-3,
) -> Float[Tensor, "num_domains"]:
    """(1 - c) α' / Σα' + c / k with α' = α exp(η λ): the k domains' weights after one step.

    λ is the domain's mean of max(excess, 0), clipped token by token; a domain that is not in the
    batch has λ = 0. Smoothing comes after normalising, so the weights sum to 1 and none reaches 0.

    Xie et al. 2023, https://arxiv.org/abs/2305.10429, algorithm 1. Chapter 08.
    """
    num_domains = len(weights)
    excess = domain_means(excess_loss.detach().clamp(min=0), domains, num_domains)
    raised = torch.softmax(weights.log() + step_size * excess, dim=0)
    return (1 - smoothing) * raised + smoothing / num_domains


@dataclass
class DoReMi:
    """The proxy's loss, Σ_i α_i (mean excess loss of domain i), and the weights α that it moves.

    `train(proxy, batches, loss=doremi.loss)`, the batches uniform over domains: each update takes a
    `doremi_step` first. `average` are then the weights to train with; `history` has those of each
    update.

    Xie et al. 2023, https://arxiv.org/abs/2305.10429, algorithm 1. Chapter 08.
    """

    reference: nn.Module
    num_domains: int
    step_size: float = 1.0
    smoothing: float = 1e-3
    history: list[list[float]] = field(default_factory=list)

    def loss(self, model: nn.Module, batch: DomainBatch) -> Float[Tensor, ""]:
        """Move the weights by the batch's excess losses, then weigh the proxy's losses by them."""
        device, time = device_of(model), batch.tokens.shape[1]
        domains = batch.domains.to(device).repeat_interleave(time)
        losses = token_losses(model, batch)
        with torch.no_grad():
            reference = token_losses(self.reference, batch)
            excess = losses - reference
            uniform = [1 / self.num_domains] * self.num_domains
            before = torch.tensor(self.history[-1] if self.history else uniform, device=device)
            settings = {"step_size": self.step_size, "smoothing": self.smoothing}
            weights = doremi_step(before, excess, domains=domains, **settings)
        self.history.append(weights.tolist())
        # The reference's loss is no function of the proxy: it would add a constant.
        return weights @ domain_means(losses, domains, self.num_domains)

    @property
    def average(self) -> list[float]:
        """The mean of the weights over all steps, which is what DoReMi returns."""
        if not self.history:
            raise ValueError("no step has been taken yet: train the proxy with this loss first")
        return torch.tensor(self.history).mean(dim=0).tolist()


def token_losses(model: nn.Module, batch: Batch) -> Float[Tensor, "tokens"]:
    """-log p of every target, in nats, in the order of the flattened batch."""
    device = device_of(model)
    logits = model(batch.tokens.to(device)).flatten(0, 1).float()
    return F.cross_entropy(logits, batch.targets.to(device).flatten(), reduction="none")


def domain_losses(
    model: Callable[..., Tensor], held_out: Mapping[str, Sequence[Batch]]
) -> dict[str, float]:
    """The mean loss in nats a token on each domain's held-out batches: an `evaluate` for `train`.

    The worst of them is what Group DRO minimises.

    Sagawa et al. 2019, https://arxiv.org/abs/1911.08731, section 2. Chapter 08.
    """
    return {name: mean_loss(model, batches) for name, batches in held_out.items()}
