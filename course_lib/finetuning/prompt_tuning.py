"""Tuning a soft prompt while the model stays as it is.

In reading order: the two ways to hold a prompt, `PromptTuning` (the vectors themselves) and
`PTuning` (a small network that makes them); `tune_soft_prompt`.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.finetuning.soft_prompts import soft_prompt_logits
from course_lib.model.modes import in_mode
from course_lib.model.transformer import Transformer
from course_lib.text.batches import IGNORED, Batch
from course_lib.training import adamw, train, warmup_cosine


class PromptTuning(nn.Module):
    """The prompt is its own parameters: `length` vectors, free.

    They begin as the vectors given, such as those of an instruction's tokens: better than noise.

    Lester et al. 2021, https://arxiv.org/abs/2104.08691, section 2.1. Chapter 03.
    """

    def __init__(self, vectors: Float[Tensor, "length dim"]):
        super().__init__()
        self.vectors = nn.Parameter(vectors.detach().clone())

    def forward(self) -> Float[Tensor, "length dim"]:
        """The prompt."""
        return self.vectors


class PTuning(nn.Module):
    """MLP(LSTM(inputs)): the prompt's vectors are made by a network, which is what is tuned.

    The two-way LSTM ties the vectors to one another; once tuned only its output is kept. Liu et al.
    also put prompt vectors between the parts of a text, which is not done here.

    Liu et al. 2021, https://arxiv.org/abs/2103.10385, section 3.2. Chapter 03.
    """

    def __init__(
        self, vectors: Float[Tensor, "length dim"], *, hidden_dim: int = 64, seed: int = 0
    ):
        super().__init__()
        dim = vectors.shape[-1]
        self.inputs = nn.Parameter(vectors.detach().clone())
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.lstm = nn.LSTM(dim, hidden_dim, bidirectional=True, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(2 * hidden_dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self) -> Float[Tensor, "length dim"]:
        """The prompt."""
        states, _ = self.lstm(self.inputs[None])
        return self.mlp(states)[0]


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Within the block no parameter of the model is given a gradient, and dropout is off."""
    flags = [(each, each.requires_grad) for each in model.parameters()]
    model.requires_grad_(False)
    try:
        with in_mode(model, training=False):
            yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def tune_soft_prompt(
    model: Transformer,
    prompt: nn.Module,
    batches: Callable[[int], Batch],
    *,
    num_steps: int,
    learning_rate: float = 0.03,
) -> list[float]:
    """Minimise the loss of batches(step) behind prompt() over prompt's parameters; the losses.

    The model is read and never changed: gradients pass through its weights to the prompt and none
    is kept for them. It ends as it began, its parameters' `requires_grad` too.

    Lester et al. 2021, https://arxiv.org/abs/2104.08691, section 2. Chapter 03.
    """

    def loss(prompt: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        logits = soft_prompt_logits(model, prompt(), batch.tokens)
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED)

    with frozen(model):
        record = train(
            prompt,
            batches,
            num_steps=num_steps,
            optimizer=functools.partial(adamw, learning_rate=learning_rate, weight_decay=0.0),
            schedule=functools.partial(warmup_cosine, final=0.0),
            loss=loss,
        )
    return record.losses
