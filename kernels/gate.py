"""`python -m kernels.gate`: compile the kernels that ship, without a GPU, and look at the result.

Every configuration goes through the same launch code as on a GPU; only the launch itself is left
out. A configuration passes if no register is spilled, its shared memory fits the card and, in fp16
and bf16, attention's products run on the tensor cores. `--tuning` compiles what could ship instead:
every tile of `tiles.tuning_space`. Run it in a process of its own: where Triton's interpreter is
on, nothing can be compiled.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from kernels import IS_INTERPRETED, flash_attention, fused, fused_loss
from kernels.tiles import PARTS, Tile, trying, tuning_space

CACHE = Path(__file__).parents[1] / "build" / "triton"
# Bytes a program may have: on an H100, and on the smallest card of the generation 8.0 ... 8.9 (an
# A100 has 163 KiB).
SHARED_LIMITS = {80: 99 * 1024, 90: 227 * 1024}
TENSOR_CORES = re.compile(r"\b(mma\.sync|wgmma\.mma_async)")
ATTENTION_KERNELS = (
    flash_attention.forward_kernel,
    flash_attention.key_gradients_kernel,
    flash_attention.query_gradients_kernel,
)
FUSED_KERNELS = {
    "rms_norm": (fused.rms_norm_kernel, fused.rms_norm_backward_kernel),
    "swiglu": (fused.swiglu_kernel, fused.swiglu_backward_kernel),
    "linear_cross_entropy": (fused_loss.cross_entropy_kernel,),
}

FUSED_SIZES = (
    ("rms_norm", 768),
    ("rms_norm", 4096),
    ("rms_norm", fused.MAX_DIM),
    ("swiglu", 4096),
    ("linear_cross_entropy", 50257),
)


@dataclass(frozen=True)
class Configuration:
    """What a call of flash_attention fixes when its kernels are compiled."""

    needs_tensor_cores = True

    capability: int
    dtype: torch.dtype
    head_dim: int
    is_causal: bool = True
    has_window: bool = False
    has_documents: bool = False
    has_lengths: bool = False

    def __str__(self) -> str:
        flags = ("causal", "window", "documents", "lengths")
        values = (self.is_causal, self.has_window, self.has_documents, self.has_lengths)
        shown = " ".join(name for name, value in zip(flags, values, strict=True) if value)
        dtype = str(self.dtype).removeprefix("torch.")
        return f"sm_{self.capability} {dtype:8} {self.head_dim:3} {shown or 'full':24}"


@dataclass(frozen=True)
class FusedConfiguration:
    """A fused operation; `size` is a row: the dim, or the vocabulary."""

    capability: int
    dtype: torch.dtype
    operation: str
    size: int

    needs_tensor_cores = False

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"sm_{self.capability} {dtype:8} {self.operation:20} {self.size:7}"


@dataclass(frozen=True)
class Report:
    """One compiled kernel of a configuration, and why it may not ship: no fault if it may."""

    configuration: Configuration | FusedConfiguration
    kernel: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    has_tensor_cores: bool

    def faults(self) -> list[str]:
        limit = SHARED_LIMITS[self.configuration.capability]
        faults = []
        if self.spilled_bytes:
            faults.append(f"spills {self.spilled_bytes} bytes a thread")
        if self.shared_bytes > limit:
            faults.append(f"shared memory is over the card's {limit // 1024} KiB")
        needs_them = self.configuration.needs_tensor_cores
        if needs_them and self.configuration.dtype.itemsize == 2 and not self.has_tensor_cores:
            faults.append("no tensor cores")
        return faults

    def __str__(self) -> str:
        cores = "tensor cores" if self.has_tensor_cores else "plain cores"
        verdict = "; ".join(self.faults()) or "ok"
        return (
            f"{self.configuration} {self.kernel:22} {self.registers:3} registers "
            f"{self.shared_bytes / 1024:5.0f} KiB  {cores:12}  {verdict}"
        )


def shipped_configurations() -> list[Configuration | FusedConfiguration]:
    """Both cards, every number and block of the head dimension, and the restrictions once each."""
    found = []
    for capability in SHARED_LIMITS:
        for head_dim in (64, 80, 128, 256):
            found.append(Configuration(capability, torch.bfloat16, head_dim))
            found.append(Configuration(capability, torch.float32, head_dim))
        found.append(Configuration(capability, torch.float16, 128))
        half = (capability, torch.bfloat16, 128)
        found.append(Configuration(*half, is_causal=False))
        found.append(Configuration(*half, has_window=True))
        found.append(Configuration(*half, False, has_window=True, has_lengths=True))
        found.append(Configuration(*half, has_documents=True))
        for dtype in (torch.bfloat16, torch.float32):
            found.extend(
                FusedConfiguration(capability, dtype, operation, size)
                for operation, size in FUSED_SIZES
            )
    return found


def tuning_configurations() -> list[Configuration]:
    """What tiles are chosen by: the card, the type and the head dimension."""
    dtypes, head_dims = (torch.bfloat16, torch.float32), (64, 128, 256)
    return [Configuration(*each) for each in itertools.product(SHARED_LIMITS, dtypes, head_dims)]


def compile_configuration(configuration: Configuration | FusedConfiguration) -> Iterator[Report]:
    """Call the operators, forward and backward, for a card that is not there."""
    if isinstance(configuration, FusedConfiguration):
        kernels, call = FUSED_KERNELS[configuration.operation], _call_fused
    else:
        kernels, call = ATTENTION_KERNELS, _call_attention
    yield from _compile(configuration, kernels, call)


def compile_tile(configuration: Configuration, part: str, tile: Tile) -> Report:
    """One of attention's three kernels, with another tile than the one that ships."""
    driver.set_active(_absent_card(configuration.capability))
    with trying(part, configuration.head_dim, configuration.dtype, tile):
        kernel = ATTENTION_KERNELS[PARTS.index(part)]
        return next(_compile(configuration, (kernel,), _call_attention))


