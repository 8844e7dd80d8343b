"""Files that survive a crash and a second process: atomic writing, a lock."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path to write to; what stands there after the block replaces `path` as a whole.

    Written out to the disk first, then renamed: whoever reads `path` finds the old file or the new
    one. Killed at any point it leaves at most a hidden `.NAME.*` folder beside it. An existing
    file's permissions are kept; a new one has those of any new file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        new = Path(folder) / path.name
        new.touch()
        permissions = (path if path.exists() else new).stat().st_mode & 0o777
        yield new
        new.chmod(permissions)
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` as a whole by `content`; text as UTF-8 with the line endings it has."""
    with replacing(path) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


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
