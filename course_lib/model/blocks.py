"""Blocks on the residual stream, and stacks of them.

In reading order: `decoder_block` (what a block does), `Block` (its parts with parameters), `Stack`
(blocks one after the other, with positions).
"""

from collections.abc import Callable, Sequence
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.model.cache import KeyValueCache
from course_lib.model.config import TransformerConfig
from course_lib.model.feedforward import FeedForward
from course_lib.model.multi_head import AttentionFunction, MultiHeadAttention
from course_lib.model.norms import make_norm
from course_lib.model.positions import Positions, make_positions


def decoder_block(
    x: Float[Tensor, "batch time dim"],
    sublayers: Sequence[Callable[[Tensor], Tensor]],
    norms: Sequence[Callable[[Tensor], Tensor]],
    *,
    pre_norm: bool = True,
) -> Float[Tensor, "batch time dim"]:
    """x + f(norm(x)) for each part f in turn; post-norm: norm(x + f(x)).

    The parts are attention and feed-forward, with cross-attention between them in an
    encoder-decoder. Before the part, the norm leaves a path from the last layer to the first
    on which nothing is rescaled; after it, as first published, training needs warm-up.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.1; pre-norm: Xiong et al.
    2020, https://arxiv.org/abs/2002.04745, table 1. Chapter 05.
    """
    for part, norm in zip(sublayers, norms, strict=True):
        x = x + part(norm(x)) if pre_norm else norm(x + part(x))
    return x


class Block(nn.Module):
    """Self-attention, cross-attention if there is an encoder, feed-forward: with their norms."""

    def __init__(self, config: TransformerConfig, *, attention: AttentionFunction):
        super().__init__()
        self.pre_norm = config.pre_norm
        self.attention_norm = make_norm(config)
        self.attention = MultiHeadAttention(config, attention=attention)
        self.cross_norm = self.cross = None
        if config.kind == "encoder_decoder":
            self.cross_norm = make_norm(config)
            self.cross = MultiHeadAttention(config, attention=attention)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time dim"],
        memory: Float[Tensor, "batch source dim"] | None = None,
        *,
        memory_lengths: Int[Tensor, "batch"] | None = None,
        **self_attention: object,
    ) -> Float[Tensor, "batch time dim"]:
        """`self_attention` goes on to `MultiHeadAttention`."""
        parts = [(partial(self.attention, **self_attention), self.attention_norm)]
        if self.cross is not None:
            cross = partial(self.cross, memory=memory, lengths=memory_lengths)
            parts.append((cross, self.cross_norm))
        parts.append((self.feed_forward, self.feed_forward_norm))
        sublayers = [lambda x, part=part: self.dropout(part(x)) for part, _ in parts]
        return decoder_block(x, sublayers, [norm for _, norm in parts], pre_norm=self.pre_norm)


class Stack(nn.Module):
    """Positions, blocks one after the other, and after pre-norm blocks a last norm.

    `positions` holds one scheme for all layers, or, if the scheme is `per_layer`, one for each.
    """

    def __init__(self, config: TransformerConfig, *, attention: AttentionFunction):
        super().__init__()
        self.is_causal = config.is_causal
        scheme = make_positions(config, is_causal=config.is_causal)
        others = range(config.num_layers - 1 if scheme.per_layer else 0)
        self.positions = nn.ModuleList(
            [scheme, *(make_positions(config, is_causal=config.is_causal) for _ in others)]
        )
        self.embedding_norm = make_norm(config) if config.embedding_norm else None
        self.blocks = nn.ModuleList(
            Block(config, attention=attention) for _ in range(config.num_layers)
        )
        self.norm = make_norm(config) if config.pre_norm else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time dim"],
        positions: Int[Tensor, "*#batch time"],
        *,
        cache: KeyValueCache | None = None,
        **given: Tensor | None,
    ) -> Float[Tensor, "batch time dim"]:
        """Embedded tokens -> vectors; `given`: lengths, documents, memory, memory_lengths."""
        places = self.positions[0].embed(positions)  # may refuse: before the cache is changed
        turns = self.positions[0].turns(positions, x.dtype)
        keys_at = positions if cache is None else cache.reserve(positions)
        x = x if places is None else x + places
        x = self.dropout(x if self.embedding_norm is None else self.embedding_norm(x))
        for index, block in enumerate(self.blocks):
            x = block(
                x,
                scheme=self.scheme(index),
                turns=turns,
                query_positions=positions,
                key_positions=keys_at,
                cache=None if cache is None else cache.layer(index),
                is_causal=self.is_causal,
                **given,
            )
        return x if self.norm is None else self.norm(x)

    def scheme(self, index: int) -> Positions:
        """The position scheme of a layer."""
        return self.positions[index if len(self.positions) > 1 else 0]
