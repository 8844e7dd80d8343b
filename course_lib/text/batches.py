"""Batches for language modelling: random windows, epochs of windows, packed documents.

In reading order: `Batch`; `sample_batch` and `epoch_batches`, which cut a stream of tokens;
`RandomBatches` and `ShuffledBatches`, which give step n its batch and so need no state to resume
from; `mark_documents`, what keeps the documents in a window apart; `pack_documents`, where no
window cuts one that fits.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
import torch
from jaxtyping import Int, Integer
from torch import Tensor

IGNORED = -100
"""A target that no loss counts: `ignore_index` of PyTorch's cross-entropy."""

PADDING = 0
"""The document of padding; real documents count from 1."""


@dataclass(frozen=True)
class Batch:
    """Tokens and, at each place, the token that comes next in the data.

    `documents` and `positions` are there where a row holds several documents (or padding, which is
    document 0): attention stays within a document and positions restart in each.
    """

    tokens: Int[Tensor, "batch time"]
    targets: Int[Tensor, "batch time"]
    documents: Int[Tensor, "batch time"] | None = None
    positions: Int[Tensor, "batch time"] | None = None

    @property
    def num_tokens(self) -> int:
        """How many targets are counted."""
        return int((self.targets != IGNORED).sum())

    @property
    def restrictions(self) -> dict[str, Tensor]:
        """`documents` and `positions` as a model takes them; nothing where there are none."""
        named = {"documents": self.documents, "positions": self.positions}
        return {name: value for name, value in named.items() if value is not None}

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        restrictions = {name: value.to(device) for name, value in self.restrictions.items()}
        return Batch(self.tokens.to(device), self.targets.to(device), **restrictions)

    def split(self, num_pieces: int) -> list["Batch"]:
        """Its rows in so many batches, as equal in size as they can be; ValueError for too few."""
        if not 1 <= num_pieces <= len(self.tokens):
            raise ValueError(
                f"num_pieces = {num_pieces} must be from 1 to the batch's {len(self.tokens)} rows"
            )
        whole = {"tokens": self.tokens, "targets": self.targets, **self.restrictions}
        cut = {name: value.tensor_split(num_pieces) for name, value in whole.items()}
        return [
            Batch(**dict(zip(cut, piece, strict=True))) for piece in zip(*cut.values(), strict=True)
        ]


def seeded_generator(seed: int, *counters: int) -> torch.Generator:
    """A generator for (seed, counters): neighbouring numbers give unrelated draws.

    `manual_seed(seed + step)` would draw in step 1 of seed 0 what step 0 of seed 1 draws.
    """
    return torch.Generator().manual_seed(mixed_seed(seed, *counters))


def mixed_seed(seed: int, *counters: int) -> int:
    """One 32-bit seed from a seed and counters: (0, 1) and (1, 0) have nothing in common."""
    return int(numpy.random.SeedSequence([seed, *counters]).generate_state(1)[0])


def sample_batch(
    tokens: Integer[Tensor, "stream"],
    batch_size: int,
    *,
    context_length: int,
    generator: torch.Generator,
) -> tuple[Int[Tensor, "batch_size context_length"], Int[Tensor, "batch_size context_length"]]:
    """Random windows of a stream: (inputs, targets), targets[i, t] follows inputs[i, t] in it.

    Each of the len(tokens) - context_length windows that have a next token for every place is
    equally likely, the last one too. ValueError where the stream holds none. Chapter 07.
    """
    _check_sizes(tokens, batch_size, context_length)
    starts = torch.randint(len(tokens) - context_length, (batch_size,), generator=generator)
    return _windows(tokens, starts, context_length)


