"""`fused_attention`: PyTorch's fused kernel behind the course's signature.

Same results as `attention`, up to rounding, without keeping the weights of every pair: 3-4 times
faster in training on a CPU, in fp32. `Transformer(config, attention=fused_attention)`.

In reading order: `fused_attention`; its mask; `_attend`, the kernel or what is faster than it;
`_Documents`, packed documents taken out of their rows, so that no pair of two documents is ever
computed.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib.model.attention import causal_mask, group_size, visible_keys

FEW_KEYS = 512  # up to which matrix products are faster than the kernel, in bf16 on a processor


def fused_attention(
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
    """`attention` by F.scaled_dot_product_attention, which chooses the kernel of the device.

    Its `is_causal` starts in the top left corner, ours ends in the bottom right one: it is used
    where both are the same, else an explicit mask. On a processor short documents in a row are
    computed each by itself; on an H100 that made training a fifth slower. A gradient of a gradient
    is refused by PyTorch.

    Dao et al. 2022, https://arxiv.org/abs/2205.14135, algorithm 1. Chapters 05 and 15.
    """
    num_queries, num_keys = query.shape[2], key.shape[2]
    is_causal = is_causal and num_queries > 1  # the newest token alone sees every key
    restricted = any(each is not None for each in (mask, bias, window, lengths))
    is_square = num_queries == num_keys
    if documents is not None and is_causal and is_square and not (restricted or query.is_cuda):
        packed = _Documents.of(documents)
        if packed is not None:
            apart = (packed.take_out(each) for each in (query, key, value))
            return packed.put_back(fused_attention(*apart, is_causal=True, scale=scale))
    if documents is None and not restricted and (not is_causal or is_square):
        return _attend(query, key, value, None, is_causal, scale)
    visible = visible_keys(query, key, mask, is_causal, window, lengths, documents)
    added, blind = _as_added_scores(visible, bias)
    return _attend(query, key, value, added, False, scale).masked_fill(blind, 0.0)


def _as_added_scores(
    visible: Bool[Tensor, "... queries keys"] | None, bias: Float[Tensor, "... queries keys"] | None
) -> tuple[Tensor, Bool[Tensor, "... queries 1"]]:
    """What PyTorch takes as mask, and the rows that see nothing.

    Those see everything instead, until the result is known: what a kernel makes of a row without
    any key is its own affair, and nan times a gradient of 0 is nan.
    """
    if bias is not None:
        hidden = bias == -math.inf
        visible = ~hidden if visible is None else visible & ~hidden
    blind = ~visible.any(dim=-1, keepdim=True)
    visible = visible | blind
    if bias is None:
        return visible, blind
    return torch.where(visible, bias.masked_fill(hidden, 0.0), -math.inf), blind


def _attend(
    query: Float[Tensor, "batch heads queries dim"],
    key: Float[Tensor, "batch kv_heads keys dim"],
    value: Float[Tensor, "batch kv_heads keys value_dim"],
    added: Tensor | None,
    is_causal: bool,
    scale: float | None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """PyTorch's kernel; in bf16 on a processor, for few keys, its products one by one.

    The kernel and its backward take three times as long there for 128 keys, twice for 256.
    """
    groups, num_keys = group_size(query, key), key.shape[2]
    if query.device.type != "cpu" or query.dtype is not torch.bfloat16 or num_keys > FEW_KEYS:
        options = {"attn_mask": added, "is_causal": is_causal, "enable_gqa": groups > 1}
        return F.scaled_dot_product_attention(query, key, value, scale=scale, **options)
    if groups > 1:
        key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    scores = query * (query.shape[-1] ** -0.5 if scale is None else scale) @ key.transpose(-2, -1)
    added = causal_mask(num_keys, num_keys) if is_causal else added
    if added is not None and added.dtype is torch.bool:
        added = torch.zeros_like(added, dtype=scores.dtype).masked_fill(~added, -math.inf)
    scores = scores if added is None else scores + added  # in fp32 where the bias is
    return scores.softmax(dim=-1).to(value.dtype) @ value


@dataclass(frozen=True)
class _Documents:
    """Where packed documents stand: one a row, the shorter ones filled up behind.

    A causal query sees nothing behind it, so the filling needs no mask. It repeats the document's
    own last token, so that a nan stays within its document.
    """

    places: Int[Tensor, "documents longest"]
    """In the flattened rows."""
    found_at: Int[Tensor, "batch time"]
    """Where each token is in the flattened `places`."""

    @classmethod
    def of(cls, documents: Int[Tensor, "batch time"]) -> "_Documents | None":
        """None where that would save nothing, or a document lies in pieces."""
        batch, time = documents.shape
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
        in_order = documents.sort(dim=1).values
        if int(begins.sum()) != batch + int((in_order[:, 1:] != in_order[:, :-1]).sum()):
            return None
        starts = begins.flatten().nonzero()[:, 0]
        lengths = starts.diff(append=starts.new_tensor([batch * time]))
        longest = int(lengths.max()) if len(starts) else 0
        if len(starts) * longest**2 >= batch * time**2:
            return None
        offsets = torch.arange(longest, device=starts.device)
        places = starts[:, None] + torch.minimum(offsets, lengths[:, None] - 1)
        owners = begins.flatten().cumsum(dim=0) - 1
        tokens = torch.arange(batch * time, device=starts.device)
        found_at = owners * longest + tokens - starts[owners]
        return cls(places, found_at.view(batch, time))

    def take_out(
        self, x: Float[Tensor, "batch heads time dim"]
    ) -> Float[Tensor, "documents heads longest dim"]:
        """Each document in a row of its own."""
        return _rows_at(self.places, x)

    def put_back(
        self, x: Float[Tensor, "documents heads longest dim"]
    ) -> Float[Tensor, "batch heads time dim"]:
        """The inverse of `take_out`, without the filling."""
        return _rows_at(self.found_at, x)


def _rows_at(
    places: Int[Tensor, "rows columns"], x: Float[Tensor, "batch heads time dim"]
) -> Float[Tensor, "rows heads columns dim"]:
    """The tokens at these places, all heads of each."""
    tokens = x.transpose(1, 2).flatten(0, 1)  # (batch * time, heads, dim)
    return tokens[places].transpose(1, 2)
