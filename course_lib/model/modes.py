"""A model's device and its mode (dropout on or off), put back after use."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


def device_of(model: object) -> torch.device:
    """The device of the model's first parameter; the CPU for what has none."""
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next(parameters, torch.empty(0)).device


@contextlib.contextmanager
def in_mode(model: object, *, training: bool) -> Iterator[None]:
    """Within the block dropout is on (training) or off; a plain function has no mode."""
    if not isinstance(model, nn.Module) or model.training == training:
        yield
        return
    model.train(training)
    try:
        yield
    finally:
        model.train(not training)


@contextlib.contextmanager
def evaluating(model: object) -> Iterator[None]:
    """Within the block: no dropout, no gradients."""
    with in_mode(model, training=False), torch.no_grad():
        yield
