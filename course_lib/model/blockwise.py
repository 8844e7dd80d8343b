"""Attention block by block, against a counted fast memory: what a flash kernel does, in PyTorch.

In reading order: the three steps of an online softmax, `partial_softmax`, `merge_softmax` and
`finish_softmax`; with them `blockwise_attention`, and its gradients, `blockwise_backward`.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib.model.fast_memory import FastMemory, blocks_of

Partial = tuple[
    Float[Tensor, "*batch queries"],
    Float[Tensor, "*batch queries"],
    Float[Tensor, "*batch queries dim"],
]


def partial_softmax(
    scores: Float[Tensor, "*batch queries keys"], value: Float[Tensor, "*batch keys dim"]
) -> Partial:
    """m = max(scores), l = sum(e^(scores - m)), o = e^(scores - m) V: a softmax not yet divided.

    Hidden scores are -inf. A row that sees nothing is m = -inf, l = 0, o = 0. Chapter 15.
    """
    if scores.shape[-1] == 0:
        m = scores.new_full(scores.shape[:-1], -math.inf)
    else:
        m = scores.amax(dim=-1)
    reference = m.masked_fill(m == -math.inf, 0.0)  # -inf - (-inf) would be nan
    weights = (scores - reference[..., None]).exp()
    return m, weights.sum(dim=-1), weights @ value


def merge_softmax(
    m1: Float[Tensor, "*batch queries"],
    l1: Float[Tensor, "*batch queries"],
    o1: Float[Tensor, "*batch queries dim"],
    m2: Float[Tensor, "*batch queries"],
    l2: Float[Tensor, "*batch queries"],
    o2: Float[Tensor, "*batch queries dim"],
) -> Partial:
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


def finish_softmax(
    m: Float[Tensor, "*batch queries"],
    l: Float[Tensor, "*batch queries"],  # noqa: E741
    o: Float[Tensor, "*batch queries dim"],
) -> tuple[Float[Tensor, "*batch queries dim"], Float[Tensor, "*batch queries"]]:
    """(o / l, m + log l): the attention and its log-sum-exp, all that the backward pass needs.

    A row that saw nothing gives zeros, and +inf: e^(score - inf) = 0 hides it from the backward
    pass. Chapter 15.
    """
    is_blind = l == 0
    divisor = l.masked_fill(is_blind, 1.0)
    log_sum_exp = (m + divisor.log()).masked_fill(is_blind, math.inf)
    return o / divisor[..., None], log_sum_exp


def blockwise_attention(
    query: Float[Tensor, "queries dim"],
    key: Float[Tensor, "keys dim"],
    value: Float[Tensor, "keys dim"],
    memory: FastMemory,
    *,
    block_queries: int = 32,
    block_keys: int = 32,
    is_causal: bool = False,
) -> tuple[Float[Tensor, "queries dim"], Float[Tensor, "queries"]]:
    """softmax(Q K^T / sqrt(dim)) V and its log-sum-exp, block by block in a small fast memory.

    Each block of queries stays while all keys and values pass by: (queries / block_queries) times
    over the keys. Causal is bottom-right, and blocks in the future are not loaded.

    Dao 2023, https://arxiv.org/abs/2307.08691, algorithm 1. Chapter 15.
    """
    (num_queries, dim), num_keys = query.shape, len(key)
    output, log_sum_exp = memory.empty(num_queries, dim), memory.empty(num_queries)
    for rows in blocks_of(num_queries, block_queries):
        q = memory.load(query[rows]) / math.sqrt(dim)
        running = partial_softmax(q.new_zeros(len(q), 0), q.new_zeros(0, dim))
        for columns in blocks_of(num_keys, block_keys):
            visible = _visible(rows, columns, num_keys - num_queries, is_causal)
            if visible is not None and not visible.any():
                continue
            k, v = memory.load(key[columns]), memory.load(value[columns])
            scores = q @ k.T
            if visible is not None:
                scores = scores.masked_fill(~visible, -math.inf)
            running = merge_softmax(*running, *partial_softmax(scores, v))
        for result, to in zip(finish_softmax(*running), (output, log_sum_exp), strict=True):
            memory.store(result, to[rows])
    return output, log_sum_exp


def blockwise_backward(
    query: Float[Tensor, "queries dim"],
    key: Float[Tensor, "keys dim"],
    value: Float[Tensor, "keys dim"],
    output: Float[Tensor, "queries dim"],
    log_sum_exp: Float[Tensor, "queries"],
    grad_output: Float[Tensor, "queries dim"],
    memory: FastMemory,
    *,
    block_queries: int = 32,
    block_keys: int = 32,
    is_causal: bool = False,
) -> tuple[Float[Tensor, "queries dim"], Float[Tensor, "keys dim"], Float[Tensor, "keys dim"]]:
    """dV = P^T dO, and dQ = s dS K, dK = s dS^T Q with dS = P * (dO V^T - rowsum(dO * O)).

    s = 1 / sqrt(dim); P = e^(S - log_sum_exp) is recomputed from blocks that are loaded anyway.
    A block of keys stays while the queries pass by; dQ is added up in slow memory.

    Dao et al. 2022, https://arxiv.org/abs/2205.14135, algorithm 4. Chapter 15.
    """
    (num_queries, dim), num_keys = query.shape, len(key)
    scale, delta = 1 / math.sqrt(dim), memory.empty(num_queries)
    for rows in blocks_of(num_queries, block_queries):
        products = memory.load(output[rows]) * memory.load(grad_output[rows])
        memory.store(products.sum(dim=-1), delta[rows])
    grad_query = memory.zeros(num_queries, dim)
    grad_key, grad_value = memory.empty(num_keys, dim), memory.empty(num_keys, dim)
    for columns in blocks_of(num_keys, block_keys):
        k, v = memory.load(key[columns]), memory.load(value[columns])
        dk, dv = torch.zeros_like(k), torch.zeros_like(v)
        for rows in blocks_of(num_queries, block_queries):
            visible = _visible(rows, columns, num_keys - num_queries, is_causal)
            if visible is not None and not visible.any():
                continue
            q, do = memory.load(query[rows]), memory.load(grad_output[rows])
            weights = (q @ k.T * scale - memory.load(log_sum_exp[rows])[:, None]).exp()
            if visible is not None:
                weights = weights.masked_fill(~visible, 0.0)
            dv += weights.T @ do
            grad_scores = weights * (do @ v.T - memory.load(delta[rows])[:, None]) * scale
            dk += grad_scores.T @ q
            memory.store(memory.load(grad_query[rows]) + grad_scores @ k, grad_query[rows])
        memory.store(dk, grad_key[columns])
        memory.store(dv, grad_value[columns])
    return grad_query, grad_key, grad_value


def _visible(
    rows: slice, columns: slice, offset: int, is_causal: bool
) -> Bool[Tensor, "rows columns"] | None:
    """True where a query of the block may look at a key of the block; None where all may."""
    if not is_causal or columns.stop - 1 <= rows.start + offset:
        return None
    positions = torch.arange(rows.start, rows.stop) + offset
    return torch.arange(columns.start, columns.stop) <= positions[:, None]
