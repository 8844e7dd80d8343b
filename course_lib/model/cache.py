"""The key/value cache: what attention has computed for earlier tokens, kept for the next one.

In reading order: `KeyValueCache`, and `LayerCache`, the part of it that one layer sees.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib.model.config import TransformerConfig


class KeyValueCache:
    """Keys and values of all layers for up to `capacity` tokens, and where those tokens stand.

    Allocated once: 2 num_layers batch num_kv_heads capacity head_dim numbers. Filled in place, so
    it works only without gradients (ValueError). Keys are kept already turned by RoPE.

    Shazeer 2019, https://arxiv.org/abs/1911.02150, section 2.4. Chapter 05.
    """

    def __init__(
        self,
        config: TransformerConfig,
        batch_size: int = 1,
        *,
        capacity: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ):
        """`capacity` is `config.context_length` unless given."""
        self.capacity = config.context_length if capacity is None else capacity
        self.length = 0
        shape = (config.num_layers, batch_size, config.num_kv_heads, self.capacity, config.head_dim)
        if min(shape) < 1:
            raise ValueError(
                f"batch_size={batch_size} and capacity={self.capacity} must be at least 1"
            )
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.positions = torch.zeros(batch_size, self.capacity, dtype=torch.long, device=device)

    @property
    def batch_size(self) -> int:
        """How many sequences it is for."""
        return self.positions.shape[0]

    @property
    def cache_bytes(self) -> int:
        """Memory of the keys and values, filled or not."""
        return 2 * self.keys.numel() * self.keys.element_size()

    def reserve(self, positions: Int[Tensor, "*#batch time"]) -> Int[Tensor, "batch keys"]:
        """Make room for the tokens at these positions; the positions of all keys, old and new.

        Called once by the model before its layers append. ValueError if they do not fit.
        """
        time = positions.shape[-1]
        if self.length + time > self.capacity:
            raise ValueError(
                f"the cache holds {self.length} of capacity={self.capacity} tokens: {time} more do "
                "not fit; give a larger capacity, or truncate it"
            )
        self.positions[:, self.length : self.length + time] = positions
        self.length += time
        return self.positions[:, : self.length]

    def layer(self, index: int) -> "LayerCache":
        """The part of one layer."""
        return LayerCache(self, index)

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if not 0 <= length <= self.length:
            raise ValueError(f"length={length} must be from 0 to the {self.length} tokens cached")
        self.length = length

    def reorder(self, rows: Int[Tensor, "batch"]) -> None:
        """Row i becomes what row `rows[i]` was: beam search continues some and drops others."""
        for each, dim in ((self.keys, 1), (self.values, 1), (self.positions, 0)):
            each.copy_(each.index_select(dim, rows))


class LayerCache:
    """One layer's part of a `KeyValueCache`."""

    def __init__(self, cache: KeyValueCache, index: int):
        self.cache = cache
        self.keys = cache.keys[index]
        self.values = cache.values[index]

    def append(
        self,
        key: Float[Tensor, "batch kv_heads time head_dim"],
        value: Float[Tensor, "batch kv_heads time head_dim"],
    ) -> tuple[
        Float[Tensor, "batch kv_heads keys head_dim"], Float[Tensor, "batch kv_heads keys head_dim"]
    ]:
        """Store the newest tokens' keys and values; those of all tokens, as views."""
        if torch.is_grad_enabled() and key.requires_grad:
            raise ValueError("a cache is filled in place, without gradients: use torch.no_grad()")
        end = self.cache.length
        place = slice(end - key.shape[2], end)
        self.keys[:, :, place] = key
        self.values[:, :, place] = value
        return self.keys[:, :, :end], self.values[:, :, :end]
