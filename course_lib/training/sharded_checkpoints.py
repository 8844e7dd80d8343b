"""Checkpoints written by all ranks at once, and read by any number of them.

In reading order: `save_sharded`, `newest_checkpoint`, `read_run` and `load_sharded`;
`export_model` and `load_export`, the whole model as one file. A checkpoint is a folder of
safetensors and JSON: nothing is pickled, and nothing that was pickled is read. (PyTorch's default
FileSystemReader would unpickle a file `.metadata`; its safetensors reader, used here, has none.)
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from course_lib.files import write_atomically
from course_lib.model.config import TransformerConfig
from course_lib.model.transformer import Transformer
from course_lib.text.tokenizers import Tokenizer, load_tokenizer
from course_lib.training.checkpoints import load_checkpoint, read_extra, save_checkpoint
from course_lib.training.streams import Position

RUN = "run.json"
MODEL = "model.safetensors"
NUM_KEPT = 2


def save_sharded(
    folder: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    run: dict[str, Any],
    positions: dict[int, Position],
) -> Path:
    """Write FOLDER/step-N: pieces of weights and optimizer, `run`, every rank's data positions.

    Every rank writes its own files into a hidden folder, which is renamed when all are on the disk:
    killed at any moment, the last whole checkpoint is there. The two newest are kept. All ranks
    must see the same folder.
    """
    import torch.distributed.checkpoint as dcp

    folder, rank = Path(folder), dist.get_rank()
    whole, part = folder / f"step-{step:08d}", folder / f".step-{step:08d}"
    if rank == 0:
        for left in folder.glob(".step-*"):
            shutil.rmtree(left)
        part.mkdir(parents=True)
        write_atomically(part / RUN, json.dumps(run))
    dist.barrier()
    write_atomically(part / f"positions-{rank:05d}.json", json.dumps(positions))
    writer = dcp.HuggingFaceStorageWriter(str(part), save_distributed=True)
    dcp.save(_tensors(model, optimizer)[0], storage_writer=writer)
    dist.barrier()
    if rank == 0:
        _sync(part)
        part.rename(whole)
        _sync(folder)
        for old in _checkpoints(folder)[:-NUM_KEPT]:
            shutil.rmtree(old)
    dist.barrier()
    return whole


def newest_checkpoint(folder: str | Path) -> Path | None:
    """The last whole checkpoint of a run's folder; None where there is none."""
    return next(reversed(_checkpoints(Path(folder))), None)


def read_run(checkpoint: Path) -> tuple[dict[str, Any], dict[int, Position]]:
    """(`run`, positions of all streams) of a checkpoint, whichever ranks wrote them."""
    try:
        run = json.loads((checkpoint / RUN).read_text(encoding="utf-8"))
        positions: dict[int, Position] = {}
        for file in sorted(checkpoint.glob("positions-*.json")):
            stored = json.loads(file.read_text(encoding="utf-8"))
            positions |= {int(number): position for number, position in stored.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(not_whole(checkpoint, error)) from None
    return run, positions


def load_sharded(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint into model and optimizer, each rank reading its pieces.

    The ranks may be more, fewer or differently sharded than those that wrote it. Names and shapes
    are compared first. The gradients must be None, as they are before the first update:
    PyTorch takes an optimizer whose parameters have gradients for one that has its state already.
    """
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import set_state_dict

    optimizer.zero_grad()
    tensors, optimizer_state = _tensors(model, optimizer)
    try:
        dcp.load(tensors, storage_reader=dcp.HuggingFaceStorageReader(str(checkpoint)))
    except dcp.api.CheckpointException as error:
        reason = next(iter(error.failures.values()))[0]
        raise ValueError(not_whole(checkpoint, reason)) from None
    set_state_dict(
        model,
        optimizer,
        model_state_dict=tensors["model"],
        optim_state_dict=optimizer_state | {"state": tensors["optimizer"]},
    )


def export_model(
    folder: str | Path, model: nn.Module, config: TransformerConfig, tokenizer: Tokenizer
) -> Path:
    """Gather the weights on the first rank, which writes FOLDER/model.safetensors and tokenizer.

    `load_export` opens them in one process; the file is one of `save_checkpoint`.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    path = Path(folder) / MODEL
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(model, options=options)
    if dist.get_rank() == 0:
        with torch.device("meta"):
            whole = Transformer(config)
        whole.load_state_dict(weights, assign=True)
        save_checkpoint(path, whole, extra={"config": dataclasses.asdict(config)})
        tokenizer.save(path.parent)
    dist.barrier()
    return path


def load_export(folder: str | Path) -> tuple[Transformer, Tokenizer]:
    """(model, tokenizer) that `export_model` wrote, in evaluation mode.

    `course_lib.hub.save_pretrained(*load_export(FOLDER), NEW_FOLDER)` makes a LLaMA folder of them.
    """
    path = Path(folder) / MODEL
    extra = read_extra(path)
    try:
        config = TransformerConfig(**extra["config"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no exported model ({error!r}): give a run's folder") from None
    model = Transformer(config)
    load_checkpoint(path, model)
    return model.eval(), load_tokenizer(folder)


def _tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that is stored, by name, in this rank's pieces; and the optimizer's whole state."""
    from torch.distributed.checkpoint.state_dict import get_state_dict

    weights, state = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": state["state"]}, state


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _sync(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def not_whole(checkpoint: Path, error: Any) -> str:
    """What to say of a checkpoint that cannot be read."""
    return (
        f"{checkpoint} is no whole checkpoint of this model ({str(error).splitlines()[0]}): remove "
        "that folder to go on from the one before, or give another folder"
    )
