"""One update on many processes: weights, gradients and optimizer state in pieces (FSDP2).

In reading order: `Ranks`, `joined_ranks` (who takes part), `agreed` (errors), `make_mesh` (who
holds which piece), `shard_model`, `sharded_update`.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

from course_lib.model.attention import attention
from course_lib.model.config import TransformerConfig
from course_lib.model.multi_head import AttentionFunction
from course_lib.model.transformer import Transformer
from course_lib.text.batches import Batch
from course_lib.training.loop import next_token_loss
from course_lib.training.optimizers import clip_gradients

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

SHARDINGS = ("full", "hybrid", "none")


@dataclass(frozen=True)
class Ranks:
    """This process among all: its number, how many there are, how many on one machine."""

    rank: int
    world_size: int
    local_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """True for the one rank that prints and writes what is not in pieces."""
        return self.rank == 0

    @property
    def compute_dtype(self) -> torch.dtype:
        """bf16 on a GPU, whose matrix units are made for it; else fp32."""
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32


@contextlib.contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Within the block this process is one of those that torchrun started, or the only one.

    nccl between GPUs, gloo between CPUs. A process group that is there already is used and left.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    is_ours = not dist.is_initialized()
    if is_ours:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        alone = {"store": dist.HashStore(), "rank": 0, "world_size": 1}
        dist.init_process_group(backend, **({} if "RANK" in os.environ else alone))
    world_size = dist.get_world_size()
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
    try:
        yield Ranks(dist.get_rank(), world_size, local_size, device)
    finally:
        if is_ours:
            dist.destroy_process_group()


class AgreedError(ValueError):
    """What is wrong on some rank, raised on all of them: one has to say it."""


@contextlib.contextmanager
def agreed(ranks: Ranks) -> Iterator[None]:
    """A ValueError or OSError of any rank within the block is an AgreedError of all after it.

    The block must not communicate. Without it one rank would end and the others wait for it.
    """
    error = None
    try:
        yield
    except (ValueError, OSError) as caught:
        error = caught
    errors: list[str | None] = [None] * ranks.world_size
    dist.all_gather_object(errors, None if error is None else str(error))
    first = next((each for each in errors if each is not None), None)
    if first is not None:
        raise AgreedError(first) from error


def make_mesh(ranks: Ranks, sharding: str = "full") -> "DeviceMesh":
    """A grid of replicas by pieces: "full" 1 x ranks, "none" ranks x 1, "hybrid" machines x ranks.

    "full" is ZeRO-3: least memory. "hybrid" keeps the pieces of one replica on one machine, whose
    links are fast, and sends only gradients between machines. "none" is data parallelism.

    Rajbhandari et al. 2019, https://arxiv.org/abs/1910.02054; hybrid: Zhao et al. 2023,
    https://arxiv.org/abs/2304.11277, section 3.2.2. Chapter 13.
    """
    from torch.distributed.device_mesh import init_device_mesh

    if sharding == "full":
        return init_device_mesh(ranks.device.type, (ranks.world_size,))
    num_pieces = {"hybrid": ranks.local_size, "none": 1}[sharding]
    shape = (ranks.world_size // num_pieces, num_pieces)
    return init_device_mesh(ranks.device.type, shape, mesh_dim_names=("replicas", "pieces"))


def shard_model(
    config: TransformerConfig,
    ranks: Ranks,
    *,
    sharding: str = "full",
    seed: int | None = 0,
    attention: AttentionFunction = attention,
) -> nn.Module:
    """A decoder of which each rank holds its pieces, each block gathered only while it computes.

    The weights are those of Transformer(config, seed=seed), drawn on the first rank only, so that
    no other ever holds a whole model; with seed None they are to be loaded. On a GPU products are
    in bf16, the weights, the sums of gradients and the optimizer in fp32.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    precision = MixedPrecisionPolicy()
    if ranks.compute_dtype != torch.float32:
        precision = MixedPrecisionPolicy(ranks.compute_dtype, reduce_dtype=torch.float32)
    mesh = make_mesh(ranks, sharding)
    with torch.device("meta"):
        model = Transformer(config, attention=attention)
    for block in model.decoder.blocks:
        fully_shard(block, mesh=mesh, mp_policy=precision)
    fully_shard(model, mesh=mesh, mp_policy=precision)
    model.to_empty(device=ranks.device)
    if seed is not None:
        whole = Transformer(config, seed=seed).state_dict() if ranks.is_first else {}
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(model, whole, options=options)
    return model


@dataclass(frozen=True)
class Update:
    """What one update was, the same on all ranks."""

    loss: float
    norm: float
    num_tokens: int
    is_interrupted: bool


def sharded_update(
    model: nn.Module,
    pieces: Sequence[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    max_norm: float | int = 1.0,
    is_interrupted: bool = False,
) -> Update:
    """Forward, backward, clip and step on all ranks: loss and gradient of the whole batch.

    A target counts the same on whichever rank and in whichever piece it lies: the mean over all
    ranks' targets, not the mean of the ranks' means. Every rank has as many pieces. One that was
    interrupted tells the others. Nothing is updated where loss or norm is not finite.
    """
    device = next(model.parameters()).device
    counts = torch.tensor([sum(each.num_tokens for each in pieces), int(is_interrupted)])
    counts = counts.to(device)
    dist.all_reduce(counts)
    num_tokens, num_interrupted = counts.tolist()
    optimizer.zero_grad()
    total = torch.zeros((), device=device)
    for number, piece in enumerate(pieces, start=1):
        model.set_requires_all_reduce(number == len(pieces))
        value = next_token_loss(model, piece) * (piece.num_tokens / num_tokens)
        (value * dist.get_world_size()).backward()  # FSDP takes the mean over the ranks
        total += value.detach()
    dist.all_reduce(total)
    norm = _whole(clip_gradients(model.parameters(), max_norm))
    if torch.isfinite(total) and torch.isfinite(norm):
        optimizer.step()
    return Update(total.item(), norm.item(), num_tokens, num_interrupted > 0)


def _whole(value: Tensor) -> Tensor:
    """A number that was computed in pieces, on all ranks."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value
