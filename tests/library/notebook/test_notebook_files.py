"""Reading, stripping and writing notebook files; nbformat is the oracle of the format."""

import json
import os
import threading

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import files
from course_lib.notebook import notebooks


def make_notebook(*cells: tuple[str, str, str]) -> dict:
    """A notebook of (type, id, source) as nbformat itself makes it."""
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return json.loads(
        nbformat.writes(
            nbformat.v4.new_notebook(
                cells=[make[kind](source, id=cell_id) for kind, cell_id, source in cells]
            )
        )
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "05_transformer.ipynb"


def run_notebook():
    notebook = make_notebook(("markdown", "head", "# Заголовок"), ("code", "sum", "1 + 1\n"))
    notebook["cells"][1] |= {
        "execution_count": 7,
        "metadata": {"tags": ["keep"], "collapsed": True, "slideshow": {"slide_type": "slide"}},
        "outputs": [nbformat.v4.new_output("execute_result", {"text/plain": "2"})],
    }
    notebook["metadata"] = {"kernelspec": {"name": "mine"}, "widgets": {"state": 1}}
    return notebook


def test_a_written_notebook_is_what_nbformat_writes(path):
    notebook = run_notebook()
    path.write_text(json.dumps(notebook))
    stripped = notebooks.strip(notebooks.read_notebook(path))
    notebooks.write_notebook(path, stripped)
    nbformat.validate(nbformat.read(path, as_version=nbformat.NO_CONVERT))
    assert path.read_text() == nbformat.writes(nbformat.from_dict(stripped)) + "\n"
    assert "Заголовок" in path.read_text()


def test_stripping_keeps_ids_sources_slides_and_tags_and_nothing_volatile():
    stripped = notebooks.strip(notebooks.parse_notebook(json.dumps(run_notebook()).encode(), "n"))
    cell = stripped["cells"][1]
    assert (cell["id"], cell["source"], cell["execution_count"]) == ("sum", "1 + 1\n", None)
    assert cell["outputs"] == []
    assert cell["metadata"] == {"tags": ["keep"], "slideshow": {"slide_type": "slide"}}
    assert stripped["metadata"]["kernelspec"]["name"] == "python3"
    assert set(stripped["metadata"]) == {"kernelspec", "language_info"}


def test_stripping_twice_changes_nothing_more():
    once = notebooks.strip(notebooks.parse_notebook(json.dumps(run_notebook()).encode(), "n"))
    assert notebooks.strip(once) == once


def test_missing_and_repeated_ids_are_added_the_same_way_every_time(path):
    notebook = make_notebook(*[("code", f"c{i}", "x = 1") for i in range(4)], ("code", "d", "y"))
    for cell in notebook["cells"][:2]:
        del cell["id"]
    notebook["cells"][2]["id"] = notebook["cells"][3]["id"] = "twice"
    notebook["cells"][4]["id"] = "not allowed!"
    path.write_text(json.dumps(notebook))
    ids = [cell["id"] for cell in notebooks.read_notebook(path)["cells"]]
    assert len(set(ids)) == 5
    assert ids[2] == "twice"
    assert ids == [cell["id"] for cell in notebooks.read_notebook(path)["cells"]]
    nbformat.validate(nbformat.from_dict(notebooks.strip(notebooks.read_notebook(path))))


WHOLE = json.dumps(make_notebook(("code", "a", "x"), ("markdown", "b", "text")))


def with_cell(**changes) -> str:
    notebook = json.loads(WHOLE)
    notebook["cells"][1] |= changes
    return json.dumps(notebook)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (WHOLE[:-40].encode(), "not a whole notebook"),
        (b"\xff\xfe" + WHOLE.encode(), "not UTF-8"),
        (WHOLE.encode("utf-16"), "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "no nbformat"),
        (b'{"nbformat": 3, "worksheets": []}', "nbformat = 3"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "no list of cells"),
        (b'{"nbformat": 4, "cells": [], "metadata": {}}', "nbformat_minor"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "cells": []}', "no metadata"),
        (b'{"nbformat": 4, "n": ' + b"9" * 5000 + b"}", "not a notebook"),
        (with_cell(source=5).encode(), "cell 2 (id 'b'): source = 5"),
        (with_cell(source=["a", None]).encode(), "cell 2 (id 'b'): source"),
        (with_cell(cell_type="poem").encode(), "cell 2 (id 'b'): cell_type = 'poem'"),
        (with_cell(metadata=None).encode(), "cell 2 (id 'b'): has no metadata"),
        (with_cell(cell_type="code", outputs=["x"]).encode(), "cell 2 (id 'b'): has no list"),
        (with_cell(source="\ud800").encode(), "surrogate"),
        (WHOLE.replace('"cells": [', '"cells": [17, ').encode(), "cell 1: is not a cell"),
    ],
)
def test_a_broken_file_is_one_sentence_that_names_it(path, content, words):
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        notebooks.read_notebook(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message


def test_missing_linked_special_and_huge_files_are_refused(path, tmp_path, monkeypatch):
    def refused(place, words):
        with pytest.raises(ValueError, match=words):
            notebooks.read_notebook(place)

    refused(path, "no such notebook")
    refused(tmp_path, "not a regular file")
    path.write_text(WHOLE)
    (tmp_path / "link.ipynb").symlink_to(path)
    refused(tmp_path / "link.ipynb", "symbolic link")
    os.mkfifo(tmp_path / "pipe.ipynb")
    refused(tmp_path / "pipe.ipynb", "not a regular file")
    monkeypatch.setattr(notebooks, "MAXIMUM_BYTES", len(WHOLE))
    assert notebooks.read_notebook(path)["nbformat"] == 4
    monkeypatch.setattr(notebooks, "MAXIMUM_BYTES", len(WHOLE) - 1)
    refused(path, "larger than")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), st.integers(0, len(WHOLE)), st.integers(0, 40))
def test_random_damage_is_a_value_error_or_a_notebook(noise, start, length):
    data = WHOLE.encode()[:start] + noise + WHOLE.encode()[start + length :]
    problem = None
    try:
        notebook = notebooks.add_missing_ids(notebooks.parse_notebook(data, "n"))
    except ValueError as error:
        problem = str(error)
    if problem is None:
        notebooks.format_notebook(notebooks.strip(notebook))
    else:
        assert problem.startswith("n: ")
        assert "\n" not in problem


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("markdown", "\n## Causal *mask*\ntext", "Causal *mask*"),
        ("code", "import torch\n\ndef causal_mask(size):\n    pass", "def causal_mask"),
        ("code", "\nx = 1\ny = 2", "x = 1"),
        ("code", " \n", "empty cell"),
        ("code", "a" * 100, "a" * 59 + "…"),
    ],
)
def test_a_title_is_what_a_reader_would_call_the_cell(kind, source, expected):
    assert notebooks.title({"cell_type": kind, "source": source}) == expected


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    path.write_text("old")
    path.chmod(0o640)
    monkeypatch.setattr(files.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
    monkeypatch.undo()
    files.write_atomically(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_lock_excludes_others_and_gives_up_in_words(tmp_path):
    lock = tmp_path / "deep" / "lock"
    caught = []

    def try_to_lock():
        try:
            with files.locked(lock, wait_seconds=0.0):
                caught.append("locked")
        except OSError as error:
            caught.append(str(error))

    for _ in range(2):
        with files.locked(lock):
            thread = threading.Thread(target=try_to_lock)
            thread.start()
            thread.join()
    try_to_lock()
    assert "another process" in caught[0]
    assert caught[2] == "locked"
