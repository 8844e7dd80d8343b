"""The first neural language model: the last few tokens as vectors, and one hidden layer.

In reading order: `context_windows` (what the model sees at each position), `NeuralNGram`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class NeuralNGramConfig:
    """Sizes of a `NeuralNGram`."""

    vocab_size: int = 512
    context_length: int = 8
    embedding_dim: int = 32
    hidden_dim: int = 256

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")


def context_windows(
    tokens: Int[Tensor, "batch time"], context_length: int, *, fill: int
) -> Int[Tensor, "batch time {context_length}"]:
    """The last `context_length` tokens up to each position, oldest first; `fill` before the start.

    [[5, 6, 7]], 2, fill=0 -> [[[0, 5], [5, 6], [6, 7]]]. No window holds the token to predict.
    """
    return F.pad(tokens, (context_length - 1, 0), value=fill).unfold(1, context_length, 1)


class NeuralNGram(nn.Module):
    """b + U tanh(d + H x), with x the vectors of the last `context_length` tokens, side by side.

    Similar tokens get similar vectors, so what is learned of one serves the others; counting has to
    see each of them. The paper's optional direct connections from x are left out.

    Bengio et al. 2003, https://jmlr.org/papers/v3/bengio03a.html, eq. 1. Chapter 02.
    """

    def __init__(self, config: NeuralNGramConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        before_the_text = 1  # one more vector, for the places before the first token
        self.embedding = nn.Embedding(config.vocab_size + before_the_text, config.embedding_dim)
        self.hidden = nn.Linear(config.context_length * config.embedding_dim, config.hidden_dim)
        self.output = nn.Linear(config.hidden_dim, config.vocab_size)
        for layer in (self.hidden, self.output):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.embedding.weight, generator=generator)

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
        """Logits of the token after each position."""
        windows = context_windows(tokens, self.config.context_length, fill=self.config.vocab_size)
        vectors = self.embedding(windows).flatten(start_dim=2)  # context and embedding in one
        return self.output(torch.tanh(self.hidden(vectors)))
