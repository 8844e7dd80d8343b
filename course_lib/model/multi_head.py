"""Multi-head attention: several small attentions side by side, projected in and out.

In reading order: `split_heads` and `merge_heads`, `cross_attention` from plain tensors, and
`MultiHeadAttention`, the module of every model here, whose attention function is passed in.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.model.attention import attention
from course_lib.model.config import TransformerConfig

if TYPE_CHECKING:
    from course_lib.model.cache import LayerCache
    from course_lib.model.positions import Positions
    from course_lib.model.positions.base import Turns

AttentionFunction = Callable[..., Tensor]


def split_heads(
    x: Float[Tensor, "*batch time width"], num_heads: int
) -> Float[Tensor, "*batch heads time head_dim"]:
    """Cut each vector into `num_heads` pieces and make the heads a batch dimension.

    A view alone, (batch, heads, time, head_dim), would mix tokens: the heads lie side by side in
    each token's vector, so the two dimensions have to be transposed.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.2. Chapter 05.
    """
    if num_heads < 1 or x.shape[-1] % num_heads:
        raise ValueError(f"width={x.shape[-1]} must be divisible by num_heads={num_heads}")
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


def merge_heads(
    x: Float[Tensor, "*batch heads time head_dim"],
) -> Float[Tensor, "*batch time width"]:
    """The heads' vectors side by side again: the inverse of `split_heads`. Chapter 05."""
    return x.transpose(-3, -2).flatten(-2)


def cross_attention(
    x: Float[Tensor, "batch queries dim"],
    memory: Float[Tensor, "batch keys memory_dim"],
    query_weight: Float[Tensor, "width dim"],
    key_weight: Float[Tensor, "width memory_dim"],
    value_weight: Float[Tensor, "width memory_dim"],
    output_weight: Float[Tensor, "dim width"],
    *,
    num_heads: int,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, "batch queries dim"]:
    """Attention whose queries come from the decoder's x, keys and values from the encoder's memory.

    No causal mask: every position may look at the whole source, of which `lengths` hides the
    padding. Weights are (outputs, inputs), as nn.Linear has them.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.3. Chapter 05.
    """
    query = split_heads(x @ query_weight.T, num_heads)
    key, value = (split_heads(memory @ w.T, num_heads) for w in (key_weight, value_weight))
    return merge_heads(attention(query, key, value, lengths=lengths)) @ output_weight.T


class MultiHeadAttention(nn.Module):
    """Concat(head_1, ..., head_h) W_output, head_i = attention(x W_query, x W_key, x W_value).

    With num_kv_heads < num_heads several query heads share a key and a value. `attention` is any
    function of the course's one signature; it is given `bias` only by schemes that have one.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.2; grouped heads: Ainslie
    et al. 2023, https://arxiv.org/abs/2305.13245. Chapter 05.
    """

    def __init__(self, config: TransformerConfig, *, attention: AttentionFunction = attention):
        super().__init__()
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.scale = config.attention_scale
        self.attention = attention
        width, kv_width = (heads * config.head_dim for heads in (self.num_heads, self.num_kv_heads))
        self.query = nn.Linear(config.model_dim, width, bias=config.bias)
        self.key = nn.Linear(config.model_dim, kv_width, bias=config.bias)
        self.value = nn.Linear(config.model_dim, kv_width, bias=config.bias)
        self.output = nn.Linear(width, config.model_dim, bias=config.bias)

    def forward(
        self,
        x: Float[Tensor, "batch queries dim"],
        memory: Float[Tensor, "batch keys dim"] | None = None,
        *,
        scheme: "Positions | None" = None,
        turns: "Turns | None" = None,
        query_positions: Int[Tensor, "*#batch queries"] | None = None,
        key_positions: Int[Tensor, "*#batch all_keys"] | None = None,
        cache: "LayerCache | None" = None,
        **visible: bool | Tensor | None,
    ) -> Float[Tensor, "batch queries dim"]:
        """Self-attention, or with `memory` cross-attention.

        `scheme` places queries and keys; keys go into the cache already turned. `turns` are its own
        for these positions, where all layers share them. `visible` goes on to the attention
        function: is_causal, lengths, documents.
        """
        source = x if memory is None else memory
        query = split_heads(self.query(x), self.num_heads)
        key, value = (split_heads(p(source), self.num_kv_heads) for p in (self.key, self.value))
        if scheme is not None:
            query = scheme.rotate_query(query, query_positions, turns)
            key = scheme.rotate_key(key, query_positions, turns)
        if cache is not None:
            key, value = cache.append(key, value)
        scale = self.scale
        if scheme is not None:
            scale = scheme.scale if scale is None else scale
            bias = scheme.bias(query, key, query_positions, key_positions)
            visible |= {} if bias is None else {"bias": bias}
        mixture = self.attention(query, key, value, scale=scale, **visible)
        return self.output(merge_heads(mixture))
