"""A claim is checked, shown and recorded; what has changed is measured again, and only that."""

import sys

import nbformat
import pytest

from course_lib.notebook import claims, measurements, places
from course_lib.notebook.claims import claim, claims_table
from course_lib.notebook.cli import main
from course_lib.notebook.commands import claims as command
from course_lib.notebook.measurements import (
    CLAIM_MIME,
    cells_hash,
    claimed_keys,
    is_stale,
    load_record,
    save_record,
    source_hash,
)

ENTRY = {
    "value": 1.28,
    "spread": 0.02,
    "seeds": 3,
    "unit": "×",
    "verdict": "holds",
    "paper": "",
    "chapter": "14_efficiency",
    "seconds": 61,
    "machine": "2 cores",
    "cells": "0",
    "functions": {},
}


def notebook(*sources, outputs=()):
    """A notebook of code cells; `outputs` go to the last."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[-1].outputs = [
        nbformat.v4.new_output("display_data", data={CLAIM_MIME: row}) for row in outputs
    ]
    return nbformat.v4.new_notebook(cells=cells)


def row(key, **changed):
    """What a claim's cell puts out."""
    fields = ("value", "spread", "seeds", "unit", "verdict", "paper")
    return {"key": key, "uses": []} | {name: ENTRY[name] for name in fields} | changed


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    """A checkout of its own with chapters 01 and 14, one claim each, and an empty record."""
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(claims, "_measured", {})
    monkeypatch.delenv("COURSE_PRESET", raising=False)
    (tmp_path / "chapters").mkdir()
    write("01_tokenization", "claim('C2', 0, verdict='holds')")
    write("14_efficiency", "claim('C36', 1.3, verdict='holds', unit='×')")
    return tmp_path


def write(stem, *sources):
    nbformat.write(notebook(*sources), places.ROOT / "chapters" / f"{stem}.ipynb")


@pytest.fixture
def executed(monkeypatch):
    """Chapters are not run: each puts out its claim; the list says which ran, in order."""
    ran = []

    def execute(chapter, folder, *, preset):
        (key,) = claimed_keys(chapter)
        ran.append((key, preset))
        return notebook(*measurements.code_cells(chapter), outputs=[row(key)])

    monkeypatch.setattr(command, "execute", execute)
    return ran


def test_an_unknown_claim_or_verdict_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"C70.*C1 to C69"):
        claim("C70", 1, verdict="holds")
    with pytest.raises(ValueError, match=r"verdict = 'true'.*holds, with a nuance, not here"):
        claim("C36", 1, verdict="true")


@pytest.mark.parametrize("value", [None, [], float("nan"), [1, float("inf")], "fast"])
def test_a_claim_needs_a_finite_number(value):
    with pytest.raises(ValueError, match="C36: value = "):
        claim("C36", value, verdict="holds")


def test_not_measured_here_needs_no_number(capsys):
    claim("C39", paper="7.6 × (A100)", verdict="not measured here")
    shown = capsys.readouterr().out
    assert "not measured here; the paper: 7.6 × (A100)" in shown
    assert "seeds" not in shown


def test_mean_and_spread_over_seeds_are_shown(capsys):
    claim("C36", [1.0, 2.0, 4.5], unit="×", verdict="holds, with a nuance")
    out = capsys.readouterr().out
    assert "(laptop, 3 seeds): 2.5 ± 1.8 ×: holds, with a nuance" in out  # sqrt(6.5 / 2) = 1.803
    assert "not measured thoroughly yet" in out


def test_tensors_and_numpy_numbers_are_values(capsys):
    import numpy
    import torch

    claim("C36", torch.tensor(1.5), verdict="holds")
    claim("C36", [torch.tensor(2.0), torch.tensor(4.0)], verdict="holds")
    claim("C36", numpy.float32(50257), verdict="holds")
    out = capsys.readouterr().out
    assert "1 seed): 1.5:" in out
    assert "2 seeds): 3 ± 1.41:" in out
    assert "1 seed): 50,257:" in out


def test_the_record_is_shown_beside_and_said_to_be_stale(capsys):
    current = cells_hash(measurements.read_chapter("14_efficiency"))
    save_record({"C36": ENTRY | {"cells": current}})
    claim("C36", 1.4, verdict="not here")
    assert "thorough (3 seeds, 61 s, 2 cores): 1.28 ± 0.02 ×: holds\n" in capsys.readouterr().out
    write("14_efficiency", "claim('C36', 1.4, verdict='not here')")
    claim("C36", 1.4, verdict="not here")
    assert "2 cores; measured on an earlier version)" in capsys.readouterr().out


def test_the_table_has_every_claim_of_the_chapter_in_order(capsys):
    save_record({"C36": ENTRY})
    claim("C67", 2, verdict="holds", part="batch", paper="1.9")
    capsys.readouterr()
    claims_table("14_efficiency")
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.count("|") == 5
    assert [line.split(" | ")[0] for line in lines] == ["C35", "C36", "C37", "C67 batch"]
    assert lines[3].split(" | ")[2:4] == ["1.9", "2"]
    assert lines[0].endswith("not measured yet")
    with pytest.raises(ValueError, match="no claims"):
        claims_table(0)


def test_comments_docstrings_and_layout_do_not_make_stale_but_code_does():
    plain = notebook("x = 1", "def f(a):\n    return a + 1")
    dressed = notebook("x = 1  # one", 'def f( a ):\n    """Add."""\n\n    return (a + 1)')
    changed = notebook("x = 2", "def f(a):\n    return a + 1")
    assert cells_hash(plain) == cells_hash(dressed) != cells_hash(changed)


