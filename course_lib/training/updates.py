"""One update of the weights: forward, backward, clip, step; the batch whole or in pieces."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.model.modes import device_of
from course_lib.training.optimizers import clip_gradients
from course_lib.training.precision import products_in


def update(
    model: nn.Module,
    batch: Any,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[nn.Module, Any], Tensor],
    *,
    max_norm: float | int = 1.0,
    accumulation: int = 1,
    dtype: torch.dtype = torch.float32,
) -> tuple[float, float]:
    """Loss of the batch and norm of its gradient before clipping, after which the weights move.

    With `accumulation` pieces gradients add up over them, each weighted by its share of the counted
    tokens: a mean of the pieces' means would give a token of a short piece more say. Nothing is
    updated where loss or norm is not finite: the weights stay those of the last good update.
    Chapters 07 and 14.
    """
    optimizer.zero_grad()
    total = torch.tensor(0.0, device=device_of(model))
    for piece, share in _pieces(batch, accumulation):
        with products_in(dtype, device_of(model)):
            value = loss(model, piece)
        value = value if share == 1 else value * share
        value.backward()
        total = total + value.detach()
    norm = clip_gradients(model.parameters(), max_norm)
    if torch.isfinite(total) and torch.isfinite(norm):
        optimizer.step()
    return total.item(), norm.item()


def _pieces(batch: Any, accumulation: int) -> list[tuple[Any, float]]:
    """The batch in so many pieces, and each one's share of its counted tokens."""
    if accumulation == 1:
        return [(batch, 1.0)]
    if not hasattr(batch, "split"):
        raise ValueError(
            f"accumulation = {accumulation} needs batches that can be split, as Batch can, not "
            f"{type(batch).__name__}"
        )
    pieces = batch.split(accumulation)
    counted = [each for each in pieces if each.num_tokens] or pieces[:1]
    return [(each, each.num_tokens / max(1, batch.num_tokens)) for each in counted]
