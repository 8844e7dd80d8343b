"""Prompts on the way in and their ends on the way out: batches of unequal length, stop sequences.

In reading order: `read_prompts`, `pad_left` and its `PaddedPrompts`, `read_stops`, `ends_with`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

Prompt = Sequence[int] | Int[Tensor, "_"]
Prompts = Prompt | Sequence[Prompt] | Int[Tensor, "_ _"]
Stop = int | Sequence[int]

PADDING = 0
"""The document of padding; prompts are document 1."""


@dataclass(frozen=True)
class PaddedPrompts:
    """Prompts that end in the same column, with room behind for what is generated.

    Padding stands on the left: so the newest token of every row is in the last column, and a cache
    grows by one column for all. It is a document of its own (0, the prompts are 1), which attention
    therefore never mixes in, and positions count from each prompt's first token.
    """

    tokens: Int[Tensor, "rows columns"]
    documents: Int[Tensor, "rows columns"]
    positions: Int[Tensor, "rows columns"]
    starts: list[int]
    num_columns: int
    """Columns of padding and prompt; those behind are room."""

    @property
    def is_ragged(self) -> bool:
        """Whether there is any padding."""
        return any(self.starts)


def read_prompts(tokens: Prompts) -> list[list[int]]:
    """One prompt or several, as lists of ids; ValueError where one is empty or not of ids."""
    listed = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
    prompts = [listed] if is_single(tokens) else listed
    prompts = [each.tolist() if isinstance(each, Tensor) else list(each) for each in prompts]
    if not prompts:
        raise ValueError("there is no prompt: give at least one")
    for number, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(
                f"prompt {number} is empty: give it one token at least, such as the beginning of "
                "text"
            )
        if not all(isinstance(token, int) and token >= 0 for token in prompt):
            raise ValueError(f"prompt {number} = {prompt[:5]}... must hold token ids from 0 up")
    return prompts


def is_single(tokens: Prompts) -> bool:
    """Whether this is one prompt rather than a batch: [5, 7] is, [[5, 7]] is not."""
    if isinstance(tokens, Tensor):
        return tokens.ndim == 1
    return not tokens or not isinstance(tokens[0], Sequence | Tensor)


def pad_left(
    prompts: Sequence[Sequence[int]], *, room: int = 0, device: torch.device | None = None
) -> PaddedPrompts:
    """[[5], [6, 7, 8]] -> tokens [[0, 0, 5], [6, 7, 8]]; `room` columns are left on the right."""
    width = max(len(prompt) for prompt in prompts)
    starts = [width - len(prompt) for prompt in prompts]
    columns = torch.arange(width + room)
    from_start = columns - torch.tensor(starts)[:, None]  # (rows, columns)
    tokens = torch.zeros_like(from_start)
    for row, prompt in enumerate(prompts):
        tokens[row, starts[row] : width] = torch.tensor(prompt)
    return PaddedPrompts(
        tokens.to(device),
        torch.where(from_start >= 0, PADDING + 1, PADDING).to(device),
        from_start.clamp(min=0).to(device),
        starts,
        width,
    )


def read_stops(stop: Stop | Sequence[Stop]) -> list[list[int]]:
    """Ids and sequences of ids, each as a list: 2 -> [[2]], (2, [5, 7]) -> [[2], [5, 7]]."""
    stops = [stop] if isinstance(stop, int) else stop
    sequences = [[each] if isinstance(each, int) else list(each) for each in stops]
    if not all(sequences):
        raise ValueError("an empty stop sequence would end every answer before it begins")
    return sequences


def ends_with(tokens: Sequence[int], stops: Sequence[Sequence[int]]) -> bool:
    """Whether the tokens end with one of the stop sequences."""
    return any(list(tokens[-len(stop) :]) == stop for stop in stops)
