"""Recording verdicts and the table of progress."""

import json
import multiprocessing
import os
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from notebook_cells import ANSWER, CHECK, STUB, code, notebook

from course_lib.notebook import cli, journal, places
from course_lib.notebook.notebooks import write_notebook

STEM = "05_transformer"
TABLE = {
    STEM: (
        SimpleNamespace(name="causal_mask", minutes=10),
        SimpleNamespace(name="attend", minutes=25),
    ),
    "06_<b>training": (SimpleNamespace(name="train", minutes=40),),
}
CHECKS = "def test_it_is_lower(causal_mask):\n    assert causal_mask(2)[0, 1] == 0\n"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "work"))
    write_checks(CHECKS)
    return tmp_path / "work"


def write_checks(source):
    folder = places.ROOT / "tests" / "chapters"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"test_{STEM}.py").write_text("import pytest\n\n\n" + source)


def standing():
    return journal.progress(TABLE).chapters[0].exercises[0]


def test_only_attempts_count(work):
    for verdict in ("not attempted", "library", "unreadable"):
        assert journal.record(STEM, "causal_mask", verdict, ANSWER) == ""
    assert not work.exists()
    assert standing().state == "not attempted"
    journal.record(STEM, "causal_mask", "wrong", STUB)
    assert standing().state == "attempted"
    journal.record(STEM, "causal_mask", "right", ANSWER)
    assert (standing().state, standing().has_changed_since) == ("solved", False)
    with pytest.raises(ValueError, match="verdict = 'fine'"):
        journal.record(STEM, "causal_mask", "fine", ANSWER)


def test_the_first_attempt_and_the_first_solution_keep_their_times(work, monkeypatch):
    for moment, verdict in enumerate(["wrong", "right", "wrong", "right"]):
        monkeypatch.setattr(journal.time, "time", lambda moment=moment: 100.0 + moment)
        journal.record(STEM, "causal_mask", verdict, ANSWER)
    known = json.loads((work / ".course" / "progress.json").read_text())["exercises"]["causal_mask"]
    assert known["attempts"] == 4
    assert [known[each]["time"] for each in ("first", "solved", "last")] == [100, 101, 103]


def test_layout_and_comments_do_not_change_an_answer_but_code_does():
    plain = journal.source_hash("def f(x):\n    return x + 1")
    assert journal.source_hash("    def f( x ): # say\n\n        return (x+1)") == plain
    assert journal.source_hash("y = 2\n\ndef f(x):\n    return x + 1", "f") != plain
    assert journal.source_hash("y = 2\n\ndef f(x): return x + 1", "f") == journal.source_hash(
        "def f(x):\n    return x + 1", "f"
    )
    assert journal.source_hash("def f(x):\n    return x + 2") != plain
    assert journal.source_hash("def f(:") == journal.source_hash("def f(:")


def test_a_later_wrong_answer_or_other_checks_show_as_changed_since():
    journal.record(STEM, "causal_mask", "right", ANSWER)
    write_checks(CHECKS.replace("\n    assert", "  # why\n    assert"))
    assert not standing().has_changed_since
    write_checks(CHECKS.replace("== 0", "is False"))
    assert standing().has_changed_since
    journal.record(STEM, "causal_mask", "right", ANSWER)
    assert not standing().has_changed_since
    journal.record(STEM, "causal_mask", "wrong", ANSWER)
    assert (standing().state, standing().has_changed_since) == ("solved", True)


def save_copy(work, source, *, saved):
    cells = (code("a", "%matplotlib inline\n" + source), CHECK)
    write_notebook(work / f"{STEM}.ipynb", notebook(*cells))
    os.utime(work / f"{STEM}.ipynb", (saved, saved))


def test_the_saved_answer_counts_only_if_it_was_saved_after_the_check(work, monkeypatch):
    monkeypatch.setattr(journal.time, "time", lambda: 1000.0)
    journal.record(STEM, "causal_mask", "right", ANSWER)
    save_copy(work, STUB, saved=900)
    assert not standing().has_changed_since, "Jupyter had not saved the answer yet"
    save_copy(work, ANSWER + "  # mine", saved=1100)
    assert not standing().has_changed_since
    save_copy(work, STUB, saved=1100)
    assert standing().has_changed_since


def test_an_answer_whose_source_is_unknown_is_not_called_changed(work):
    journal.record(STEM, "causal_mask", "right", "")
    save_copy(work, ANSWER, saved=2e9)
    assert not standing().has_changed_since


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b'{"exercises": 3}', b'{"exercises": {"a": {"attempts": 1}}}',
     b'{"exercises": {"a": null}}', b"[" * 99_999],
)  # fmt: skip
def test_a_broken_record_is_kept_aside_and_begun_anew(work, content):
    path = work / ".course" / "progress.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    notice = journal.record(STEM, "causal_mask", "right", ANSWER)
    assert "begins anew" in notice
    assert "\n" not in notice
    [aside] = path.parent.glob("progress.broken.*")
    assert aside.read_bytes() == content
    assert standing().state == "solved"


def test_a_folder_that_cannot_be_written_costs_a_sentence_not_the_verdict(work):
    work.write_text("a file where the folder should be")
    assert "was not recorded" in journal.record(STEM, "causal_mask", "right", ANSWER)
    assert "cannot be read" in str(journal.progress(TABLE))


def record_many(writer):
    for turn in range(10):
        journal.record(STEM, f"{writer}_{turn}", "right", ANSWER, CHECKS)


def test_two_kernels_recording_at_once_lose_nothing(work):
    fork = multiprocessing.get_context("fork")
    kernels = [fork.Process(target=record_many, args=(name,)) for name in "ab"]
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join()
    known = json.loads((work / ".course" / "progress.json").read_text())["exercises"]
    assert len(known) == 20


def test_the_text_says_solved_attempted_and_minutes_left():
    journal.record(STEM, "causal_mask", "right", ANSWER)
    journal.record(STEM, "attend", "wrong", "attend = 1")
    journal.record(STEM, "causal_mask", "wrong", ANSWER)
    assert str(journal.progress(TABLE)).splitlines() == [
        f"{STEM}  1 of 2 solved, 1 attempted, 25 min left; changed since: causal_mask",
        "06_<b>training  0 of 1 solved, 0 attempted, 40 min left",
        "1 of 3 exercises solved, about 65 minutes left",
    ]


class Table(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))


def test_the_table_has_a_caption_headers_with_scope_and_the_themes_colours():
    page = journal.progress(TABLE)._repr_html_()
    table = Table(page)
    assert table.tags.count("caption") == 1
    assert table.tags.count("tr") == 3
    assert "b" not in table.tags, "names are escaped"
    scopes = [attributes.get("scope") for tag, attributes in table.attributes if tag == "th"]
    assert scopes == ["col"] * 6 + ["row"] * 2
    assert "var(--jp-ui-font-color1" in page


def test_the_command_prints_all_or_one_chapters_exercises(monkeypatch, capsys):
    from course_lib.notebook import exercises

    write_notebook(places.ROOT / "chapters" / f"{STEM}.ipynb", notebook())
    monkeypatch.setattr(exercises, "EXERCISES", TABLE)
    assert cli.main(["progress"]) == 0
    assert "0 of 3 exercises solved" in capsys.readouterr().out
    assert cli.main(["progress", "5"]) == 0
    assert "attend: not attempted, 25 min" in capsys.readouterr().out
