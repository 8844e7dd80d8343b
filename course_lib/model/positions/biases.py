"""A number added to each score by the distance of its pair: ALiBi (fixed) and T5 (learned).

In reading order: `alibi_slopes`, `alibi_bias`, `AlibiPositions`; `t5_bucket`, `T5Positions`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.model.positions.base import Positions, pairwise_distances


def alibi_slopes(num_heads: int) -> Float[Tensor, "{num_heads}"]:
    """2^(-8/n), 2^(-16/n), ..., 2^-8 for n heads: the first looks near, the last far.

    For n that is no power of two: the slopes of the largest power of two p below n, then every
    second slope of 2p heads, from its first. Slopes are fixed, not trained.

    Press et al. 2022, https://arxiv.org/abs/2108.12409, section 3, and its released code for other
    n. Chapter 06.
    """
    if num_heads < 1:
        raise ValueError(f"num_heads={num_heads} must be at least 1")
    power = 2 ** math.floor(math.log2(num_heads))
    exponents = [8 * (head + 1) / power for head in range(power)]
    between = [8 * (head + 1) / (2 * power) for head in range(0, 2 * power, 2)]
    return 2.0 ** -torch.tensor(exponents + between[: num_heads - power])


def alibi_bias(
    num_heads: int, distances: Int[Tensor, "*batch queries keys"]
) -> Float[Tensor, "*batch {num_heads} queries keys"]:
    """-slope |distance|: each head's scores fall linearly with the distance of query and key.

    Added after the division by sqrt(dim): the slopes are made for scaled scores. In fp32.
    The paper is causal; for an encoder this takes the distance on both sides.

    Press et al. 2022, https://arxiv.org/abs/2108.12409, section 3. Chapter 06.
    """
    slopes = alibi_slopes(num_heads).to(distances.device)
    return -slopes[:, None, None] * distances[..., None, :, :].abs()


class AlibiPositions(Positions):
    """`alibi_bias` on every layer's scores: nothing to learn, and far keys fade by construction.

    Press et al. 2022, https://arxiv.org/abs/2108.12409, section 3. Chapter 06.
    """

    def __init__(self, num_heads: int):
        super().__init__()
        self.num_heads = num_heads

    def bias(
        self,
        query: Float[Tensor, "batch heads queries dim"],
        key: Float[Tensor, "batch kv_heads keys dim"],
        query_positions: Int[Tensor, "*#batch queries"],
        key_positions: Int[Tensor, "*#batch keys"],
    ) -> Float[Tensor, "... heads queries keys"]:
        return alibi_bias(self.num_heads, pairwise_distances(query_positions, key_positions)).to(
            query.dtype
        )


def t5_bucket(
    relative_positions: Int[Tensor, "..."],
    *,
    bidirectional: bool = True,
    num_buckets: int = 32,
    max_distance: int = 128,
) -> Int[Tensor, "..."]:
    """The bucket of key position - query position: near ones alone, far ones shared by a log scale.

    Half of the buckets are exact; the rest reach `max_distance`, beyond which all share the last.
    Bidirectional: the upper half of the buckets is for keys ahead; causal: those get bucket 0.
    The sign is the published one, against that of `pairwise_distances`; logarithms are in fp32.

    Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 2.1, and its code. Chapter 06.
    """
    per_side = num_buckets // 2 if bidirectional else num_buckets
    num_exact = per_side // 2
    if num_exact < 1 or max_distance <= num_exact:
        raise ValueError(
            f"num_buckets={num_buckets} must leave a bucket for distance 0, and "
            f"max_distance={max_distance} be more than its {num_exact} exact buckets"
        )
    behind = -relative_positions
    distance = behind.abs() if bidirectional else behind.clamp(min=0)
    log_steps = torch.log(distance.float().clamp(min=1) / num_exact)
    log_steps = log_steps / math.log(max_distance / num_exact) * (per_side - num_exact)
    far = (num_exact + log_steps.long()).clamp(max=per_side - 1)
    bucket = torch.where(distance < num_exact, distance.long(), far)
    return bucket + per_side * (behind < 0) if bidirectional else bucket


class T5Positions(Positions):
    """One learned number per head and `t5_bucket`, added to the scores and shared by all layers.

    T5 itself does not divide its scores by sqrt(dim): that is the model's affair.

    Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 2.1. Chapter 06.
    """

    def __init__(
        self,
        num_heads: int,
        *,
        bidirectional: bool,
        num_buckets: int = 32,
        max_distance: int = 128,
    ):
        super().__init__()
        self.bidirectional, self.max_distance = bidirectional, max_distance
        self.table = nn.Embedding(num_buckets, num_heads)
        nn.init.normal_(self.table.weight, std=0.02)

    def bias(
        self,
        query: Float[Tensor, "batch heads queries dim"],
        key: Float[Tensor, "batch kv_heads keys dim"],
        query_positions: Int[Tensor, "*#batch queries"],
        key_positions: Int[Tensor, "*#batch keys"],
    ) -> Float[Tensor, "... heads queries keys"]:
        buckets = t5_bucket(
            -pairwise_distances(query_positions, key_positions),
            bidirectional=self.bidirectional,
            num_buckets=self.table.num_embeddings,
            max_distance=self.max_distance,
        )
        return self.table(buckets).movedim(-1, -3).to(query.dtype)
