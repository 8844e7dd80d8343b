"""Attention: who may look at whom (masks), the weights, and the mixture of the values.

In reading order: `causal_mask` and the three other masks, `masked_softmax`,
`scaled_dot_product_attention`, and `attention`, the one signature that every implementation in the
course shares; then what implementations share, `visible_keys` and `group_size`.
"""

import functools
import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib.model.activations import softmax


def causal_mask(num_queries: int, num_keys: int) -> Bool[Tensor, "queries keys"]:
    """True where key k is not later than query i's position, p = i + num_keys - num_queries.

    The diagonal ends in the bottom right corner, so the last query sees every key: with a cache
    the queries are the newest tokens. PyTorch's `is_causal` starts it in the top left corner.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.3. Chapter 05.
    """
    return _distances(num_queries, num_keys) >= 0


def window_mask(num_queries: int, num_keys: int, window: int) -> Bool[Tensor, "queries keys"]:
    """True where |p - k| < window: the keys near the query's position, its own included.

    Together with `causal_mask` it leaves the last `window` keys up to p.

    Beltagy et al. 2020, https://arxiv.org/abs/2004.05150, section 3.1. Chapter 20.
    """
    return _distances(num_queries, num_keys).abs() < window


def length_mask(lengths: Int[Tensor, "batch"], num_keys: int) -> Bool[Tensor, "batch 1 1 keys"]:
    """True for the first `lengths[b]` keys: the rest of a sequence is padding. Chapter 05."""
    keys = torch.arange(num_keys, device=lengths.device)
    return (keys < lengths[:, None])[:, None, None, :]


def document_mask(
    documents: Int[Tensor, "batch keys"], num_queries: int
) -> Bool[Tensor, "batch 1 queries keys"]:
    """True where query and key are of one document: packed documents do not see each other.

    Query i has the document of the key at its position p; a query before the first key has none.

    Krell et al. 2021, https://arxiv.org/abs/2107.02027, section 3.2. Chapter 05.
    """
    positions = _positions(num_queries, documents.shape[1]).to(documents.device)
    of_queries = documents[:, positions.clamp(min=0)]
    same = (of_queries[:, :, None] == documents[:, None, :]) & (positions >= 0)[:, None]
    return same[:, None]


def masked_softmax(
    scores: Float[Tensor, "*batch queries keys"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """softmax over the keys where `mask` is True; the other weights are 0.

    A row that sees nothing gives zeros and zero gradients. Filling it with -inf would give
    -inf - (-inf) = nan, and one nan spoils every gradient; hence a finite filling, removed again.
    A score of -inf hides its key too.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.3. Chapter 05.
    """
    hidden = scores == -math.inf
    if mask is not None:
        hidden = hidden | ~mask
    if scores.shape[-1] == 0:  # no maximum to subtract
        return scores
    weights = softmax(scores.masked_fill(hidden, torch.finfo(scores.dtype).min), dim=-1)
    return weights.masked_fill(hidden, 0.0)


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch queries dim"],
    key: Float[Tensor, "*batch keys dim"],
    value: Float[Tensor, "*batch keys value_dim"],
    mask: Bool[Tensor, "*#batch #queries #keys"] | None = None,
) -> Float[Tensor, "*batch queries value_dim"]:
    """softmax(Q K^T / sqrt(dim)) V: each query's mixture of the values.

    Masked-out scores get zero weight; a row with no visible key gives zeros.
    Costs O(queries * keys) memory: see kernels.flash_attention.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1. Chapter 05.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return masked_softmax(scores, mask) @ value


def attention(
    query: Float[Tensor, "batch heads queries dim"],
    key: Float[Tensor, "batch kv_heads keys dim"],
    value: Float[Tensor, "batch kv_heads keys value_dim"],
    *,
    mask: Bool[Tensor, "... #queries #keys"] | None = None,
    bias: Float[Tensor, "... #queries #keys"] | None = None,
    is_causal: bool = False,
    window: int | None = None,
    lengths: Int[Tensor, "batch"] | None = None,
    documents: Int[Tensor, "batch keys"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """softmax(scale * Q K^T + bias) V over the keys that every given restriction lets through.

    Key and value may have fewer heads; each then serves heads / kv_heads consecutive query heads.
    Restrictions combine with "and"; `lengths` hides keys and moves no position. `scale` is
    1 / sqrt(dim) unless given. ValueError where the heads do not divide or window < 1.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1; grouped heads: Ainslie et al.
    2023, https://arxiv.org/abs/2305.13245. Chapter 05.
    """
    groups = group_size(query, key)
    visible = visible_keys(query, key, mask, is_causal, window, lengths, documents)
    if groups > 1:
        key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    return masked_softmax(scores, visible) @ value


def group_size(query: Float[Tensor, "_ heads _ _"], key: Float[Tensor, "_ kv_heads _ _"]) -> int:
    """How many query heads share a key head; ValueError where they do not divide."""
    num_heads, num_kv_heads = query.shape[1], key.shape[1]
    if num_kv_heads == 0 or num_heads % num_kv_heads:
        raise ValueError(
            f"num_heads={num_heads} of the query must be a multiple of the key's {num_kv_heads}"
        )
    return num_heads // num_kv_heads


def visible_keys(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    is_causal: bool,
    window: int | None,
    lengths: Tensor | None,
    documents: Tensor | None,
) -> Bool[Tensor, "..."] | None:
    """One mask for all the restrictions; None where nothing is hidden."""
    if window is not None and window < 1:
        raise ValueError(f"window={window} must be at least 1, which shows a query its own key")
    num_queries, num_keys = query.shape[2], key.shape[2]
    masks = [] if mask is None else [mask]
    if is_causal:
        masks.append(causal_mask(num_queries, num_keys))
    if window is not None:
        masks.append(window_mask(num_queries, num_keys, window))
    if lengths is not None:
        masks.append(length_mask(lengths, num_keys))
    if documents is not None:
        masks.append(document_mask(documents, num_queries))
    masks = [each.to(query.device) for each in masks]
    return functools.reduce(torch.logical_and, masks) if masks else None


def _positions(num_queries: int, num_keys: int) -> Int[Tensor, "queries"]:
    """p = i + keys - queries: the queries are the last tokens."""
    return torch.arange(num_queries) + (num_keys - num_queries)


def _distances(num_queries: int, num_keys: int) -> Int[Tensor, "queries keys"]:
    """p - k: how far a key lies behind the query's position; negative ahead of it."""
    return _positions(num_queries, num_keys)[:, None] - torch.arange(num_keys)
