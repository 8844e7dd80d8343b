"""Attention block by block: partial results of a softmax, and how two of them become one.

In reading order: `merge_softmax`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def merge_softmax(
    m1: Float[Tensor, "*batch queries"],
    l1: Float[Tensor, "*batch queries"],
    o1: Float[Tensor, "*batch queries dim"],
    m2: Float[Tensor, "*batch queries"],
    l2: Float[Tensor, "*batch queries"],
    o2: Float[Tensor, "*batch queries dim"],
) -> tuple[
    Float[Tensor, "*batch queries"],
    Float[Tensor, "*batch queries"],
    Float[Tensor, "*batch queries dim"],
]:
    """m = max(m1, m2), l = e^(m1-m) l1 + e^(m2-m) l2, and o like l: one softmax from two halves.

    Each half has seen other keys: m is its largest score, l the sum of e^(score - m), and o, not
    yet divided by l, that of e^(score - m) * value. Nothing seen is m = -inf, l = 0, o = 0.
    Associative and commutative, so blocks may come in any order.

    Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867, eq. 4; with values: Dao et al.
    2022, https://arxiv.org/abs/2205.14135, section 3.1. Chapter 15.
    """
    m = torch.maximum(m1, m2)
    reference = m.masked_fill(m == -math.inf, 0.0)  # -inf - (-inf) would be nan
    factor1, factor2 = (m1 - reference).exp(), (m2 - reference).exp()
    o = factor1[..., None] * o1 + factor2[..., None] * o2
    return m, factor1 * l1 + factor2 * l2, o
