"""`course doctor`: one finding per thing that a learner needs, with what to do where it fails.

Imports of packages stand inside functions: it must speak where the installation is broken.
"""

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from course_lib.notebook import machine
from course_lib.notebook.places import ROOT, work_folder

PYTHONS = ((3, 11), (3, 12), (3, 13))
A_PATH = re.compile(r"(?<![\w~>])/[^\s'\",:;]+")


@dataclass(frozen=True)
class Finding:
    """What was found; `remedy` if something should be done; broken if the course cannot run.

    `place` is a path, which may hold a person's name: shown to them, left out of the report.
    """

    value: str
    remedy: str = ""
    is_broken: bool = False
    place: str = ""


def examine() -> dict[str, Finding]:
    """All findings by name, in about five seconds; a look that fails is itself a finding."""
    return {name: _safely(look) for name, look in LOOKS.items()}


def as_table(findings: dict[str, Finding]) -> str:
    """The findings for a person: one line each, remedies below theirs."""
    lines = []
    for name, finding in findings.items():
        lines.append(f"{name:<12} {finding.value} {finding.place}".rstrip())
        if finding.remedy:
            lines.append(f"{'':<12} -> {finding.remedy}")
    return "\n".join(lines)


def as_report(findings: dict[str, Finding]) -> str:
    """The findings for a bug report: no path, so neither home folder nor user name, is in it."""
    lines = [f"- {name}: {finding.value}" for name, finding in findings.items()]
    text = "\n".join([f"course doctor, {platform.system()} {platform.machine()}", *lines])
    text = text.replace(str(ROOT), "<course>").replace(str(Path.home()), "~")
    return A_PATH.sub("<path>", text)


def look_at_python() -> Finding:
    """Version, and whether an environment of its own keeps the course apart."""
    version = platform.python_version()
    if sys.version_info[:2] not in PYTHONS:
        return Finding(
            version, "the course is tested on 3.11 to 3.13: make setup PYTHON=python3.11"
        )
    if sys.prefix == sys.base_prefix:
        return Finding(f"{version}, no virtual environment", "make setup makes .venv")
    return Finding(version)


def look_at_packages() -> Finding:
    """Whether what requirements.txt asks for is what is installed."""
    from packaging.requirements import InvalidRequirement, Requirement

    wrong, count = [], 0
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        try:
            wanted = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        count += 1
        installed = _installed_version(wanted.name)
        if installed is None or not wanted.specifier.contains(installed, prereleases=True):
            wrong.append(f"{wanted.name} is {installed or 'missing'}, not {wanted.specifier}")
    if wrong:
        return Finding("; ".join(wrong), "make -B setup", is_broken=True)
    return Finding(f"{count} as in requirements.txt")


def look_at_torch() -> Finding:
    """PyTorch's version and build: for the CPU, or for a version of CUDA."""
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    return Finding(f"{torch.__version__}, build for {build}")


def look_at_processor() -> Finding:
    """The processor, and the threads PyTorch would use."""
    import torch

    value = f"{machine.processor_name()}, cores: {machine.num_cores()}"
    return Finding(f"{value}, threads PyTorch uses: {torch.get_num_threads()}")


def look_at_speed(dtype_name: str) -> Finding:
    """GFLOP/s of a matrix product with one thread and with all cores."""
    cores = machine.num_cores()
    one = machine.matmul_gflops(dtype_name, num_threads=1)
    many = machine.matmul_gflops(dtype_name, num_threads=cores)
    remedy = ""
    if cores > 1 and many < 1.2 * one:
        remedy = "more threads do not help now: is something else using the cores?"
    return Finding(f"{one:.0f} GFLOP/s with 1 thread, {many:.0f} with {cores}", remedy)


def look_at_memory() -> Finding:
    """Free memory; a chapter needs about one gigabyte."""
    free = machine.free_memory_bytes()
    remedy = "close other programs: a chapter needs about 1 GB" if free < 2e9 else ""
    return Finding(f"{free / 1e9:.1f} GB free", remedy)


def look_at_disk() -> Finding:
    """Free disk where the work is."""
    free = machine.free_disk_bytes(work_folder())
    remedy = "make room: course clean --cache removes what was fetched" if free < 1e9 else ""
    return Finding(f"{free / 1e9:.1f} GB free for your work", remedy)


def look_at_gpu() -> Finding:
    """The GPU PyTorch can use, or why it cannot use the one that is there."""
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        value = f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
        return Finding(f"{value}, sm_{properties.major}{properties.minor}")
    if shutil.which("nvidia-smi") is None:
        return Finding("none: every chapter runs on the CPU")
    remedy = (
        "update NVIDIA's driver"
        if torch.version.cuda
        else "make setup with PyTorch's CUDA build: see README"
    )
    return Finding("there is one, but PyTorch cannot use it", remedy)


def look_at_triton() -> Finding:
    """How kernels run: compiled, interpreted, or not at all (macOS, Linux on ARM)."""
    state = machine.triton_state()
    if state == "absent":
        return Finding("absent: exists for Linux on x86-64 only; kernels are not run")
    return Finding(f"{metadata.version('triton')}, kernels are {state}")


def look_at_jupyterlab() -> Finding:
    """JupyterLab's version."""
    version = _installed_version("jupyterlab")
    if version is None:
        return Finding("missing", "make -B setup", is_broken=True)
    return Finding(version)


def look_at_browser() -> Finding:
    """The browser of the tests; the course itself opens in any."""
    if machine.find_browser() is None:
        return Finding("no Chromium: only `make test` needs it", "apt install chromium")
    return Finding(f"{Path(machine.find_browser()).name} for the tests")


def look_at_folder(folder: Path, variable: str) -> Finding:
    """Whether the folder, or the place where it will be made, can be written."""
    try:
        tempfile.TemporaryFile(dir=machine.nearest_existing(folder)).close()
    except OSError as error:
        remedy = f"set {variable} to a folder that you may write"
        value = f"cannot be written ({error.strerror})"
        return Finding(value, remedy, is_broken=True, place=str(folder))
    return Finding("writable", place=str(folder))


def look_at_cache() -> Finding:
    """Whether data can be kept where it is fetched to."""
    from course_lib.text.sources import cache_folder

    return look_at_folder(cache_folder(), "COURSE_CACHE")


def look_at_data() -> Finding:
    """Which sources have been fetched."""
    from course_lib.text.sources import SOURCES, is_present

    wanted = [name for name, source in SOURCES.items() if not source.optional]
    missing = [name for name in wanted if not is_present(name)]
    if missing:
        value = f"{len(wanted) - len(missing)} of {len(wanted)}, without {', '.join(missing)}"
        return Finding(value, "course data")
    return Finding(f"all {len(wanted)} sources")


LOOKS: dict[str, Callable[[], Finding]] = {
    "Python": look_at_python,
    "packages": look_at_packages,
    "PyTorch": look_at_torch,
    "processor": look_at_processor,
    "speed fp32": lambda: look_at_speed("float32"),
    "speed bf16": lambda: look_at_speed("bfloat16"),
    "memory": look_at_memory,
    "disk": look_at_disk,
    "GPU": look_at_gpu,
    "Triton": look_at_triton,
    "JupyterLab": look_at_jupyterlab,
    "browser": look_at_browser,
    "work": lambda: look_at_folder(work_folder(), "COURSE_HOME"),
    "cache": look_at_cache,
    "data": look_at_data,
}


def _safely(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except ImportError as error:
        return Finding(f"{error.name or error} is missing", "make -B setup", is_broken=True)
    except Exception as error:
        return Finding(f"not found out: {type(error).__name__}: {error}", "report this")


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