def test_magics_and_other_languages_are_cells_too():
    assert claimed_keys(notebook("%time claim('C1', 1)\n!ls\nclaim('C2', 1)")) == ["C2"]
    assert cells_hash(notebook("%%bash\nls -l |")) != cells_hash(notebook("%%bash\nls |"))


def test_a_changed_library_function_makes_stale(tmp_path, monkeypatch):
    module = tmp_path / "taught.py"
    monkeypatch.syspath_prepend(tmp_path)

    def hash_of(source, name="taught:f"):
        module.write_text(source)
        sys.modules.pop("taught", None)
        import linecache

        linecache.clearcache()
        return source_hash(name)

    first = hash_of("def f(x):\n    return x\n")
    assert hash_of("def f(x):\n    # same\n    return x\n") == first
    assert hash_of("def f(x):\n    return x + 1\n") != first
    assert hash_of("g = 1\n") == source_hash("no_such_module:f") == "gone"


def test_only_functions_of_the_library_are_hashed_by_name(capsys):
    claim("C36", 1, verdict="holds", uses=[cells_hash, len, lambda: 0])
    assert claims._measured["C36"].uses == ("course_lib.notebook.measurements:cells_hash",)
    with pytest.raises(ValueError, match="give the function itself"):
        claim("C36", 1, verdict="holds", uses=["cells_hash"])


def test_keys_are_read_from_the_code_and_must_be_written_out():
    cells = notebook("claim('C12', 1, part='RMSNorm')", "if a:\n    claim('C12', b, part='SwiGLU')")
    assert claimed_keys(cells) == ["C12 RMSNorm", "C12 SwiGLU"]
    with pytest.raises(ValueError, match="plain text"):
        claimed_keys(notebook("claim(name, 1)"))


def test_the_record_is_sorted_and_stable(checkout):
    save_record(dict.fromkeys(("C10", "C2 b", "C2"), ENTRY))
    text = (checkout / "chapters/claims.json").read_bytes()
    assert list(load_record()) == ["C2", "C2 b", "C10"]
    save_record(load_record())
    assert (checkout / "chapters/claims.json").read_bytes() == text
    assert [path.name for path in (checkout / "chapters").glob("*.json")] == ["claims.json"]


def test_a_damaged_record_is_one_sentence(checkout):
    (checkout / "chapters/claims.json").write_text('{"C1": ')
    with pytest.raises(ValueError, match=r"claims.json is damaged .* restore it with git"):
        load_record()


def test_only_missing_and_stale_chapters_run_again(executed, capsys):
    assert main(["claims"]) == 0
    assert executed == [("C2", "thorough"), ("C36", "thorough")]
    assert set(load_record()) == {"C2", "C36"}
    assert not any(map(is_stale, load_record().values()))

    assert main(["claims"]) == 0
    assert len(executed) == 2
    write("14_efficiency", "claim('C36', 2, verdict='holds')")
    assert main(["claims"]) == 0
    assert executed[2:] == [("C36", "thorough")]
    assert main(["claims", "1", "--all"]) == 0
    assert executed[3:] == [("C2", "thorough")]


def test_a_claim_no_longer_made_leaves_the_record(executed):
    main(["claims"])
    write("14_efficiency", "claim('C37', 2, verdict='holds')")
    main(["claims"])
    assert set(load_record()) == {"C2", "C37"}


def test_an_interruption_keeps_the_chapters_that_were_finished(executed, monkeypatch):
    finish = command.execute

    def stop_at_the_second(chapter, folder, *, preset):
        if executed:
            raise KeyboardInterrupt
        return finish(chapter, folder, preset=preset)

    monkeypatch.setattr(command, "execute", stop_at_the_second)
    assert main(["claims"]) == 130
    assert set(load_record()) == {"C2"}
    monkeypatch.setattr(command, "execute", finish)
    assert main(["claims"]) == 0
    assert executed == [("C2", "thorough"), ("C36", "thorough")]


def test_a_chapter_that_fails_is_named_and_the_others_go_on(executed, monkeypatch, capsys):
    finish = command.execute

    def fail_at_the_first(chapter, folder, *, preset):
        if claimed_keys(chapter) == ["C2"]:
            return "KeyError: 'x'"
        return finish(chapter, folder, preset=preset)

    monkeypatch.setattr(command, "execute", fail_at_the_first)
    assert main(["claims"]) == 1
    assert "01_tokenization: failed after 0 s: KeyError: 'x'" in capsys.readouterr().err
    assert set(load_record()) == {"C36"}


@pytest.mark.slow
@pytest.mark.budget(30)
def test_a_chapter_is_really_run_thoroughly(checkout):
    write(
        "01_tokenization",
        "from course_lib.notebook.claims import claim\n"
        "from course_lib.notebook.measurements import cells_hash\n"
        "from course_lib.notebook.presets import chosen_preset",
        "preset = chosen_preset()\nsizes = [10.0 + seed for seed in preset.seeds]",
        "claim('C1', sizes, verdict='holds' if max(sizes) < 13 else 'not here', uses=[cells_hash])",
    )
    assert main(["claims", "01"]) == 0
    entry = load_record()["C1"]
    assert (entry["value"], entry["spread"], entry["seeds"]) == (11.0, 1.0, 3)
    assert entry["verdict"] == "holds"
    assert entry["functions"] == {
        "course_lib.notebook.measurements:cells_hash": source_hash(
            "course_lib.notebook.measurements:cells_hash"
        )
    }
    assert not is_stale(entry)
    assert "cores" in entry["machine"]


@pytest.mark.slow
@pytest.mark.budget(30)
def test_a_cell_that_raises_is_one_line(tmp_path):
    error = command.execute(notebook("1 / 0"), tmp_path, preset="thorough")
    assert error == "ZeroDivisionError: division by zero"