def _compile(configuration, kernels: Sequence, call: Callable) -> Iterator[Report]:
    driver.set_active(_absent_card(configuration.capability))
    caches = [kernel.device_caches[configuration.capability][0] for kernel in kernels]
    for cache in caches:
        cache.clear()
    call(configuration)
    for cache in caches:
        for compiled in cache.values():
            registers, spilled_bytes = _resources(compiled.asm["cubin"])
            yield Report(
                configuration,
                compiled.name,
                registers,
                spilled_bytes,
                compiled.metadata.shared,
                bool(TENSOR_CORES.search(compiled.asm["ptx"])),
            )


def _call_attention(configuration: Configuration) -> None:
    query, key, value = (
        torch.zeros(2, heads, 256, configuration.head_dim, dtype=configuration.dtype)
        for heads in (4, 2, 2)
    )
    lengths = torch.zeros(2, dtype=torch.int64) if configuration.has_lengths else None
    documents = torch.zeros(2, 256, dtype=torch.int64) if configuration.has_documents else None
    window = 100 if configuration.has_window else None
    flags = (lengths, documents, configuration.is_causal, window, 0.125)
    output, log_sum_exp = torch.ops.course.flash_attention(query, key, value, *flags)
    torch.ops.course.flash_attention_backward(
        output, query, key, value, output, log_sum_exp, *flags
    )


def _call_fused(configuration: FusedConfiguration) -> None:
    ops, dtype, size = torch.ops.course, configuration.dtype, configuration.size
    if configuration.operation == "linear_cross_entropy":
        hidden, weight = torch.zeros(1, 16, dtype=dtype), torch.zeros(size, 16, dtype=dtype)
        ops.linear_cross_entropy(hidden, weight, torch.zeros(1, dtype=torch.int64), -100)
        return
    x = torch.zeros(32, size, dtype=dtype)
    if configuration.operation == "rms_norm":
        _, inverse_rms = ops.rms_norm(x, x[0], 1e-6)
        ops.rms_norm_backward(x, x, x[0], inverse_rms)
    else:
        ops.swiglu_backward(ops.swiglu(x, x), x, x)


def _absent_card(capability: int) -> SimpleNamespace:
    """A driver with just enough to compile for this kind of card; its launches do nothing."""
    return SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", capability, 32),
        get_current_device=lambda: capability,
        get_current_stream=lambda device: 0,
        launcher_cls=lambda source, metadata: lambda *arguments: None,
        utils=SimpleNamespace(
            get_device_properties=lambda device: {"max_shared_mem": sys.maxsize},
            load_binary=lambda name, binary, shared, device: (binary, binary, 0, 0, 1024),
        ),
    )


def _resources(binary: bytes) -> tuple[int, int]:
    """Registers and spilled bytes of each thread, as NVIDIA's own tool reads them."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    registers, spilled_bytes = re.search(r"REG:(\d+) STACK:(\d+)", shown).groups()
    return int(registers), int(spilled_bytes)


def main(arguments: list[str]) -> int:
    """Print a line a kernel, or a tile; 1 if a kernel that ships has a fault."""
    if IS_INTERPRETED:  # nothing can be compiled in this process: do it in another
        environment = os.environ | {"TRITON_INTERPRET": "0"}
        environment.setdefault("TRITON_CACHE_DIR", str(CACHE))
        command = [sys.executable, "-m", "kernels.gate", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode
    parser = argparse.ArgumentParser(prog="python -m kernels.gate", description=__doc__)
    parser.add_argument("words", nargs="*", help="only configurations with these words: sm_90 128")
    parser.add_argument("--tuning", action="store_true", help="the tuning space: which tiles fit")
    parsed = parser.parse_args(arguments)
    configurations = tuning_configurations() if parsed.tuning else shipped_configurations()
    words = set(parsed.words)
    chosen = [each for each in configurations if words <= set(str(each).split())]
    if parsed.tuning:
        for configuration in chosen:
            _show_tiles(configuration)
        return 0 if chosen else 1
    num_faults = sum(map(_show_kernels, chosen))
    print(f"{len(chosen)} configurations, {num_faults} kernels with a fault")
    return 1 if num_faults or not chosen else 0


def _show_kernels(configuration: Configuration | FusedConfiguration) -> int:
    """Print a line a kernel; how many have a fault."""
    num_faults = 0
    for report in compile_configuration(configuration):
        print(report, flush=True)
        num_faults += bool(report.faults())
    return num_faults


def _show_tiles(configuration: Configuration) -> None:
    """Print a line a tile, and how many of each part fit."""
    for part in PARTS:
        tiles, num_fitting = tuning_space(part), 0
        for tile in tiles:
            report = compile_tile(configuration, part, tile)
            num_fitting += not report.faults()
            print(f"{report}  {tile}", flush=True)
        print(f"{configuration} {part}: {num_fitting} of {len(tiles)} tiles fit", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
