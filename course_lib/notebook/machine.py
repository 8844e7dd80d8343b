"""What this machine has, measured: processor, speed of a matrix product, memory, disk, GPU.

Imports torch and psutil where they are used: the doctor must also work where they are missing.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def machine_summary() -> str:
    """'AMD EPYC, 2 cores', and the GPU where there is one: a measurement's label in claims.json."""
    cores = "1 core" if num_cores() == 1 else f"{num_cores()} cores"
    return ", ".join(filter(None, (processor_name(), cores, gpu_name())))


def processor_name() -> str:
    """The processor's name as its maker writes it, or the architecture where it is not told."""
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.machine()


def num_cores() -> int:
    """Cores this process may use: in a container or under taskset fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_name() -> str | None:
    """Name of the first GPU that PyTorch can use, or None."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def matmul_gflops(dtype_name: str, *, num_threads: int, seconds: float = 0.3) -> float:
    """Best 10^9 operations a second of a 768 x 768 product (2 n^3 operations) on the CPU.

    Repeats for `seconds`, at least twice, since the first run warms up; puts the threads back.
    """
    import torch

    size, threads_before = 768, torch.get_num_threads()
    matrix = torch.ones(size, size, dtype=getattr(torch, dtype_name))
    torch.set_num_threads(num_threads)
    durations, begin = [], time.perf_counter()
    try:
        while len(durations) < 2 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            matrix @ matrix
            durations.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads_before)
    return 2 * size**3 / min(durations) / 1e9


def free_memory_bytes() -> int:
    """Memory a new program could have without swapping."""
    import psutil

    return psutil.virtual_memory().available


def free_disk_bytes(folder: Path) -> int:
    """Free bytes on the disk of the folder, or of its nearest parent that exists."""
    return shutil.disk_usage(nearest_existing(folder)).free


def nearest_existing(folder: Path) -> Path:
    """The folder, or the first of its parents that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def triton_state() -> str:
    """'compiled' (with a GPU), 'interpreted' (without) or 'absent': how kernels run here."""
    if importlib.util.find_spec("triton") is None:
        return "absent"
    return "compiled" if gpu_name() else "interpreted"


def find_browser() -> str | None:
    """Path of the Chromium or Chrome that the browser tests drive, or None."""
    found = (shutil.which(name) for name in BROWSERS)
    mac = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    return next(filter(None, found), str(mac) if mac.exists() else None)
