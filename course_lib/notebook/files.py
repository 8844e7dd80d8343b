"""Files that survive a crash and a second process: atomic writing, a lock."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` as a whole: whoever reads it sees the old file or the new one.

    Killed at any point it leaves at most a hidden `.NAME.*.tmp` beside it. Text is written as
    UTF-8 with the line endings it has. An existing file's permissions are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_permissions(path))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _permissions(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


@contextlib.contextmanager
def locked(path: Path, *, wait_seconds: float = 10.0) -> Iterator[None]:
    """Hold the lock file `path`: one process at a time; OSError when another holds it too long.

    The system frees the lock of a process that dies; the empty file stays.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OSError(
                        f"{path}: another process has held it for {wait_seconds:g} s; "
                        "end that one, or try again"
                    ) from None
                time.sleep(0.01)
        yield
