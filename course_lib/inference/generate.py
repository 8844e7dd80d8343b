"""Continuing a text token by token: `generate` for whole answers, `stream` for one as it grows."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.inference.numpy_llama import NumpyLlama, can_read_in_numpy
from course_lib.inference.prompts import (
    PaddedPrompts,
    Prompts,
    Stop,
    ends_with,
    is_single,
    pad_left,
    read_prompts,
    read_stops,
)
from course_lib.inference.sampling import sample
from course_lib.model.cache import KeyValueCache
from course_lib.model.modes import device_of, evaluating, module_of
from course_lib.model.transformer import Transformer


def generate(
    model: Callable[..., Tensor],
    tokens: Prompts,
    *,
    max_new_tokens: int,
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
    stop: Stop | Sequence[Stop] = (),
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> list[int] | list[list[int]]:
    """The tokens that follow a prompt, without it; for a batch of prompts a list for each.

    Temperature 0 is greedy. A row ends after `max_new_tokens` or with one of `stop` (ids, sequences
    of ids), which is kept. Any `model(tokens) -> logits` will do; one that takes `cache` gets one,
    which saves time and changes no token, up to rounding. Prompts of unequal length share a batch
    if the model takes `documents`. Encoder-decoder: `functools.partial(model, memory=memory)`.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3. Chapters 05 and 18.
    """
    prompts, stops = read_prompts(tokens), read_stops(stop)
    answers: list[list[int]] = [[] for _ in prompts]
    running = set(range(len(prompts)))
    choice = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "generator": generator}
    with evaluating(model):
        for new_tokens in _steps(model, prompts, max_new_tokens, choice, use_cache):
            for row in sorted(running):
                answers[row].append(new_tokens[row])
                if ends_with(answers[row], stops):
                    running.remove(row)
            if not running:
                break
    return answers[0] if is_single(tokens) else answers


def stream(
    model: Callable[..., Tensor],
    tokens: Prompts,
    *,
    max_new_tokens: int,
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
    stop: Stop | Sequence[Stop] = (),
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Iterator[int]:
    """The same tokens as `generate`, each as soon as it is there: for one prompt. Chapter 05."""
    if not is_single(tokens):
        raise ValueError("stream() continues one prompt: give generate() a batch")
    prompts, stops = read_prompts(tokens), read_stops(stop)
    choice = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "generator": generator}
    return _until_stop(_steps(model, prompts, max_new_tokens, choice, use_cache), stops)


def _until_stop(steps: Iterator[list[int]], stops: list[list[int]]) -> Iterator[int]:
    answer = []
    for (token,) in steps:
        answer.append(token)
        yield token
        if ends_with(answer, stops):
            return


def _steps(
    model: Callable[..., Tensor],
    prompts: list[list[int]],
    max_new_tokens: int,
    choice: dict[str, Any],
    use_cache: bool,
) -> Iterator[list[int]]:
    """One new token for every row at a time, ended rows included, whose tokens are not used."""
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens = {max_new_tokens} must be 0 or more")
    padded = pad_left(prompts, room=max_new_tokens, device=device_of(model))
    ends = range(padded.num_columns, padded.num_columns + max_new_tokens)
    cache = _new_cache(model, padded) if use_cache and max_new_tokens else None
    decoder = None
    for end in ends:
        with evaluating(model):
            if decoder is None:
                logits = _last_logits(model, padded, end, cache)
            else:
                logits = torch.from_numpy(decoder(new_tokens[0]))[None]
            chosen = sample(logits, **choice)
        padded.tokens[:, end] = chosen
        new_tokens = chosen.tolist()
        yield new_tokens
        if decoder is None and cache is not None and len(prompts) == 1 and can_read_in_numpy(model):
            decoder = NumpyLlama(model, cache)


def _last_logits(
    model: Callable[..., Tensor], padded: PaddedPrompts, end: int, cache: KeyValueCache | None
) -> Float[Tensor, "rows vocab"]:
    """Logits for the token in column `end`, from those before it, as far as no cache knows them."""
    if padded.is_ragged and not (_takes(model, "documents") and _takes(model, "positions")):
        rows = [
            model(padded.tokens[row : row + 1, start:end])[:, -1]
            for row, start in enumerate(padded.starts)
        ]
        return torch.cat(rows)
    start = 0 if cache is None else cache.length
    arguments: dict[str, Any] = {} if cache is None else {"cache": cache}
    if padded.is_ragged:
        arguments["documents"] = padded.documents[:, :end]
        arguments["positions"] = padded.positions[:, start:end]
    return model(padded.tokens[:, start:end], **arguments)[:, -1]


def _new_cache(model: Callable[..., Tensor], padded: PaddedPrompts) -> KeyValueCache | None:
    """A cache with a place for every token; None for a model that takes none."""
    module = module_of(model)
    if module is None or not _takes(model, "cache"):
        return None
    rows, columns = padded.tokens.shape
    weight = next(module.parameters())
    return KeyValueCache(
        module.config, rows, capacity=columns, dtype=weight.dtype, device=weight.device
    )


def _takes(model: Callable[..., Tensor], name: str) -> bool:
    """Whether the model has the contract's argument of this name; one with **options may not."""
    module = module_of(model)
    if isinstance(module, Transformer):
        return True
    return name in inspect.signature(model if module is None else module.forward).parameters
