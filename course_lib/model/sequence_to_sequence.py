"""Sequence to sequence: an encoder reads, a decoder writes, attention looks back at the source.

In reading order: `additive_attention` and `multiplicative_attention`, `SequenceToSequence` (the
model, with attention or without), `encode_decode` (its logits), `alignment`, and `translate`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.model.attention import masked_softmax
from course_lib.model.recurrent import RecurrentLayer, State

PADDING, START, END = 0, 1, 2
"""Token ids that every vocabulary here begins with."""


def additive_attention(
    query: Float[Tensor, "batch queries query_dim"],
    keys: Float[Tensor, "batch keys key_dim"],
    mask: Bool[Tensor, "batch keys"] | None = None,
    *,
    query_weight: Float[Tensor, "hidden query_dim"],
    key_weight: Float[Tensor, "hidden key_dim"],
    score_weight: Float[Tensor, "hidden"],
) -> tuple[Float[Tensor, "batch queries key_dim"], Float[Tensor, "batch queries keys"]]:
    """softmax_k(v · tanh(W q + U k)) and the keys' mixture: (context, weights).

    `mask` is True where a key is real; padding gets weight 0 and the rest sums to one, a row
    without a real key is zeros. Needs batch * queries * keys * hidden numbers at once.

    Bahdanau et al. 2014, https://arxiv.org/abs/1409.0473, section A.1.2. Chapter 04.
    """
    projected_query = F.linear(query, query_weight)[:, :, None]
    projected_keys = F.linear(keys, key_weight)[:, None]
    scores = (projected_query + projected_keys).tanh() @ score_weight
    weights = masked_softmax(scores, None if mask is None else mask[:, None])
    return weights @ keys, weights


def multiplicative_attention(
    query: Float[Tensor, "batch queries query_dim"],
    keys: Float[Tensor, "batch keys key_dim"],
    mask: Bool[Tensor, "batch keys"] | None = None,
    *,
    weight: Float[Tensor, "key_dim query_dim"] | None = None,
) -> tuple[Float[Tensor, "batch queries key_dim"], Float[Tensor, "batch queries keys"]]:
    """softmax_k(k · W q) and the keys' mixture: "general"; without `weight` "dot", k · q.

    One matrix product instead of a tanh for every pair. Not scaled: chapter 05 says why it should.

    Luong et al. 2015, https://arxiv.org/abs/1508.04025, section 3.1. Chapter 04.
    """
    projected_query = query if weight is None else F.linear(query, weight)
    scores = projected_query @ keys.transpose(1, 2)
    weights = masked_softmax(scores, None if mask is None else mask[:, None])
    return weights @ keys, weights


class Memory(NamedTuple):
    """What the encoder leaves to attend to: its output at each source token, and which are real."""

    keys: Float[Tensor, "batch source dim"]
    mask: Bool[Tensor, "batch source"]


class SequenceToSequence(nn.Module):
    """A recurrent encoder and decoder; the decoder starts from the encoder's last state.

    `attention` is None, "additive", "dot" or "general". As in Luong et al. 2015 the context is
    taken *after* the decoder's step, so that all steps of a known target attend at once; Bahdanau
    et al. feed it into the next step.

    Sutskever et al. 2014, https://arxiv.org/abs/1409.3215; Luong et al. 2015,
    https://arxiv.org/abs/1508.04025, eq. 5. Chapter 04.
    """

    ATTENTIONS = (None, "additive", "dot", "general")

    def __init__(
        self,
        source_vocab_size: int,
        target_vocab_size: int,
        *,
        dim: int = 64,
        kind: str = "gru",
        attention: str | None = None,
    ) -> None:
        super().__init__()
        if attention not in self.ATTENTIONS:
            allowed = ", ".join(map(str, self.ATTENTIONS))
            raise ValueError(f"attention={attention!r} must be one of {allowed}")
        self.attention = attention
        self.source_embedding = nn.Embedding(source_vocab_size, dim)
        self.target_embedding = nn.Embedding(target_vocab_size, dim)
        self.encoder = RecurrentLayer(dim, dim, kind=kind)
        self.decoder = RecurrentLayer(dim, dim, kind=kind)
        if attention in ("additive", "general"):
            self.query_projection = nn.Linear(dim, dim, bias=False)
        if attention == "additive":
            self.key_projection = nn.Linear(dim, dim, bias=False)
            self.score = nn.Linear(dim, 1, bias=False)
        if attention is not None:
            self.mixing = nn.Linear(2 * dim, dim)
        self.output = nn.Linear(dim, target_vocab_size)

    def encode(self, source: Int[Tensor, "batch source"]) -> tuple[State, Memory]:
        """Read the source: the last state, and the outputs that attention looks at."""
        mask = source != PADDING
        outputs, state = self.encoder(self.source_embedding(source), mask=mask)
        return state, Memory(outputs, mask)

    def decode(
        self, tokens: Int[Tensor, "batch time"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch time vocab"], State]:
        """Logits of the token that follows each of `tokens`, and the state after them."""
        outputs, state = self.decoder(self.target_embedding(tokens), state)
        if self.attention is not None:
            context, _ = self.attend(outputs, memory)
            outputs = self.mixing(torch.cat([context, outputs], dim=-1)).tanh()
        return self.output(outputs), state

    def attend(
        self, queries: Float[Tensor, "batch time dim"], memory: Memory
    ) -> tuple[Float[Tensor, "batch time dim"], Float[Tensor, "batch time source"]]:
        """Context and weights of each of the decoder's outputs."""
        if self.attention == "additive":
            return additive_attention(
                queries,
                *memory,
                query_weight=self.query_projection.weight,
                key_weight=self.key_projection.weight,
                score_weight=self.score.weight[0],
            )
        weight = self.query_projection.weight if self.attention == "general" else None
        return multiplicative_attention(queries, *memory, weight=weight)


