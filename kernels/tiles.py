"""How large a block each program takes: a trade between reuse and the room on the chip.

Larger blocks read keys and values less often, but registers (255 of 32 bits a thread) and shared
memory (227 KiB on an H100, 99 on a small card) are few: too large a block spills into slow memory.
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


# In the interpreter time goes into steps, not into room.
INTERPRETED = Tile(64, 64, 4, 1)
# (generation of the card, bits of a number) -> kernel -> largest head_dim -> tile: large ones that
# do not spill; not yet tuned by time on a GPU.
TILES = {
    (90, 16): {
        "forward": {64: Tile(128, 128, 8, 3), 128: Tile(128, 64, 8, 3), 256: Tile(128, 32, 8, 2)},
        "key_gradients": {
            64: Tile(64, 128, 8, 2),
            128: Tile(32, 64, 8, 2),
            256: Tile(32, 32, 8, 1),
        },
        "query_gradients": {
            64: Tile(128, 64, 8, 2),
            128: Tile(128, 64, 8, 2),
            256: Tile(64, 32, 8, 2),
        },
    },
    (80, 16): {
        "forward": {64: Tile(64, 64, 4, 2), 128: Tile(64, 64, 8, 2), 256: Tile(64, 32, 8, 2)},
        "key_gradients": {
            64: Tile(32, 64, 8, 1),
            128: Tile(32, 64, 8, 1),
            256: Tile(32, 32, 8, 1),
        },
        "query_gradients": {
            64: Tile(64, 64, 8, 2),
            128: Tile(128, 32, 8, 2),
            256: Tile(64, 32, 8, 1),
        },
    },
    (90, 32): {
        "forward": {64: Tile(64, 32, 8, 2), 128: Tile(32, 32, 8, 1), 256: Tile(32, 32, 8, 1)},
        "key_gradients": {
            64: Tile(32, 64, 8, 1),
            128: Tile(32, 32, 8, 1),
            256: Tile(16, 32, 8, 1),
        },
        "query_gradients": {
            64: Tile(64, 32, 8, 1),
            128: Tile(32, 16, 8, 1),
            256: Tile(16, 16, 8, 1),
        },
    },
    (80, 32): {
        "forward": {64: Tile(32, 32, 8, 1), 128: Tile(32, 32, 8, 1), 256: Tile(32, 32, 8, 1)},
        "key_gradients": {
            64: Tile(32, 64, 8, 1),
            128: Tile(32, 32, 8, 1),
            256: Tile(16, 32, 8, 1),
        },
        "query_gradients": {
            64: Tile(64, 32, 8, 1),
            128: Tile(32, 32, 8, 1),
            256: Tile(16, 16, 8, 1),
        },
    },
}


def choose_tile(part: str, head_dim: int, dtype: torch.dtype) -> Tile:
    """The tile for "forward", "key_gradients" or "query_gradients" on the card in use."""
    if IS_INTERPRETED:
        return INTERPRETED
    generation = 90 if triton.runtime.driver.active.get_current_target().arch >= 90 else 80
    tiles = TILES[generation, dtype.itemsize * 8][part]
    return next(tile for largest, tile in tiles.items() if head_dim <= largest)
