"""The transformer: decoder (GPT, LLaMA), encoder (BERT) or both (T5), by configuration.

In reading order: `Head` (vectors -> logits), `Transformer`, and what it refuses.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.model.attention import attention
from course_lib.model.blocks import Stack
from course_lib.model.cache import KeyValueCache
from course_lib.model.config import TransformerConfig
from course_lib.model.feedforward import ACTIVATIONS
from course_lib.model.multi_head import AttentionFunction
from course_lib.model.norms import make_norm

INITIAL_STD = 0.02


class Head(nn.Module):
    """Vectors -> logits: times the (tied) embedding; BERT's has a layer and a bias besides."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.scale = config.logit_scale
        self.weight = self.bias = self.dense = self.norm = None
        if not config.tied_embeddings:
            self.weight = nn.Parameter(torch.empty(config.vocab_size, config.model_dim))
        if config.head == "masked":
            self.dense = nn.Linear(config.model_dim, config.model_dim)
            self.activation = ACTIVATIONS[config.activation]
            self.norm = make_norm(config)
            self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], embedding: Float[Tensor, "vocab dim"]
    ) -> Float[Tensor, "batch time vocab"]:
        """A score for each token of the vocabulary."""
        if self.dense is not None:
            hidden = self.norm(self.activation(self.dense(hidden)))
        weight = embedding if self.weight is None else self.weight
        return F.linear(hidden * self.scale if self.scale != 1 else hidden, weight, self.bias)


class Transformer(nn.Module):
    """tokens -> logits, (batch, time) -> (batch, time, vocab_size).

    A decoder predicts the next token at each place, an encoder the masked ones; with both, the
    decoder reads `memory = model.encode(source)`. Weights are drawn from `seed` alone. `attention`
    is any function of the course's signature, kernels.flash_attention.flash_attention too.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, figure 1. Chapter 05.
    """

    def __init__(
        self,
        config: TransformerConfig,
        *,
        attention: AttentionFunction = attention,
        seed: int = 0,
    ):
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.embedding = nn.Embedding(config.vocab_size, config.model_dim)
            self.encoder = self.decoder = None
            if config.kind != "decoder":
                of_encoder = config.replace(kind="encoder", num_layers=config.num_encoder_layers)
                self.encoder = Stack(of_encoder, attention=attention)
            if config.kind != "encoder":
                self.decoder = Stack(config, attention=attention)
            self.head = Head(config)
            self._draw_weights()

    def forward(
        self, tokens: Int[Tensor, "batch time"], **given: Tensor | KeyValueCache | None
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits; `given` are the arguments of `hidden`."""
        return self.head(self.hidden(tokens, **given), self.embedding.weight)

    def hidden(
        self,
        tokens: Int[Tensor, "batch time"],
        *,
        positions: Int[Tensor, "*#batch time"] | None = None,
        documents: Int[Tensor, "batch keys"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
        cache: KeyValueCache | None = None,
        memory: Float[Tensor, "batch source dim"] | None = None,
        memory_lengths: Int[Tensor, "batch"] | None = None,
    ) -> Float[Tensor, "batch time dim"]:
        """The vectors before the head: an encoder's are contextual word vectors.

        `positions` are 0, 1, ... after the cached tokens unless given. `lengths` hides padding at
        the end; `documents` (ids of all keys, cached ones too) keeps packed documents apart, and
        hides padding at the beginning if it has an id of its own. A cache is extended in place.
        """
        stack = self.encoder if self.decoder is None else self.decoder
        if (memory is None) == (self.config.kind == "encoder_decoder"):
            raise ValueError(
                f"a model of kind={self.config.kind!r} "
                + ("needs memory=model.encode(source)" if memory is None else "reads no memory")
            )
        if cache is not None and not self.config.is_causal:
            raise ValueError("an encoder has no cache: every token sees the later ones too")
        check_inputs(tokens, positions, documents, lengths, cache)
        given = {"documents": documents, "lengths": lengths}
        if memory is not None:
            given |= {"memory": memory, "memory_lengths": memory_lengths}
        return stack(*self._embed(tokens, positions, cache), cache=cache, **given)

    def encode(
        self,
        source: Int[Tensor, "batch time"],
        *,
        positions: Int[Tensor, "*#batch time"] | None = None,
        documents: Int[Tensor, "batch time"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> Float[Tensor, "batch time dim"]:
        """The encoder's vectors, `memory` for a decoder; ValueError if there is no encoder."""
        if self.encoder is None:
            raise ValueError(f"a model of kind={self.config.kind!r} has no encoder")
        check_inputs(source, positions, documents, lengths)
        embedded = self._embed(source, positions, None)
        return self.encoder(*embedded, documents=documents, lengths=lengths)

    def _embed(
        self, tokens: Tensor, positions: Tensor | None, cache: KeyValueCache | None
    ) -> tuple[Tensor, Tensor]:
        """The tokens' vectors, and the positions where none were given."""
        start = 0 if cache is None else cache.length
        if positions is None:
            positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        try:
            vectors = self.embedding(tokens)
            scale = self.config.embedding_scale
            return vectors if scale == 1 else vectors * scale, positions
        except IndexError:
            raise ValueError(
                f"tokens from {tokens.min()} to {tokens.max()} must be at least 0 and less than "
                f"vocab_size={self.config.vocab_size}"
            ) from None

    def _draw_weights(self) -> None:
        """Normal with a deviation of 0.02; smaller where a part adds to the residual stream."""
        for name, module in self.named_modules():
            if ".positions." in name or not isinstance(module, nn.Linear | nn.Embedding):
                continue
            adds = name.endswith((".output", ".down"))
            depth = 2 * self.config.num_layers if adds else 1
            nn.init.normal_(module.weight, std=INITIAL_STD * depth**-0.5)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        if self.head.weight is not None:
            nn.init.normal_(self.head.weight, std=INITIAL_STD)


def check_inputs(
    tokens: Tensor,
    positions: Tensor | None,
    documents: Tensor | None,
    lengths: Tensor | None,
    cache: KeyValueCache | None = None,
) -> None:
    """ValueError unless the shapes fit the tokens' (batch, time) and the cache's keys."""
    batch, time = tokens.shape
    keys = time + (0 if cache is None else cache.length)
    if cache is not None and cache.batch_size != batch:
        raise ValueError(f"a cache for batch_size={cache.batch_size} got tokens of {batch} rows")
    if positions is not None and positions.shape not in ((time,), (batch, time)):
        raise ValueError(
            f"positions of shape {tuple(positions.shape)} must have time={time} of batch={batch}"
        )
    if documents is not None and documents.shape != (batch, keys):
        raise ValueError(
            f"documents of shape {tuple(documents.shape)} must have batch={batch}, keys={keys}: "
            "an id for each cached and each new token"
        )
    if lengths is not None and lengths.shape != (batch,):
        raise ValueError(f"lengths of shape {tuple(lengths.shape)} must have batch={batch}")
