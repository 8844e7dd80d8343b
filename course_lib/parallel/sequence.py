"""One sequence over many ranks: who holds which positions, and attention round the ring.

In reading order: `contiguous_positions`, `zigzag_positions`, `zigzag_split` and `zigzag_join`;
`ring_attention` and the loop that it runs forward, `ring_forward`; then the loop backward.
"""

import math
from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from course_lib.model.blockwise import merge_softmax
from course_lib.parallel.collectives import ring_shift


def contiguous_positions(rank: int, world_size: int, block_length: int) -> Int[Tensor, "block"]:
    """The rank-th of `world_size` equal blocks of consecutive positions.

    Under a causal mask the last rank then has about twice the average work. Chapter 15.
    """
    return torch.arange(block_length) + rank * block_length


def zigzag_positions(rank: int, world_size: int, block_length: int) -> Int[Tensor, "block"]:
    """Of 2 `world_size` chunks, chunk `rank` and its mirror image, 2 world_size - 1 - rank.

    An early chunk sees little and its mirror image much, so that causal work is balanced.
    `block_length`, both chunks together, must be even.

    Grattafiori et al. 2024 (Llama 3), https://arxiv.org/abs/2407.21783, section 3.3.2. Chapter 15.
    """
    if block_length % 2:
        raise ValueError(f"block_length={block_length} must be even: zigzag has two chunks a rank")
    chunk = torch.arange(block_length // 2)
    mirrored = 2 * world_size - 1 - rank
    return torch.cat([chunk + each * len(chunk) for each in (rank, mirrored)])


def zigzag_split(
    sequence: Shaped[Tensor, "*batch time dim"], world_size: int
) -> list[Shaped[Tensor, "*batch block dim"]]:
    """What each rank holds of a whole sequence, rank 0 first; `zigzag_join` undoes it.

    ValueError unless 2 world_size divides its length. Chapter 15.
    """
    length = sequence.shape[-2]
    if length % (2 * world_size):
        raise ValueError(f"length={length} must be a multiple of 2 world_size = {2 * world_size}")
    return [
        sequence[..., zigzag_positions(rank, world_size, length // world_size), :]
        for rank in range(world_size)
    ]


def zigzag_join(
    blocks: list[Shaped[Tensor, "*batch block dim"]],
) -> Shaped[Tensor, "*batch time dim"]:
    """The whole sequence in its order, from what each rank holds, rank 0 first. Chapter 15."""
    length = blocks[0].shape[-2]
    positions = [zigzag_positions(rank, len(blocks), length) for rank in range(len(blocks))]
    return torch.cat(blocks, dim=-2)[..., torch.cat(positions).argsort(), :]


def ring_attention(
    query: Float[Tensor, "batch heads queries dim"],
    key: Float[Tensor, "batch kv_heads keys dim"],
    value: Float[Tensor, "batch kv_heads keys value_dim"],
    *,
    is_causal: bool = False,
    zigzag: bool = False,
    scale: float | None = None,
    group: ProcessGroup | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Exact attention of this rank's queries to the keys of all ranks, which go round the ring.

    All ranks of the group call it, with blocks of equal shapes; `zigzag` says that they were
    split so. A rank sends key and value together N-1 times, and never holds two blocks of scores.
    Backward sends them round again, and their gradients home. Causal needs queries = keys.

    Liu et al. 2023, https://arxiv.org/abs/2310.01889, algorithm 1. Chapter 15.
    """
    _validate(query, key, is_causal)
    grouped = query.unflatten(1, (key.shape[1], -1))  # batch kv_heads group queries dim
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    ring = _Ring(dist.get_rank(group), dist.get_world_size(group), group, is_causal, zigzag, scale)
    return _RingAttention.apply(grouped, key.unsqueeze(2), value.unsqueeze(2), ring).flatten(1, 2)


def _validate(query: Tensor, key: Tensor, is_causal: bool) -> None:
    (num_heads, queries), (num_kv_heads, keys) = query.shape[1:3], key.shape[1:3]
    if num_kv_heads == 0 or num_heads % num_kv_heads:
        raise ValueError(
            f"num_heads={num_heads} of the query must be a multiple of the key's {num_kv_heads}"
        )
    if queries == 0 or keys == 0:
        raise ValueError(f"a rank's block has queries={queries} and keys={keys}: none may be 0")
    if is_causal and queries != keys:
        raise ValueError(f"queries={queries} and keys={keys} of a block must be equal if causal")


class _Ring(NamedTuple):
    """A rank's place in the ring, and the mask."""

    rank: int
    world_size: int
    group: ProcessGroup | None
    is_causal: bool
    zigzag: bool
    scale: float

    def source(self, hop: int) -> int:
        """The rank whose keys are here after `hop` hops."""
        return (self.rank - hop) % self.world_size

    def scores(
        self, query: Tensor, key: Tensor, source: int
    ) -> tuple[Float[Tensor, "*batch rows columns"], slice, slice]:
        """Scores of the queries (rows) and keys (columns) that see or are seen, and which they are.

        A mask needs the positions in the whole sequence. They rise within a block, so the pairs
        that see each other fill a corner: queries before the first key and keys after the last
        query are not computed.
        """
        rows, columns = slice(0, query.shape[-2]), slice(0, key.shape[-2])
        if self.is_causal:
            layout = zigzag_positions if self.zigzag else contiguous_positions
            of_queries = layout(self.rank, self.world_size, query.shape[-2])
            of_keys = layout(source, self.world_size, key.shape[-2])
            rows = slice(int((of_queries < of_keys[0]).sum()), len(of_queries))
            columns = slice(0, int((of_keys <= of_queries[-1]).sum()))
        scores = query[..., rows, :] @ key[..., columns, :].transpose(-2, -1) * self.scale
        if self.is_causal:
            is_later = of_keys[columns] > of_queries[rows, None]
            scores = scores.masked_fill(is_later.to(scores.device), -math.inf)
        return scores, rows, columns

    def pass_on(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """One hop for two tensors in one message."""
        arrived = ring_shift(torch.cat([key, value], dim=-1), group=self.group)
        return arrived[..., : key.shape[-1]], arrived[..., key.shape[-1] :]


def ring_forward(
    query: Float[Tensor, "*batch queries dim"],
    key: Float[Tensor, "*#batch keys dim"],
    value: Float[Tensor, "*#batch keys value_dim"],
    ring: _Ring,
) -> tuple[Float[Tensor, "*batch queries value_dim"], Float[Tensor, "*batch queries"]]:
    """The output, and the log of the sum of e^score of each query, which backward needs."""
    maximum = query.new_full(query.shape[:-1], -math.inf)
    total = query.new_zeros(query.shape[:-1])
    output = query.new_zeros(*query.shape[:-1], value.shape[-1])
    for hop in range(ring.world_size):
        if hop > 0:
            key, value = ring.pass_on(key, value)
        scores, rows, columns = ring.scores(query, key, ring.source(hop))
        if scores.numel() == 0:  # a block of the future
            continue
        block_maximum = scores.amax(dim=-1)
        weights = (scores - block_maximum[..., None]).exp()
        maximum[..., rows], total[..., rows], output[..., rows, :] = merge_softmax(
            maximum[..., rows],
            total[..., rows],
            output[..., rows, :],
            block_maximum,
            weights.sum(dim=-1),
            weights @ value[..., columns, :],
        )
    return output / total[..., None], maximum + total.log()


def ring_backward(
    query: Float[Tensor, "*batch queries dim"],
    key: Float[Tensor, "*#batch keys dim"],
    value: Float[Tensor, "*#batch keys value_dim"],
    output: Float[Tensor, "*batch queries value_dim"],
    log_total: Float[Tensor, "*batch queries"],
    grad_output: Float[Tensor, "*batch queries value_dim"],
    ring: _Ring,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of query, key and value; the weights are computed anew, block by block.

    The gradients of a block travel one hop behind it, from rank to rank; what its own rank adds
    stays at home. So they arrive after N-1 hops, as key and value did.
    """
    grad_query = torch.zeros_like(query)
    at_home = travelling = torch.zeros_like(key), torch.zeros_like(value)
    correction = (grad_output * output).sum(dim=-1, keepdim=True)
    for hop in range(ring.world_size):
        if hop > 0:
            key, value = ring.pass_on(key, value)
        scores, rows, columns = ring.scores(query, key, ring.source(hop))
        weights = (scores - log_total[..., rows, None]).exp()
        grad = grad_output[..., rows, :]
        grad_weights = grad @ value[..., columns, :].transpose(-2, -1)
        grad_scores = weights * (grad_weights - correction[..., rows, :]) * ring.scale
        grad_query[..., rows, :] += grad_scores @ key[..., columns, :]
        here = torch.zeros_like(key), torch.zeros_like(value)
        here[0][..., columns, :] = _over_keys(grad_scores, query[..., rows, :])
        here[1][..., columns, :] = _over_keys(weights, grad)
        if hop == 0:
            at_home = here
        else:
            travelling = ring.pass_on(travelling[0] + here[0], travelling[1] + here[1])
    return grad_query, at_home[0] + travelling[0], at_home[1] + travelling[1]


def _over_keys(by_pair: Tensor, by_query: Tensor) -> Tensor:
    """What the queries, and the heads that share a key's head, add to each key."""
    return (by_pair.transpose(-2, -1) @ by_query).sum(dim=2, keepdim=True)


class _RingAttention(torch.autograd.Function):
    """`ring_forward` with `ring_backward` as its derivative."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, ring: _Ring) -> Tensor:
        output, log_total = ring_forward(query, key, value, ring)
        ctx.save_for_backward(query, key, value, output, log_total)
        ctx.ring = ring
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        return *ring_backward(*ctx.saved_tensors, grad_output, ctx.ring), None
