"""A small, counted fast memory on a CPU: what the size of a GPU's chip demands, enforced.

In reading order: `FastMemory`, whose `load` and `store` are the only way in and out; `blocks_of`,
which cuts a length into slices; and `eager_bytes`, the traffic of ordinary PyTorch code.
"""

import math
import weakref
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class FastMemory(TorchDispatchMode):
    """Fast memory of `capacity_bytes`, a slow one beside it, and the bytes moved between them.

    Inside `with memory:` every new tensor lies in fast memory, intermediate results too, and leaves
    it when nothing refers to it any more. Tensors from outside, and those of `empty` and `zeros`,
    lie in slow memory: they can be sliced, loaded and stored to, but not computed with.
    MemoryError where a result does not fit, ValueError for computing on slow memory. Chapter 15.
    """

    def __init__(self, capacity_bytes: float | int = math.inf) -> None:
        super().__init__()
        self.capacity_bytes = capacity_bytes
        self.bytes_read = 0
        self.bytes_written = 0
        self.slow_bytes = 0  # allocated by `empty` and `zeros`
        self.used_bytes = 0
        self.peak_bytes = 0
        self._held: dict[int, int] = {}  # storages in fast memory, by id, and their bytes
        self._is_open = False
        self._num_threads: list[int] = []

    def __enter__(self) -> "FastMemory":
        """One thread inside: blocks are too small for two, which on a busy machine wait 40 x."""
        self._num_threads.append(torch.get_num_threads())
        torch.set_num_threads(1)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.set_num_threads(self._num_threads.pop())

    @property
    def bytes_moved(self) -> int:
        """Bytes read from slow memory and written to it."""
        return self.bytes_read + self.bytes_written

    def load(self, block: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """A copy in fast memory of `block`, a slice of a tensor in slow memory."""
        if self.holds(block):
            raise ValueError("load(block): the block is in fast memory already")
        self.bytes_read += num_bytes(block)
        return self._keep(self._beyond(torch.clone, block.detach()), "load")

    def store(self, block: Shaped[Tensor, "..."], to: Shaped[Tensor, "..."]) -> None:
        """Write a block of fast memory to `to`, a slice of a tensor in slow memory."""
        if not self.holds(block) or self.holds(to):
            raise ValueError("store(block, to): block must lie in fast memory and `to` in slow")
        if block.shape != to.shape:
            raise ValueError(f"store: block {tuple(block.shape)} does not fit {tuple(to.shape)}")
        self.bytes_written += num_bytes(block)
        self._beyond(to.copy_, block)

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Shaped[Tensor, "..."]:
        """A new tensor in slow memory, of nan: a place that is never stored to shows."""
        return self._new_slow(shape, math.nan, dtype)

    def zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Shaped[Tensor, "..."]:
        """A new tensor of zeros in slow memory; writing them counts."""
        created = self._new_slow(shape, 0.0, dtype)
        self.bytes_written += num_bytes(created)
        return created

    def holds(self, tensor: Shaped[Tensor, "..."]) -> bool:
        """Whether a tensor lies in fast memory; one without numbers lies in both."""
        return tensor.numel() == 0 or id(tensor.untyped_storage()) in self._held

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        is_free = operation.is_view or _only_asks_for_the_shape(operation)
        if not (self._is_open or is_free):
            for tensor in _tensors((args, kwargs)):
                if not self.holds(tensor):
                    raise ValueError(
                        f"{_name(operation)} of a tensor {tuple(tensor.shape)} in slow memory: "
                        "load a block of it first, and store the result"
                    )
        result = operation(*args, **(kwargs or {}))
        if not (self._is_open or operation.is_view):
            known = {id(tensor.untyped_storage()) for tensor in _tensors((args, kwargs))}
            for tensor in _tensors(result):
                if id(tensor.untyped_storage()) not in known:
                    self._keep(tensor, _name(operation))
        return result

    def _keep(self, tensor: Tensor, maker: str) -> Tensor:
        """Count a new tensor until its storage is freed."""
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._held or size == 0:
            return tensor
        if self.used_bytes + size > self.capacity_bytes:
            raise MemoryError(
                f"{maker} makes a tensor {tuple(tensor.shape)} of {size:,} bytes; with the "
                f"{self.used_bytes:,} bytes in use that is more than the fast memory's "
                f"{self.capacity_bytes:,} bytes"
            )
        self._held[key] = size
        self.used_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)
        weakref.finalize(storage, self._release, key)
        return tensor

    def _release(self, key: int) -> None:
        self.used_bytes -= self._held.pop(key)

    def _new_slow(self, shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
        created = self._beyond(torch.full, shape, value, dtype=dtype)
        self.slow_bytes += num_bytes(created)
        return created

    def _beyond(self, operation: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Run an operation that may touch slow memory."""
        self._is_open = True
        try:
            return operation(*args, **kwargs)
        finally:
            self._is_open = False


def blocks_of(length: int, size: int) -> list[slice]:
    """7, 3 -> [slice(0, 3), slice(3, 6), slice(6, 7)]: the last block may be ragged."""
    return [slice(first, min(first + size, length)) for first in range(0, length, size)]


def eager_bytes(function: Callable[..., Any], *args: Any) -> int:
    """Bytes that `function(*args)` moves if every operation reads its inputs and writes its result.

    That is how PyTorch runs without fusion, as long as tensors are larger than the caches. Views
    move nothing. Only the forward pass is counted. Chapter 15.
    """
    counter = _TrafficCounter()
    with torch.no_grad(), counter:
        function(*args)
    return counter.bytes_moved


class _TrafficCounter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.bytes_moved = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        if not operation.is_view:
            read = () if _only_asks_for_the_shape(operation) else (args, kwargs)
            self.bytes_moved += sum(map(num_bytes, _tensors((read, result))))
        return result


def num_bytes(tensor: Shaped[Tensor, "..."]) -> int:
    """Bytes of a tensor's numbers."""
    return tensor.numel() * tensor.element_size()


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _name(operation: Any) -> str:
    return operation.overloadpacket.__name__


def _only_asks_for_the_shape(operation: Any) -> bool:
    """zeros_like(x), x.new_zeros(...): they read none of x's numbers."""
    return _name(operation).endswith("_like") or _name(operation).startswith("new_")
