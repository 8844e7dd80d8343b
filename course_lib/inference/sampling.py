"""The next token from its logits: temperature, top-k, top-p, and the draw.

In reading order: the two filters, `next_token_probabilities`, which applies everything in the usual
order, and `sample`, which draws.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def top_k_filter(logits: Float[Tensor, "*batch vocab"], k: int) -> Float[Tensor, "*batch vocab"]:
    """Keep the k largest logits of each row; the others become -inf.

    Tokens tied with the k-th all stay, so more than k may. k beyond the vocabulary keeps all.

    Fan et al. 2018, https://arxiv.org/abs/1805.04833, section 5.1. Chapter 18.
    """
    if k < 1:
        raise ValueError(f"top_k = {k} must be at least 1; None keeps every token")
    smallest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, -math.inf)


def top_p_filter(
    logits: Float[Tensor, "*batch vocab"], p: float | int
) -> Float[Tensor, "*batch vocab"]:
    """Keep the fewest most probable tokens whose probabilities sum to p or more; others: -inf.

    The token that crosses p stays, so at least one does, for p = 0 too. Of tied tokens those with
    the smaller id come first. p = 1 keeps all: rounding would cut off the tail.

    Holtzman et al. 2019, https://arxiv.org/abs/1904.09751, eq. 2-3. Chapter 18.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"top_p = {p} must be between 0 and 1")
    if p == 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1, dtype=torch.float32)
    before = probabilities.cumsum(dim=-1) - probabilities
    drop = before >= p
    drop[..., 0] = False
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), -math.inf)


def next_token_probabilities(
    logits: Float[Tensor, "*batch vocab"],
    *,
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
) -> Float[Tensor, "*batch vocab"]:
    """softmax(logits / temperature) over the tokens that top-k and then top-p leave, in fp32.

    Temperature 0 is the limit: all on the largest logit, of several on the first. The maximum is
    subtracted before dividing, which would overflow at small temperatures. ValueError where a
    row has a nan or nothing to choose from. Chapter 18.
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature = {temperature} must be 0 (greedy) or more, and finite")
    logits = logits.float()
    largest = logits.amax(dim=-1, keepdim=True)
    if not torch.isfinite(largest).all():
        raise ValueError(
            "the logits of a row hold nan or inf, or are all -inf: nothing can be chosen; look "
            "for a loss that became nan in training, or a filter that forbids every token"
        )
    if temperature == 0:
        best = torch.zeros_like(logits)
        return best.scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    logits = (logits - largest) / temperature
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    return logits.softmax(dim=-1)


def sample(
    logits: Float[Tensor, "*batch vocab"],
    *,
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "*batch"]:
    """Draw a token from each row's `next_token_probabilities`; temperature 0 draws nothing.

    The draw is made on the generator's device: one on the CPU gives a GPU the same draws. Without
    a generator it is PyTorch's own, which any other code moves on. Chapter 18.
    """
    probabilities = next_token_probabilities(
        logits, temperature=temperature, top_k=top_k, top_p=top_p
    )
    if temperature == 0:
        return probabilities.argmax(dim=-1)
    rows = probabilities.reshape(-1, probabilities.shape[-1])
    if generator is not None:
        rows = rows.to(generator.device)
    drawn = torch.multinomial(rows, 1, generator=generator)
    return drawn.reshape(probabilities.shape[:-1]).to(logits.device)
