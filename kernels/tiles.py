"""How large a block each program takes: a trade between reuse and the room on the chip.

Larger blocks read keys and values less often, but registers (255 of 32 bits a thread) and shared
memory (163 KiB on an A100, 227 on an H100) are few: too large a block spills into slow memory.
`python -m kernels.gate` compiles these tables and shows the room that each entry takes.
"""

from dataclasses import dataclass

import torch
import triton

from kernels import IS_INTERPRETED


@dataclass(frozen=True)
class Tile:
    """A block of queries and of keys, the warps (of 32 threads) that share it, and the stages.

    `stages` blocks are on their way from memory while one is being worked on.
    """

    queries: int
    keys: int
    warps: int
    stages: int


# In the interpreter time goes into steps, not into room; four blocks cover its short sequences.
INTERPRETED = Tile(64, 64, 4, 1)
# Pass -> largest block_dim -> tile, for 16 bits (fp16, bf16) and for fp32.
HALF = {
    "forward": {64: Tile(128, 64, 4, 3), 128: Tile(128, 64, 8, 3), 256: Tile(128, 32, 8, 2)},
    "key_gradients": {64: Tile(64, 128, 8, 2), 128: Tile(32, 128, 8, 2), 256: Tile(32, 64, 8, 1)},
    "query_gradients": {64: Tile(128, 64, 8, 2), 128: Tile(128, 32, 8, 2), 256: Tile(64, 32, 8, 1)},
}
SINGLE = {
    "forward": {64: Tile(64, 32, 4, 2), 128: Tile(64, 32, 8, 1), 256: Tile(32, 16, 8, 1)},
    "key_gradients": {64: Tile(32, 64, 8, 1), 128: Tile(16, 64, 8, 1), 256: Tile(16, 16, 8, 1)},
    "query_gradients": {64: Tile(64, 32, 8, 1), 128: Tile(64, 16, 8, 1), 256: Tile(16, 16, 8, 1)},
}


def choose_tile(part: str, head_dim: int, dtype: torch.dtype) -> Tile:
    """The tile for "forward", "key_gradients" or "query_gradients"."""
    if IS_INTERPRETED:
        return INTERPRETED
    by_dim = (SINGLE if dtype is torch.float32 else HALF)[part]
    block_dim = triton.next_power_of_2(head_dim)
    return next(tile for largest, tile in by_dim.items() if block_dim <= largest)
