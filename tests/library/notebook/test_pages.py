"""Rendering notebooks as pages with their outputs."""

import pytest
from notebook_cells import code, notebook, text

from course_lib.notebook import cli, pages, places
from course_lib.notebook.notebooks import write_notebook


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    cells = (
        text("head", "# Attention & <more>"),
        code("run", "import os\nprint(6 * 7, os.environ['OMP_NUM_THREADS'])"),
        code("home", "print(os.environ['COURSE_HOME'] == os.getcwd())"),
    )
    write_notebook(tmp_path / "chapters" / "05_transformer.ipynb", notebook(*cells))
    failing = (code("bad", "print('before')\nraise ValueError('two\\nlines')"), code("no", "1"))
    write_notebook(tmp_path / "solutions" / "05_transformer.ipynb", notebook(*failing))
    return tmp_path


@pytest.mark.slow
@pytest.mark.budget(20)
def test_pages_show_outputs_and_failures_are_named(root, capsys):
    assert cli.main(["html"]) == 1
    said = capsys.readouterr()
    assert "solutions/05_transformer.ipynb: code cell 1 raised ValueError: two lines" in said.err
    page = (root / "build/html/chapters/05_transformer.html").read_text()
    assert "42 1" in page
    assert "True" in page
    assert "before" in (root / "build/html/solutions/05_transformer.html").read_text()
    index = (root / "build/html/index.html").read_text()
    assert '<a href="chapters/05_transformer.html">05 Attention &amp; &lt;more&gt;</a>' in index
    assert 'href="solutions/05_transformer.html"' in index


def test_without_execution_the_notebook_is_shown_as_it_is(root, capsys):
    (root / "solutions" / "05_transformer.ipynb").unlink()
    assert cli.main(["html", "5", "--no-execute"]) == 0
    page = (root / "build/html/chapters/05_transformer.html").read_text()
    assert "Attention" in page
    assert "42 1" not in page
    assert "Solutions" not in (root / "build/html/index.html").read_text()
    assert str(pages.pages_folder() / "index.html") in capsys.readouterr().out
