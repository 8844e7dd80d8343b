"""Which tile is fastest for each part of flash attention on this card, for kernels/tiles.py.

Blocks of 64 and 128 (and 32 to walk with), 4 and 8 warps, 2-4 stages; a part at a time, the others
as they ship. Compiling takes most of it: minutes for a head_dim.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from kernels.flash_attention import flash_attention
from kernels.tiles import PARTS, Tile, choose_tile, trying, tuning_space

from .attention import inputs
from .plans import AttentionCase
from .stopwatch import Measurement, measure

SHOWN = 3


def tune(case: AttentionCase, head_dims: list[int], device: str) -> None:
    """Print the fastest tiles of each part, and what is in the table now."""
    for head_dim in head_dims:
        for part in PARTS:
            sized = replace(case, head_dim=head_dim)
            shipped = choose_tile(part, head_dim, getattr(torch, case.dtype))
            timed = [(measured.milliseconds, tile) for tile, measured in times(sized, part, device)]
            able = sorted((each for each in timed if each[0] is not None), key=lambda each: each[0])
            print(
                f"{part}, head_dim {head_dim}, {case.dtype}: {len(able)} of {len(timed)} tiles ran"
            )
            print(f"  ships: {shipped}")
            for milliseconds, tile in able[:SHOWN]:
                print(f"  {milliseconds:8.3f} ms: {tile}", flush=True)


def times(case: AttentionCase, part: str, device: str) -> Iterator[tuple[Tile, Measurement]]:
    """Every tile of the space, and the time of the call that runs the part."""
    call = _call_of(case, part, device)
    dtype = getattr(torch, case.dtype)
    shipped = choose_tile(part, case.head_dim, dtype)
    for tile in dict.fromkeys([shipped, *tuning_space(part)]):
        with trying(part, case.head_dim, dtype, tile):
            yield tile, measure(call)


def _call_of(case: AttentionCase, part: str, device: str) -> Callable[[], object]:
    """The forward pass, or the whole backward pass: only this part's tile will change in it."""
    *leaves, grad_output = (each.detach() for each in inputs(case, device))
    if part == "forward":
        return lambda: flash_attention(*leaves, is_causal=case.is_causal)
    flags = (None, None, case.is_causal, None, case.head_dim**-0.5)
    output, log_sum_exp = torch.ops.course.flash_attention(*leaves, *flags)
    return lambda: torch.ops.course.flash_attention_backward(
        grad_output, *leaves, output, log_sum_exp, *flags
    )
