"""A model's device and its mode (dropout on or off), put back after use.

A model is whatever gives logits when called: a module, a plain function, or a `functools.partial`
of a module, such as a decoder with its `memory` given.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

Model = Callable[..., Any]


def module_of(model: Model) -> nn.Module | None:
    """The module that a model is or calls; None for a plain function."""
    while isinstance(model, functools.partial):
        model = model.func
    return model if isinstance(model, nn.Module) else None


def device_of(model: Model) -> torch.device:
    """The device of the model's first parameter; the CPU where it has none."""
    module = module_of(model)
    parameters = iter(()) if module is None else module.parameters()
    return next(parameters, torch.empty(0)).device


@contextlib.contextmanager
def in_mode(model: Model, *, training: bool) -> Iterator[None]:
    """Within the block dropout is on (training) or off; a plain function has no mode."""
    module = module_of(model)
    if module is None or module.training == training:
        yield
        return
    module.train(training)
    try:
        yield
    finally:
        module.train(not training)


@contextlib.contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Within the block: no dropout, no gradients."""
    with in_mode(model, training=False), torch.no_grad():
        yield
