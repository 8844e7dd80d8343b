"""The card, the versions, and what the card can do at best: the roofs of the same run."""

import platform

import torch
import triton

from .plans import Plan
from .stopwatch import measure


def describe(device: str) -> dict[str, object]:
    """Device, its memory and capability, and versions."""
    found: dict[str, object] = {
        "device": f"{platform.machine()} CPU, interpreted",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "triton": triton.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        },
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "device": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "multiprocessors": properties.multi_processor_count,
        }
    return found


def rooflines(plan: Plan, device: str) -> dict[str, float | None]:
    """TFLOP/s of a large product in each type (fp32 without tf32), and GB/s of a copy."""
    found = {}
    for dtype, size in plan.matmul_sizes:
        left, right = (
            torch.randn(size, size, device=device, dtype=getattr(torch, dtype)) for _ in range(2)
        )
        measured = measure(lambda left=left, right=right: left @ right)
        found[f"matmul_{dtype}_tflops"] = _per_millisecond(2 * size**3 / 1e9, measured.milliseconds)
    source = torch.zeros(plan.copy_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    measured = measure(lambda: target.copy_(source))  # each byte is read once and written once
    found["copy_gb_per_second"] = _per_millisecond(2 * plan.copy_bytes / 1e6, measured.milliseconds)
    return found


def _per_millisecond(amount: float, milliseconds: float | None) -> float | None:
    return None if milliseconds is None else amount / milliseconds
