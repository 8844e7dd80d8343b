"""How much a chapter computes: `laptop`, `thorough` or `gpu`, chosen by COURSE_PRESET."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

from course_lib.notebook.machine import num_cores


@dataclass(frozen=True)
class Preset:
    """What a chapter may spend: its seeds, threads, number type and device."""

    name: str
    seeds: tuple[int, ...]
    threads: int = 2
    dtype: str = "float32"
    device: str = "cpu"


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("laptop", seeds=(0,)),
        Preset("thorough", seeds=(0, 1, 2)),
        Preset("gpu", seeds=(0, 1, 2), dtype="bfloat16", device="cuda"),
    )
}


def chosen_preset(environment: Mapping[str, str] = os.environ) -> Preset:
    """The preset that COURSE_PRESET names; `laptop` where it names none."""
    name = environment.get("COURSE_PRESET") or "laptop"
    if name not in PRESETS:
        raise ValueError(f"COURSE_PRESET = {name!r}: it must be one of {', '.join(PRESETS)}")
    return PRESETS[name]


def setup() -> Preset:
    """First cell of a chapter: threads, seed and plot style from COURSE_PRESET, said in one line.

    Threads are never more than OMP_NUM_THREADS or the processor's cores; the returned preset has
    those in use. A measurement over seeds is `[measure(seed) for seed in preset.seeds]`.
    """
    preset = chosen_preset()
    import matplotlib
    import numpy
    import torch

    from course_lib.notebook.plots import HOUSE_STYLE

    if preset.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "COURSE_PRESET = 'gpu': this PyTorch sees no GPU; use COURSE_PRESET=laptop"
        )
    threads = allowed_threads(preset.threads)
    torch.set_num_threads(threads)
    _keep_freed_memory()
    for seed_generator in (random.seed, numpy.random.seed, torch.manual_seed):
        seed_generator(preset.seeds[0])
    matplotlib.rcParams.update(HOUSE_STYLE)
    print(
        f"Preset {preset.name}: seeds {', '.join(map(str, preset.seeds))}; threads {threads}; "
        f"{preset.dtype} on {preset.device}. COURSE_PRESET chooses: {', '.join(PRESETS)}."
    )
    return Preset(preset.name, preset.seeds, threads, preset.dtype, preset.device)


def _keep_freed_memory() -> None:
    """Let the C library keep what a training step frees for the next one, up to 64 MB.

    glibc gives more than twice the largest block freed so far back to the system, at most 64 MB,
    and then every update asks for its activations page by page: 4 to 7 % of a small model's step.
    So a block of nearly 32 MB, the largest that counts, is freed once; elsewhere this does nothing.
    """
    import torch

    torch.empty(2**25 - 2**14, dtype=torch.uint8)


def allowed_threads(wanted: int, environment: Mapping[str, str] = os.environ) -> int:
    """min(wanted, cores, OMP_NUM_THREADS): 8 wanted on 2 cores -> 2."""
    limit = environment.get("OMP_NUM_THREADS", "")
    limits = [int(limit)] if limit.isdigit() and int(limit) > 0 else []
    return min(wanted, num_cores(), *limits)
