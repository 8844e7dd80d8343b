"""How large a block each program takes: a trade between reuse and the room on the chip.

Larger blocks read keys and values less often, but registers (255 of 32 bits a thread) and shared
memory (227 KiB on an H100, 99 on a small card) are few: too large a block spills into slow memory.
`python -m kernels.gate` compiles these tables and shows the room that each entry takes.
"""

import contextlib
import itertools
from collections.abc import Iterator
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


PARTS = ("forward", "key_gradients", "query_gradients")
# In the interpreter time goes into steps, not into room.
INTERPRETED = {part: {256: Tile(64, 64, 4, 1)} for part in PARTS}
# (generation of the card, bits of a number) -> kernel -> largest head_dim -> tile. For 16 bits on
# the newer cards: the fastest of those tried on an H100 that do not spill. Else large ones.
TILES = {
    (90, 16): {
        "forward": {64: Tile(128, 64, 8, 3), 128: Tile(64, 64, 4, 3), 256: Tile(128, 32, 8, 3)},
        "key_gradients": {
            64: Tile(32, 64, 4, 2),
            128: Tile(32, 128, 8, 2),
            256: Tile(32, 32, 8, 2),
        },
        "query_gradients": {
            64: Tile(64, 64, 4, 3),
            128: Tile(128, 64, 8, 3),
            256: Tile(64, 16, 4, 3),
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
    """The tile for one of PARTS on the card in use."""
    tiles = tiles_in_use(dtype)[part]
    return tiles[largest_head_dim(tiles, head_dim)]


def tiles_in_use(dtype: torch.dtype) -> dict[str, dict[int, Tile]]:
    """The table for the card in use, or for the interpreter."""
    if IS_INTERPRETED:
        return INTERPRETED
    generation = 90 if triton.runtime.driver.active.get_current_target().arch >= 90 else 80
    return TILES[generation, dtype.itemsize * 8]


def largest_head_dim(tiles: dict[int, Tile], head_dim: int) -> int:
    """The table's entry for this head_dim."""
    return next(largest for largest in tiles if head_dim <= largest)


@contextlib.contextmanager
def trying(part: str, head_dim: int, dtype: torch.dtype, tile: Tile) -> Iterator[None]:
    """Put a tile in the table for a while: how the tuning space is compiled and timed."""
    tiles = tiles_in_use(dtype)[part]
    largest = largest_head_dim(tiles, head_dim)
    shipped = tiles[largest]
    tiles[largest] = tile
    try:
        yield
    finally:
        tiles[largest] = shipped


def tuning_space(part: str) -> list[Tile]:
    """What is worth trying: the block that a program owns is 64 or 128, the one it walks with less.

    The keys' gradients own keys and walk over queries; the other two parts the other way round.
    """
    found = []
    sizes = itertools.product((64, 128), (32, 64, 128), (4, 8), (2, 3, 4))
    for owned, walked, warps, stages in sizes:
        queries, keys = (walked, owned) if part == "key_gradients" else (owned, walked)
        found.append(Tile(queries, keys, warps, stages))
    return found