def epoch_batches(
    tokens: Integer[Tensor, "stream"],
    batch_size: int,
    *,
    context_length: int,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Every token but the first as a target exactly once; in order, or shuffled by `generator`.

    The last window ends where the stream ends: what it repeats is `IGNORED`. The last batch may be
    smaller. ValueError, with the first batch, where the stream is too short. Chapter 07.
    """
    _check_sizes(tokens, batch_size, context_length)
    num_windows = _num_windows(tokens, context_length)
    order = torch.arange(num_windows)
    if generator is not None:
        order = torch.randperm(num_windows, generator=generator)
    for indices in order.split(batch_size):
        yield _epoch_windows(tokens, indices, context_length)


@dataclass(frozen=True)
class RandomBatches:
    """Step n -> `sample_batch` drawn from (seed, n): the same step always gives the same batch."""

    tokens: Integer[Tensor, "stream"]
    batch_size: int
    context_length: int
    seed: int = 0

    def __post_init__(self) -> None:
        _check_sizes(self.tokens, self.batch_size, self.context_length)

    def __call__(self, step: int) -> Batch:
        generator = seeded_generator(self.seed, step)
        length = self.context_length
        return Batch(
            *sample_batch(self.tokens, self.batch_size, context_length=length, generator=generator)
        )


@dataclass(frozen=True)
class ShuffledBatches:
    """Step n -> the n-th batch of shuffled epochs: no window twice before all were seen once.

    Each epoch has its own order, drawn from (seed, epoch); a batch may end one and begin the next,
    so every batch is full.
    """

    tokens: Integer[Tensor, "stream"]
    batch_size: int
    context_length: int
    seed: int = 0

    def __post_init__(self) -> None:
        _check_sizes(self.tokens, self.batch_size, self.context_length)

    @property
    def num_windows(self) -> int:
        """Windows in an epoch; an epoch is num_windows / batch_size steps."""
        return _num_windows(self.tokens, self.context_length)

    def __call__(self, step: int) -> Batch:
        count = self.num_windows
        drawn = range(step * self.batch_size, (step + 1) * self.batch_size)
        indices = [_epoch_order(count, self.seed, n // count)[n % count] for n in drawn]
        return _epoch_windows(self.tokens, torch.stack(indices), self.context_length)


def mark_documents(
    tokens: Int[Tensor, "batch time"], start_token: int
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
    """(documents, positions) of windows: a document begins at every `start_token`.

    Documents count from 1 in each row and positions from 0 in each document. What stands before a
    row's first `start_token` is the end of a document that began in another window: it is a
    document too.

    Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783, section 3.2. Chapter 07.
    """
    starts = tokens == start_token
    starts[:, 0] = True
    places = torch.arange(tokens.shape[1], device=tokens.device)
    latest_start = torch.where(starts, places, 0).cummax(dim=1).values
    return starts.cumsum(dim=1), places - latest_start


def pack_documents(
    documents: Sequence[Sequence[int]], context_length: int, *, padding_token: int = 0
) -> Batch:
    """All documents in as few rows as best-fit packing finds; none sees or predicts another.

    Longest first, each into the row with the least room that still holds it. A document of n tokens
    takes n - 1 places, each with its target; a longer one than a row is cut, and the piece after
    a cut begins with the token that the piece before predicts last. Padding is document 0 and
    its targets are `IGNORED`.

    Krell et al. 2021, https://arxiv.org/abs/2107.02027, section 3.1. Chapters 07 and 09.
    """
    if context_length < 1:
        raise ValueError(f"context_length = {context_length} must be at least 1")
    rows = _best_fit(_pieces(documents, context_length), context_length)
    if not rows:
        raise ValueError("there is nothing to predict: no document has two tokens or more")
    tokens = torch.full((len(rows), context_length), padding_token)
    targets = torch.full_like(tokens, IGNORED)
    owners = torch.full_like(tokens, PADDING)
    positions = torch.zeros_like(tokens)
    for row, pieces in enumerate(rows):
        start = 0
        for number, piece in enumerate(pieces, start=1):
            place = slice(start, start + len(piece) - 1)
            tokens[row, place] = torch.tensor(piece[:-1])
            targets[row, place] = torch.tensor(piece[1:])
            owners[row, place] = number
            positions[row, place] = torch.arange(len(piece) - 1)
            start = place.stop
    return Batch(tokens, targets, owners, positions)


def _pieces(documents: Sequence[Sequence[int]], context_length: int) -> list[list[int]]:
    """Documents as pieces of at most context_length + 1 tokens, overlapping by one token."""
    return [
        list(document[start : start + context_length + 1])
        for document in documents
        for start in range(0, len(document) - 1, context_length)
    ]


def _best_fit(pieces: list[list[int]], context_length: int) -> list[list[list[int]]]:
    """Rows of pieces; rows wait by the room they have left, so a search costs context_length."""
    rows: list[list[list[int]]] = []
    with_room: list[list[list[list[int]]]] = [[] for _ in range(context_length + 1)]
    for piece in sorted(pieces, key=len, reverse=True):
        needed = len(piece) - 1
        room = next((n for n in range(needed, context_length + 1) if with_room[n]), None)
        if room is None:
            room, row = context_length, []
            rows.append(row)
        else:
            row = with_room[room].pop()
        row.append(piece)
        with_room[room - needed].append(row)
    return rows


def _check_sizes(tokens: Tensor, batch_size: int, context_length: int) -> None:
    for name, value in (("batch_size", batch_size), ("context_length", context_length)):
        if value < 1:
            raise ValueError(f"{name} = {value} must be at least 1")
    if len(tokens) <= context_length:
        raise ValueError(
            f"context_length = {context_length} is too long for a stream of {len(tokens)} tokens: "
            "it must be shorter than the stream, whose last token is only a target"
        )


def _windows(tokens: Tensor, starts: Tensor, context_length: int) -> tuple[Tensor, Tensor]:
    places = starts[:, None] + torch.arange(context_length + 1)  # (batch, time + 1)
    windows = tokens[places.to(tokens.device)].long()
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def _num_windows(tokens: Tensor, context_length: int) -> int:
    return -(-(len(tokens) - 1) // context_length)


def _epoch_windows(tokens: Tensor, indices: Tensor, context_length: int) -> Batch:
    starts = indices * context_length
    last = len(tokens) - context_length - 1
    inputs, targets = _windows(tokens, starts.clamp(max=last), context_length)
    repeated = torch.arange(context_length) < (starts - last)[:, None]
    return Batch(inputs, targets.masked_fill(repeated.to(targets.device), IGNORED))


@functools.lru_cache(maxsize=4)
def _epoch_order(num_windows: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(num_windows, generator=seeded_generator(seed, epoch))
