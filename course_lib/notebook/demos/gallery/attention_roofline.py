"""Where attention stands under the roofline: plain and flash, by length and block size."""

import math

from matplotlib.figure import Figure

from course_lib.model.roofline import (
    MACHINES,
    Work,
    flash_attention_work,
    plain_attention_work,
    roofline_seconds,
)
from course_lib.notebook.demos.framework import Choice, Demo, Slider
from course_lib.notebook.plots import INK, OKABE_ITO

HEAD_DIM = 64
INTENSITIES = (1, 4, 16, 64, 256, 1024, 4096)


def works(log2_length: int, log2_block: int) -> dict[str, Work]:
    """What one head of attention asks for, in fp16."""
    length, block = 2**log2_length, 2**log2_block
    return {
        "plain": plain_attention_work(length, HEAD_DIM),
        "flash": flash_attention_work(length, HEAD_DIM, block_queries=block),
    }


def render(*, machine: str, log2_length: int, log2_block: int) -> Figure:
    """The roof, and a dot for each attention; logarithms are taken here: a log axis is slow."""
    device = MACHINES[machine]
    figure = Figure(figsize=(7.2, 3.6))
    axes = figure.subplots()
    corner = device.ridge, device.flops_per_second
    roof = [(1, device.bytes_per_second), corner, (INTENSITIES[-1], corner[1])]
    axes.plot(*[[math.log10(each) for each in side] for side in zip(*roof, strict=True)], color=INK)
    axes.axvline(math.log10(device.ridge), color=INK, linestyle=":", linewidth=1)
    for (name, work), color in zip(works(log2_length, log2_block).items(), OKABE_ITO, strict=False):
        speed = work.flops / roofline_seconds(work, device)
        place = math.log10(work.intensity), math.log10(speed)
        axes.plot([place[0]] * 2, [11, place[1]], color=color, linewidth=1.5)
        axes.plot(*place, "o", color=color, markersize=12)
        axes.text(place[0] + 0.08, place[1] - 0.35, name, color=color)
    axes.set(title=f"{machine}: ridge at {device.ridge:.0f} FLOPs a byte", ylim=(11, 15.5))
    axes.set(xlabel="arithmetic intensity, FLOPs a byte", ylabel="FLOP/s at best", xlim=(0, 3.7))
    axes.set(xticks=[math.log10(each) for each in INTENSITIES], xticklabels=INTENSITIES)
    axes.set(yticks=(11, 12, 13, 14, 15))
    axes.set(yticklabels=("10¹¹", "10¹²", "10¹³", "10¹⁴", "10¹⁵"))
    return figure


def describe(*, machine: str, log2_length: int, log2_block: int) -> str:
    """Bytes, limits and times in words."""
    device, found = MACHINES[machine], works(log2_length, log2_block)
    parts = []
    for name, work in found.items():
        limit = "memory" if work.intensity < device.ridge else "arithmetic"
        seconds = roofline_seconds(work, device)
        parts.append(
            f"{name} moves {_amount(work.num_bytes, 'B')}, is bound by {limit} and takes at least "
            f"{_amount(seconds, 's')}"
        )
    ratio = math.prod(
        roofline_seconds(found[name], device) ** power
        for name, power in (("plain", 1), ("flash", -1))
    )
    return (
        f"{machine}, one head of {HEAD_DIM}, length {2**log2_length:,}, blocks of {2**log2_block} "
        f"queries: {'; '.join(parts)}. At best {ratio:.1f} times as fast."
    )


def _amount(number: float | int, unit: str) -> str:
    """0.0000123, "s" -> "12.3 µs"."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number / 1e-6:.3g} µ{unit}"


def _preset(machine: str, log2_length: int, log2_block: int) -> dict[str, str | int]:
    return {"machine": machine, "log2_length": log2_length, "log2_block": log2_block}


DEMO = Demo(
    title="Attention under the roofline",
    controls={
        "machine": Choice("machine", tuple(MACHINES)),
        "log2_length": Slider("log₂ of the length", 8, 17, 1),
        "log2_block": Slider("log₂ of the block", 3, 9, 1),
    },
    presets={
        "4,096, blocks of 128": _preset("A100 40 GB", 12, 7),
        "small blocks": _preset("A100 40 GB", 12, 4),
        "a short sequence": _preset("A100 40 GB", 8, 7),
        "H100, 64 thousand": _preset("H100 80 GB", 16, 7),
    },
    render=render,
    describe=describe,
)
