"""Collectives, and a ledger of the bytes that each of them makes a rank send.

In reading order: the ledger and `count_bytes`; `simulated_ranks`, up to hundreds in one process;
how an operator of PyTorch becomes an entry, with the formulas; last the ring made by hand that
the formulas describe: `ring_shift` and `ring_all_reduce`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Transfer:
    """One collective: the bytes of its whole tensor, and those that this rank sent for it."""

    name: str
    group_size: int
    tensor_bytes: int
    sent_bytes: float | int


@dataclass
class ByteLedger:
    """The transfers in the order in which this rank called them."""

    transfers: list[Transfer] = field(default_factory=list)

    @property
    def sent_bytes(self) -> float | int:
        """What this rank sent in all."""
        return sum(transfer.sent_bytes for transfer in self.transfers)

    def sent_bytes_by_name(self) -> dict[str, float | int]:
        """What this rank sent, by collective."""
        totals: dict[str, float | int] = {}
        for transfer in self.transfers:
            totals[transfer.name] = totals.get(transfer.name, 0) + transfer.sent_bytes
        return totals


@contextlib.contextmanager
def count_bytes() -> Iterator[ByteLedger]:
    """A ledger of every collective that this rank calls in the block, autograd's included.

    Counted are bytes sent, tensors only: exactly for send and all-to-all, else by the ring, which
    moves the least. S bytes (gathered, or before scattering) among N ranks: all-reduce 2(N-1)/N S,
    all-gather and reduce-scatter (N-1)/N S, broadcast and reduce S but for the chain's last rank.

    Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002, section 3. Chapter 12.
    """
    ledger = ByteLedger()
    with _Recorder(ledger):
        yield ledger


@contextlib.contextmanager
def simulated_ranks(world_size: int, rank: int = 0) -> Iterator[None]:
    """This process as one rank of `world_size` that do not exist: for counting, not for values.

    Collectives return at once and leave what they receive undefined. Chapter 12.
    """
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(f"rank={rank} must be one of 0 to world_size - 1 = {world_size - 1}")
    if dist.is_initialized():
        raise ValueError("simulated_ranks cannot be entered on a rank or inside simulated_ranks")
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world_size)
    try:
        yield
    finally:
        dist.destroy_process_group()


class _Recorder(TorchDispatchMode):
    """Sees each operator before it runs; a collective inside another is not seen again."""

    def __init__(self, ledger: ByteLedger) -> None:
        super().__init__()
        self._ledger = ledger

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(_calls_collectives_itself(kind) for kind in types):
            return (
                NotImplemented  # it is asked first, and its collectives on plain tensors come here
            )
        namespace, _, name = func.name().partition("::")
        if namespace in ("c10d", "_c10d_functional") and (short := _short_name(name)):
            self._ledger.transfers.append(_transfer(short, namespace, args))
        return func(*args, **(kwargs or {}))


def _calls_collectives_itself(kind: type) -> bool:
    """A DTensor, or a functional collective's result that has not been waited for."""
    return kind.__module__.startswith("torch.distributed.")


def _short_name(operator: str) -> str | None:
    """The collective that an operator such as `_allgather_base_` or `all_reduce_coalesced` is."""
    stem = operator.strip("_").removesuffix("_out").removesuffix("_coalesced")
    return OPERATORS.get(stem)


OPERATORS = {
    "allreduce": "all_reduce",
    "all_reduce": "all_reduce",
    "allgather": "all_gather",
    "allgather_base": "all_gather",
    "allgather_into_tensor": "all_gather",
    "all_gather_into_tensor": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "reduce_scatter_base": "reduce_scatter",
    "reduce_scatter_tensor": "reduce_scatter",
    "alltoall": "all_to_all",
    "alltoall_base": "all_to_all",
    "all_to_all_single": "all_to_all",
    "broadcast": "broadcast",
    "reduce": "reduce",
    "gather": "gather",
    "scatter": "scatter",
    "send": "send",
    "isend": "send",
}
WITH_OUTPUT_FIRST = {"all_gather", "reduce_scatter", "all_to_all", "gather", "scatter"}


