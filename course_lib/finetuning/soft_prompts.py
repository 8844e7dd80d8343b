"""Soft prompts: vectors that stand where the vectors of a prompt's tokens would.

In reading order: `logits_of_vectors`, a model behind its lookup; `soft_prompt_logits`; and
`PromptedModel`, which `generate` can write with.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.model.cache import KeyValueCache
from course_lib.model.transformer import Transformer


def logits_of_vectors(
    model: Transformer,
    vectors: Float[Tensor, "batch time dim"],
    *,
    positions: Int[Tensor, "*#batch time"] | None = None,
    documents: Int[Tensor, "batch keys"] | None = None,
    cache: KeyValueCache | None = None,
) -> Float[Tensor, "batch time vocab"]:
    """What a decoder makes of vectors: model(tokens) is that of `model.embedding(tokens)`.

    The other arguments are those of `Transformer.hidden`. Chapter 03.
    """
    if model.config.kind != "decoder":
        raise ValueError(f"the model's kind is {model.config.kind!r}: only a decoder goes on")
    if positions is None:
        start = 0 if cache is None else cache.length
        positions = torch.arange(start, start + vectors.shape[1], device=vectors.device)
    hidden = model.decoder(vectors, positions, documents=documents, cache=cache)
    return model.head(hidden, model.embedding.weight)


def soft_prompt_logits(
    model: Transformer, prompt: Float[Tensor, "length dim"], tokens: Int[Tensor, "batch time"]
) -> Float[Tensor, "batch time vocab"]:
    """Logits at the tokens, which the model reads behind the prompt's vectors.

    Every row gets the same prompt. The places of the prompt itself are left out: no token stands
    there, so none is predicted from it. Costs as much as a text longer by `length`.

    Lester et al. 2021, https://arxiv.org/abs/2104.08691, section 2. Chapter 03.
    """
    if prompt.shape[-1] != model.config.model_dim:
        raise ValueError(
            f"the prompt's vectors have {prompt.shape[-1]} numbers and the model's "
            f"{model.config.model_dim}: they must be equal"
        )
    before = prompt.expand(tokens.shape[0], -1, -1)  # (batch, length, dim)
    vectors = torch.cat([before, embed(model, tokens)], dim=1)
    return logits_of_vectors(model, vectors)[:, prompt.shape[0] :]


def embed(model: Transformer, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time dim"]:
    """The tokens' vectors as the first layer gets them."""
    return model.embedding(tokens) * model.config.embedding_scale


class PromptedModel(nn.Module):
    """A model with a soft prompt, as one more model(tokens) -> logits for `generate`.

    The prompt's vectors are tokens beyond the vocabulary: write `model.prompt_tokens` where the
    prompt belongs, before the text. They are read and never written. Chapter 03.
    """

    def __init__(self, model: Transformer, prompt: Float[Tensor, "length dim"]):
        super().__init__()
        self.model = model
        self.config = model.config
        self.register_buffer("prompt", prompt.detach().clone())

    @property
    def prompt_tokens(self) -> list[int]:
        """The ids of the prompt's vectors."""
        first = self.config.vocab_size
        return list(range(first, first + len(self.prompt)))

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        *,
        positions: Int[Tensor, "*#batch time"] | None = None,
        documents: Int[Tensor, "batch keys"] | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits over the model's own vocabulary."""
        size = self.config.vocab_size
        vectors = embed(self.model, tokens.clamp(max=size - 1))
        soft = self.prompt[(tokens - size).clamp(min=0)]
        vectors = torch.where((tokens >= size)[..., None], soft, vectors)
        return logits_of_vectors(
            self.model, vectors, positions=positions, documents=documents, cache=cache
        )
