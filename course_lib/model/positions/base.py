"""The protocol of the schemes: the places in a Transformer where positions can enter.

In reading order: `pairwise_distances`, from which every relative scheme starts, and `Positions`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Turns = tuple[Float[Tensor, "*#batch 1 time half"], Float[Tensor, "*#batch 1 time half"]]
"""Cosine and sine of each pair's angle at each position, the same for all heads."""


def pairwise_distances(
    query_positions: Int[Tensor, "*#batch queries"], key_positions: Int[Tensor, "*#batch keys"]
) -> Int[Tensor, "*#batch queries keys"]:
    """query position - key position: how far a key lies behind; negative ahead. Chapter 06."""
    return query_positions[..., :, None] - key_positions[..., None, :]


class Positions(nn.Module):
    """No positions at all (NoPE), and the protocol: a scheme overrides the places it uses.

    A model calls `embed` and `turns` once, and in every layer `rotate_query` and `rotate_key` (keys
    are cached rotated), `bias` on what these returned, and attention with `scale`. Positions are
    (time,) or (batch, time), any order, any start; with a cache a query's are the newest.
    A causal model without positions still knows how many tokens precede.

    Kazemnejad et al. 2023, https://arxiv.org/abs/2305.19466. Chapter 06.
    """

    per_layer: bool = False  # True: every layer has an instance of its own; False: all share one
    scale: float | None = None  # attention's `scale`; None is 1 / sqrt(head_dim)

    def embed(
        self, positions: Int[Tensor, "*batch time"]
    ) -> Float[Tensor, "*batch time model_dim"] | None:
        """What is added to the token embeddings, in fp32 unless learned; None is nothing."""
        return None

    def turns(self, positions: Int[Tensor, "*batch time"], dtype: torch.dtype) -> Turns | None:
        """What the rotations of all layers share, for vectors of this dtype; None is nothing."""
        return None

    def rotate_query(
        self,
        query: Float[Tensor, "batch heads time dim"],
        positions: Int[Tensor, "*batch time"],
        turns: Turns | None = None,
    ) -> Float[Tensor, "batch heads time dim"]:
        """The query with its position turned into it, same shape and dtype.

        `turns` are those of the positions, computed here unless given.
        """
        return query

    def rotate_key(
        self,
        key: Float[Tensor, "batch kv_heads time dim"],
        positions: Int[Tensor, "*batch time"],
        turns: Turns | None = None,
    ) -> Float[Tensor, "batch kv_heads time dim"]:
        """The key with its position turned into it, same shape and dtype."""
        return key

    def bias(
        self,
        query: Float[Tensor, "batch heads queries dim"],
        key: Float[Tensor, "batch kv_heads keys dim"],
        query_positions: Int[Tensor, "*#batch queries"],
        key_positions: Int[Tensor, "*#batch keys"],
    ) -> Float[Tensor, "... heads queries keys"] | None:
        """What is added to the scaled scores, in the query's dtype; None is nothing."""
        return None