def _transfer(name: str, namespace: str, args: tuple) -> Transfer:
    """The entry for one call, with the formula of its collective."""
    group = _group_of(args)
    size, rank = group.size(), group.rank()
    has_output_first = namespace == "c10d" and name in WITH_OUTPUT_FIRST
    tensors = _tensors_in(args[1] if has_output_first else args[0])
    whole = sum(tensor.nbytes for tensor in tensors)
    if name == "all_reduce":
        sent = 2 * (size - 1) * whole / size
    elif name == "all_gather":
        sent, whole = (size - 1) * whole, size * whole
    elif name == "reduce_scatter":
        sent = (size - 1) * whole / size
    elif name == "all_to_all":
        sent = whole - _kept_bytes(tensors, args[2 if namespace != "c10d" else 4 :], size, rank)
    elif name == "send":
        sent = whole
    else:
        sent, whole = _rooted(name, whole, _root_of(name, args), size, rank)
    return Transfer(name, size, whole, sent)


def _kept_bytes(tensors: list[Tensor], rest: tuple, size: int, rank: int) -> float | int:
    """Of an all-to-all, the part that a rank leaves to itself."""
    if len(tensors) > 1:
        return tensors[rank].nbytes
    splits = next((each for each in rest if isinstance(each, list | tuple)), [])
    share = splits[rank] / max(1, sum(splits)) if splits else 1 / size
    return tensors[0].nbytes * share


def _rooted(name: str, bytes_here: int, root: int, size: int, rank: int) -> tuple[float | int, int]:
    """(sent, whole) where one rank is the source or the sink; a broadcast runs along a chain."""
    if name == "scatter":  # the tensors of the source; elsewhere none are given
        return bytes_here * (size - 1) / size if rank == root else 0, bytes_here
    last = (root - 1) % size if name == "broadcast" else root
    return 0 if rank == last else bytes_here, bytes_here * (size if name == "gather" else 1)


def _root_of(name: str, args: tuple) -> int:
    """The first integer among the arguments: the rank in the group that all hear, or that hears."""
    return next(each for each in args if isinstance(each, int))


def _group_of(args: tuple) -> ProcessGroup:
    """The group an operator was given, as an object of C++ or by name."""
    for each in args:
        if isinstance(each, torch.ScriptObject):
            with contextlib.suppress(RuntimeError):  # an operation such as SUM is an object too
                return ProcessGroup.unbox(each)
    return torch._C._distributed_c10d._resolve_process_group(args[-1])


def _tensors_in(argument: object) -> list[Tensor]:
    if isinstance(argument, Tensor):
        return [argument]
    return [tensor for each in argument for tensor in _tensors_in(each)]


def ring_shift(
    tensor: Shaped[Tensor, "*shape"], *, group: ProcessGroup | None = None
) -> Shaped[Tensor, "*shape"]:
    """What the previous rank holds, while the next one gets `tensor`: one hop round the ring.

    All ranks of the group call it, with equal shapes. Gradients do not flow back. Chapter 12.
    """
    rank, size = dist.get_rank(group), dist.get_world_size(group)
    if size == 1:
        return tensor
    sent = tensor.detach().contiguous()
    received = torch.empty_like(sent)
    sending = dist.isend(sent, group=group, group_dst=(rank + 1) % size)
    dist.recv(received, group=group, group_src=(rank - 1) % size)
    sending.wait()
    return received


def ring_all_reduce(
    tensor: Shaped[Tensor, "*shape"], *, group: ProcessGroup | None = None
) -> Shaped[Tensor, "*shape"]:
    """The sum over the ranks, in 2 (N-1) hops of a chunk, an N-th of the tensor, each.

    The first N-1 hops leave on each rank one chunk that is complete (a reduce-scatter), the others
    pass the complete chunks on (an all-gather). The last chunk is filled up with zeros.

    Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002, section 3. Chapter 12.
    """
    rank, size = dist.get_rank(group), dist.get_world_size(group)
    padding = tensor.new_zeros(-tensor.numel() % size)
    chunks = torch.cat([tensor.flatten(), padding]).view(size, -1)
    for hop in range(size - 1):
        chunks[(rank - hop - 1) % size] += ring_shift(chunks[(rank - hop) % size], group=group)
    for hop in range(size - 1):
        chunks[(rank - hop) % size] = ring_shift(chunks[(rank - hop + 1) % size], group=group)
    return chunks.flatten()[: tensor.numel()].view_as(tensor)
