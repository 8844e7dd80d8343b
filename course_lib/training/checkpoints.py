"""Checkpoints: one file that is either the old state or the new one, whenever the power goes.

In reading order: `write_tree` and `read_tree`, which store any nesting of dictionaries, lists,
tensors and plain values as one safetensors file without pickle; `save_checkpoint` and
`load_checkpoint`, which put a model and its optimizer into it.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib.files import replacing

_TENSOR = "__tensor__"


def write_tree(path: str | Path, tree: Any) -> None:
    """Store nested dictionaries and lists of tensors, numbers, strings and None, atomically.

    The tensors go into the file's body and the rest, as JSON, into its header. Keys come back as
    strings and tuples as lists.
    """
    tensors: dict[str, Tensor] = {}
    outline = json.dumps(_take_tensors(tree, "", tensors))
    with replacing(path) as new:
        save_file(tensors, new, metadata={"outline": outline})


def read_tree(path: str | Path) -> Any:
    """What `write_tree` stored, tensors on the CPU; ValueError where the file is not one."""
    with _opened(path) as (outline, file):
        return _put_tensors(outline, file)


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    extra: Any = None,
) -> None:
    """Write weights, buffers, the optimizer's state and `extra` (plain values) as one file."""
    optimizer_state = None
    if optimizer is not None:
        state = optimizer.state_dict()
        by_name = {str(number): of for number, of in state["state"].items()}
        optimizer_state = {"state": by_name, "param_groups": state["param_groups"]}
    tree = {"model": _weights(model), "optimizer": optimizer_state, "extra": extra}
    write_tree(path, tree)


def load_checkpoint(
    path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> Any:
    """Put a checkpoint's weights (and optimizer state) into `model`; returns its `extra`.

    Names and shapes are compared first: ValueError says what differs and changes nothing. Weights
    are copied into the parameters that are there, so ties and the optimizer's references stay.
    """
    tree = read_tree(path)
    if not (isinstance(tree, dict) and tree.keys() == {"model", "optimizer", "extra"}):
        raise ValueError(f"{path} holds no checkpoint of a model")
    stored, weights, state = tree["model"], _weights(model), tree["optimizer"]
    _check_same_shapes(path, stored, weights)
    if optimizer is not None:
        if state is None:
            raise ValueError(f"{path} holds weights only: training cannot go on from it")
        _load_optimizer(path, state, optimizer)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(stored[name])
    return tree["extra"]


def read_extra(path: str | Path) -> Any:
    """The `extra` of a checkpoint, plain values, without reading its tensors."""
    with _opened(path) as (outline, _):
        return outline["extra"]


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, Any]]:
    """The file's outline and the open file; whatever is wrong with it as one ValueError."""
    if not Path(path).exists():
        raise ValueError(f"{path} does not exist: there is no checkpoint to load")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield json.loads((file.metadata() or {})["outline"]), file
    except (SafetensorError, KeyError, OSError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is no checkpoint of this course ({error}): move it away, or give another path"
        ) from None


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, those that are tied only once."""
    weights: dict[str, Tensor] = {}
    seen = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            weights[name] = value
            seen.add(id(value))
    return weights


def _check_same_shapes(path: str | Path, stored: dict, weights: dict[str, Tensor]) -> None:
    for name in sorted(stored.keys() | weights.keys()):
        here, there = (
            list(each[name].shape) if name in each else "missing" for each in (weights, stored)
        )
        if here != there:
            raise ValueError(
                f"{path} is of another model: {name} is {there} in the checkpoint and {here} in "
                "this model; build the model as it was, or give another path"
            )


def _load_optimizer(path: str | Path, state: dict, optimizer: torch.optim.Optimizer) -> None:
    by_number = {int(number): of for number, of in state["state"].items()}
    try:
        optimizer.load_state_dict({"state": by_number, "param_groups": state["param_groups"]})
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is of another optimizer: {error}") from None


def _take_tensors(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The tree with each tensor replaced by its name; the tensors are collected."""
    if isinstance(tree, Tensor):
        tensors[name] = tree.detach().contiguous()
        return {_TENSOR: name}
    if isinstance(tree, dict):
        return {key: _take_tensors(of, f"{name}/{key}", tensors) for key, of in tree.items()}
    if isinstance(tree, list | tuple):
        return [_take_tensors(of, f"{name}/{n}", tensors) for n, of in enumerate(tree)]
    return tree


def _put_tensors(outline: Any, file: Any) -> Any:
    """The inverse of `_take_tensors`."""
    if isinstance(outline, dict):
        if outline.keys() == {_TENSOR}:
            return file.get_tensor(outline[_TENSOR]).clone()
        return {key: _put_tensors(of, file) for key, of in outline.items()}
    if isinstance(outline, list):
        return [_put_tensors(of, file) for of in outline]
    return outline