def encode_decode(
    model: nn.Module,
    source: Int[Tensor, "batch source"],
    target: Int[Tensor, "batch target"],
    *,
    teacher_forcing: bool = True,
) -> Float[Tensor, "batch target-1 vocab"]:
    """Logits for target[:, 1:]: row t has seen the source and the tokens before place t + 1.

    `model` encodes and decodes as SequenceToSequence does. With teacher forcing it is fed the true
    target[:, :-1], all at once. Without, only target[:, :1] and the target's length are used: each
    step is fed the token of the largest logit.

    Sutskever et al. 2014, https://arxiv.org/abs/1409.3215, eq. 1; teacher forcing: Williams and
    Zipser 1989, "A learning algorithm for continually running fully recurrent neural networks".
    Chapter 04.
    """
    state, memory = model.encode(source)
    if teacher_forcing:
        return model.decode(target[:, :-1], state, memory)[0]
    tokens, steps = target[:, :1], []
    for _ in range(target.shape[1] - 1):
        logits, state = model.decode(tokens, state, memory)
        tokens = logits.argmax(dim=-1)
        steps.append(logits)
    return torch.cat(steps, dim=1)


@torch.no_grad()
def alignment(
    model: SequenceToSequence,
    source: Int[Tensor, "batch source"],
    target: Int[Tensor, "batch target"],
) -> Float[Tensor, "batch target-1 source"]:
    """The attention weights of each target token after the first, over the source. Chapter 04.

    ValueError if the model has no attention.
    """
    if model.attention is None:
        raise ValueError("attention=None: this model has no weights to show")
    state, memory = model.encode(source)
    outputs, _ = model.decoder(model.target_embedding(target[:, :-1]), state)
    return model.attend(outputs, memory)[1]


@torch.no_grad()
def translate(
    model: SequenceToSequence, source: Int[Tensor, "batch source"], *, max_tokens: int
) -> list[Sequence[int]]:
    """Greedy translation of each row, without START, up to the first END. Chapter 04."""
    target = torch.full((source.shape[0], max_tokens + 1), PADDING, device=source.device)
    target[:, 0] = START
    written = encode_decode(model, source, target, teacher_forcing=False).argmax(dim=-1).tolist()
    return [row[: row.index(END)] if END in row else row for row in written]
