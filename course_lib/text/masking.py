"""Masked words: the text a BERT is trained to restore."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

IGNORED = -100  # what torch.nn.functional.cross_entropy leaves out of the mean


def mask_tokens(
    tokens: Int[Tensor, "*batch"],
    mask_id: int,
    *,
    vocab_size: int,
    generator: torch.Generator,
    probability: float = 0.15,
    special: Bool[Tensor, "*batch"] | None = None,
) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """(inputs, labels): of 15 % of the tokens 80 % become the mask, 10 % any token, 10 % stay.

    Labels are -100, ignored by the loss, except at those 15 %: also where the token stayed, so
    that the model cannot trust what it sees. Where `special` is True nothing is chosen.
    `tokens` are unchanged.

    Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.1. Chapter 05.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability={probability} must be from 0 to 1")

    def draw() -> Tensor:
        return torch.rand(tokens.shape, generator=generator, device=tokens.device)

    chosen = draw() < probability
    if special is not None:
        chosen &= ~special
    labels = tokens.masked_fill(~chosen, IGNORED)
    fate = draw()
    anything = torch.randint(
        vocab_size, tokens.shape, generator=generator, device=tokens.device, dtype=tokens.dtype
    )
    inputs = torch.where(chosen & (fate < 0.8), mask_id, tokens)
    return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), anything, inputs), labels
