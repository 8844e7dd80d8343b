"""constraints.txt: the version of everything that the requirements bring along.

`uv` resolves for all platforms and every Python from the oldest one up, so that the one file
serves PyTorch's CPU wheel, its CUDA build (nvidia-*, triton) and macOS; lines carry markers.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from course_lib.files import write_atomically

OLDEST_PYTHON = "3.11"
REQUIREMENTS = ("requirements.txt", "tests/requirements.txt")


def write_constraints(root: Path) -> None:
    """Resolve the requirements to their newest dependencies and replace constraints.txt whole.

    ValueError if uv is missing or if no set of versions fits: the file stays as it was.
    """
    command = [_find_uv(), "pip", "compile", "--quiet", "--universal", "--upgrade"]
    command += ["--python", sys.executable, "--python-version", OLDEST_PYTHON]
    command += ["--no-header", "--no-annotate", "--no-emit-package", "llm-training-course"]
    command += REQUIREMENTS
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"constraints.txt is unchanged, uv says: {done.stderr.strip()}")
    write_atomically(root / "constraints.txt", done.stdout)


def differences(before: str, after: str) -> list[str]:
    """'- name==old' and '+ name==new' for each line that only one of the two texts has."""
    old, new = set(before.splitlines()), set(after.splitlines())
    changed = sorted(old ^ new, key=lambda line: (line.lower(), line in new))
    return [f"{'+' if line in new else '-'} {line}" for line in changed]


def _find_uv() -> str:
    uv = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if uv is None:
        raise ValueError("uv is not installed: pip install -r tests/requirements.txt")
    return uv
