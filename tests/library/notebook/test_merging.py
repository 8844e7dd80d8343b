"""The three-way merge: worked cases, then random edit scripts under its invariants."""

import copy
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notebook_cells import (
    ANSWER,
    BASE,
    CHECK,
    HEAD,
    STUB,
    STUB_CELL,
    TASK,
    code,
    ids,
    notebook,
    sources,
    text,
)

from course_lib.notebook.merging import MergeReport, merge
from course_lib.notebook.notebooks import add_missing_ids


def test_untouched_cells_follow_the_course_and_keep_their_outputs():
    shown = [{"output_type": "stream", "name": "stdout", "text": "right"}]
    mine = notebook(HEAD, TASK, STUB_CELL, CHECK | {"outputs": shown, "execution_count": 3})
    new = notebook(HEAD | {"source": "# Attention!"}, TASK, STUB_CELL, code("check", "check(f)"))
    merged, report = merge(BASE, mine, new)
    assert sources(merged) == ["# Attention!", TASK["source"], STUB, "check(f)"]
    assert merged["cells"][3]["outputs"] == shown
    assert merged["cells"][3]["execution_count"] is None
    assert report == MergeReport(changed=("Attention!", "check(f)"))


def test_an_answer_and_an_added_cell_stay_where_they_are_when_the_course_adds():
    mine = notebook(HEAD, TASK, code("stub", ANSWER), code("try", "causal_mask(3)"), CHECK)
    new = notebook(HEAD, text("why", "Why?"), TASK, STUB_CELL, text("tip", "Tip"), CHECK)
    merged, report = merge(BASE, mine, new)
    assert ids(merged) == ["head", "why", "task", "stub", "try", "tip", "check"]
    assert merged["cells"][3]["source"] == ANSWER
    assert report == MergeReport(added=("Why?", "Tip"))


def test_where_both_changed_the_new_cell_stands_below_marked():
    mine = notebook(HEAD, TASK | {"source": "my notes"}, code("stub", "steps = 500"), CHECK)
    base = notebook(HEAD, TASK, code("stub", "steps = 100"), CHECK)
    new = notebook(HEAD, TASK | {"source": "Clearer."}, code("stub", "steps = 200"), CHECK)
    merged, report = merge(base, mine, new)
    assert sources(merged) == [
        "# Attention",
        "my notes",
        "*The course's new version of the cell above:*\n\nClearer.",
        "steps = 500",
        "# The course's new version of the cell above\nsteps = 200",
        CHECK["source"],
    ]
    assert report == MergeReport(conflicts=("Clearer.", "steps = 200"))
    assert merge(base, merged, new)[0] == merged, "an interrupted update adds nothing twice"
    assert merge(new, merged, new) == (merged, MergeReport())


def test_a_new_stub_below_an_answer_does_not_undo_it():
    new_stub = code("stub", STUB.replace("size)", "size, window=None)"))
    mine = notebook(HEAD, TASK, code("stub", ANSWER), CHECK)
    merged, _ = merge(BASE, mine, notebook(HEAD, TASK, new_stub, CHECK))
    namespace = {}
    exec(merged["cells"][2]["source"] + "\n" + merged["cells"][3]["source"], namespace)
    assert namespace["causal_mask"].__code__.co_names[0] == "torch"
    assert "window=None" in merged["cells"][3]["source"]


def test_a_renamed_exercise_leaves_the_answer_and_gives_the_new_stub():
    renamed = code("stub", STUB.replace("causal_mask", "make_mask"))
    mine = notebook(HEAD, TASK, code("stub", ANSWER), CHECK)
    new = notebook(HEAD, TASK, renamed, code("check", "make_mask = check(make_mask)"))
    merged, report = merge(BASE, mine, new)
    assert sources(merged)[2] == ANSWER
    assert sources(merged)[3].endswith(renamed["source"])
    assert sources(merged)[4] == "make_mask = check(make_mask)"
    assert report.conflicts == ("def make_mask",)
    assert report.changed == ("make_mask = check(make_mask)",)


def test_a_cell_magic_stays_the_first_line_of_a_marked_cell():
    base, mine, new = (notebook(code("t", f"%%time\nx = {i}")) for i in range(3))
    assert sources(merge(base, mine, new)[0])[1].splitlines() == [
        "%%time",
        "# The course's new version of the cell above",
        "x = 2",
    ]


def test_a_newer_version_replaces_an_untouched_note_and_spares_a_touched_one():
    versions = [notebook(HEAD, code("run", f"steps = {i}"), CHECK) for i in range(4)]
    mine = notebook(HEAD, code("run", "steps = 'mine'"), CHECK)
    once, _ = merge(versions[0], mine, versions[1])
    twice, _ = merge(versions[1], once, versions[2])
    assert [s for s in sources(twice) if "steps" in s] == [
        "steps = 'mine'",
        "# The course's new version of the cell above\nsteps = 2",
    ]
    twice["cells"][2]["source"] += "  # I tried this"
    thrice, _ = merge(versions[2], twice, versions[3])
    assert [s.splitlines()[-1] for s in sources(thrice) if "steps" in s] == [
        "steps = 'mine'",
        "steps = 3",
        "steps = 2  # I tried this",
    ]


def test_a_note_goes_once_the_learner_takes_the_new_version():
    base, new = (notebook(HEAD, code("run", f"steps = {i}")) for i in (1, 2))
    merged, _ = merge(base, notebook(HEAD, code("run", "mine")), new)
    merged["cells"][1]["source"] = "steps = 2"
    assert ids(merge(new, merged, new)[0]) == ["head", "run"]


def test_deleted_cells_stay_deleted_even_when_the_course_changes_them():
    mine = notebook(HEAD, STUB_CELL)
    new = notebook(HEAD, TASK | {"source": "## The mask\nNow."}, STUB_CELL, CHECK)
    merged, report = merge(BASE, mine, new)
    assert merged == mine
    assert report == MergeReport(still_deleted=("The mask",))


def test_what_the_course_removes_goes_if_untouched_and_stays_marked_if_touched():
    mine = notebook(HEAD, TASK, code("stub", ANSWER), CHECK)
    new = notebook(HEAD, text("end", "End"))
    merged, report = merge(BASE, mine, new)
    assert len(merged["cells"]) == 4
    assert "no longer has the cell below" in merged["cells"][1]["source"]
    assert ids(merged)[2:] == ["stub", "end"]
    assert report.removed == ("The mask", CHECK["source"])
    assert report.orphaned == ("def causal_mask",)
    assert merge(BASE, merged, new)[0] == merged
    assert merge(new, merged, new) == (merged, MergeReport())


def test_cells_move_with_the_course_unless_the_learner_touched_or_moved_them():
    cells = [text(name, name) for name in "abcdef"]
    base = notebook(*cells)
    to_the_end = notebook(*cells[1:], cells[0])
    assert "".join(ids(merge(base, base, to_the_end)[0])) == "bcdefa"
    touched = notebook(text("a", "A"), *cells[1:])
    assert "".join(ids(merge(base, touched, to_the_end)[0])) == "abcdef"
    moved = notebook(*cells[1:3], cells[0], *cells[3:])
    assert "".join(ids(merge(base, moved, to_the_end)[0])) == "bcadef"
    assert merge(base, base, to_the_end)[1].moved == ("a",)
    grown = notebook(*cells, text("g", "g"))
    assert "".join(ids(merge(base, moved, grown)[0])) == "bcadefg"


def test_the_same_change_on_both_sides_is_no_conflict():
    both = notebook(HEAD, TASK, code("stub", ANSWER), CHECK)
    assert merge(BASE, both, both) == (both, MergeReport())


def test_slides_and_tags_follow_the_course_unless_the_learner_set_them():
    base = notebook(HEAD | {"metadata": {"tags": ["a"]}}, TASK)
    mine = notebook(
        HEAD | {"metadata": {"tags": ["a"], "collapsed": True}}, TASK | {"metadata": {"tags": "x"}}
    )
    new = notebook(HEAD | {"metadata": {"tags": ["b"]}}, TASK | {"metadata": {"tags": ["y"]}})
    merged, _ = merge(base, mine, new)
    assert merged["cells"][0]["metadata"] == {"tags": ["b"], "collapsed": True}
    assert merged["cells"][1]["metadata"] == {"tags": "x"}


def test_copied_cells_with_one_id_all_stay_and_the_course_owns_its_own():
    mine = notebook(HEAD, code("check", "my copy"), TASK, STUB_CELL, CHECK, CHECK)
    new = notebook(HEAD, TASK, STUB_CELL, code("check", "check(it)"))
    merged, report = merge(BASE, mine, new)
    assert len(set(ids(merged))) == 6
    assert Counter(sources(merged)) == Counter([*sources(new), "my copy", CHECK["source"]])
    assert report == MergeReport(changed=("check(it)",))


def test_a_notebook_whose_ids_an_old_jupyter_dropped_is_matched_by_its_cells():
    mine = notebook(HEAD, TASK, code("stub", ANSWER), code("try", "my cell"), CHECK)
    for cell in mine["cells"]:
        del cell["id"]
    mine["nbformat_minor"] = 4
    new = notebook(HEAD | {"source": "# New"}, TASK, STUB_CELL, CHECK)
    merged, report = merge(BASE, mine, new)
    assert sources(merged) == ["# New", TASK["source"], ANSWER, "my cell", CHECK["source"]]
    assert report.changed == ("New",)
    assert merged["nbformat_minor"] == 5


def test_without_a_base_every_difference_is_kept_on_both_sides():
    mine = notebook(HEAD, code("stub", ANSWER), code("try", "my cell"))
    merged, report = merge(None, mine, BASE)
    assert Counter(sources(mine)) <= Counter(sources(merged))
    assert ids(merged) == ["head", "task", "stub", "stub-new", "try", "check"]
    assert report.added == ("The mask", CHECK["source"])
    assert report.conflicts == ("def causal_mask",)


def test_hostile_notes_in_the_metadata_are_ignored():
    mine = notebook(
        *(
            code(str(i), "x", metadata={"course": note})
            for i, note in enumerate(
                [7, ["a"], {"new_version_of": [1]}, {"removed": {}, "of": None}]
            )
        )
    )
    assert merge(BASE, mine, BASE)[0] == mine


@st.composite
def edited(draw, cells, writer):
    """`cells` after a random edit script; what it writes is unique to the writer and the edit."""
    cells = copy.deepcopy(cells)
    for step in range(draw(st.integers(0, 8))):
        action = draw(st.sampled_from(["edit", "move", "add", "delete", "duplicate", "retype"]))
        if action == "add" or not cells:
            place = draw(st.integers(0, len(cells)))
            cells.insert(place, text(f"{writer}{step}", f"{writer} adds {step}"))
            continue
        i, j = (draw(st.integers(0, len(cells) - 1)) for _ in range(2))
        if action == "edit":
            cells[i]["source"] = f"{writer} edits {step}"
        elif action == "move":
            cells.insert(j, cells.pop(i))
        elif action == "delete":
            del cells[i]
        elif action == "retype":
            cells[i] = text(cells[i]["id"], cells[i]["source"])
        elif writer == "mine":
            cells.insert(j, copy.deepcopy(cells[i]))
    return cells


COURSE_CELLS = [code(f"c{i}", f"given {i}") for i in range(6)]


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_no_edit_script_makes_a_learners_source_disappear(data):
    base = notebook(*COURSE_CELLS[: data.draw(st.integers(0, 6))])
    mine = notebook(*data.draw(edited(base["cells"], "mine")))
    new = notebook(*data.draw(edited(base["cells"], "new")))
    before = copy.deepcopy((base, mine, new))
    merged, _ = merge(base, mine, new)
    assert (base, mine, new) == before, "the arguments are left alone"

    written = Counter(s for s in sources(mine) if s not in sources(base))
    assert written <= Counter(sources(merged))
    in_order = [s for s in sources(mine) if s in written]
    assert [s for s in sources(merged) if s in written] == in_order
    assert len(set(ids(merged))) == len(merged["cells"])
    kept = {*ids(mine)}
    for cell in new["cells"]:
        is_shown = any(cell["source"] in source for source in sources(merged))
        is_deleted = cell["id"] in ids(base) and cell["id"] not in kept
        assert is_shown or is_deleted or cell["source"] in sources(base)
    assert merge(new, merged, new) == (merged, MergeReport())
    again, _ = merge(base, merged, new)
    assert Counter(sources(again)) == Counter(sources(merged))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_sided_edits_give_exactly_that_side(data):
    base = notebook(*COURSE_CELLS)
    new = notebook(*data.draw(edited(base["cells"], "new")))
    assert merge(base, base, new)[0]["cells"] == new["cells"]
    mine = add_missing_ids(notebook(*data.draw(edited(base["cells"], "mine"))))
    assert merge(base, mine, base) == (mine, MergeReport())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_nothing_is_lost_over_many_updates(data):
    base, mine = notebook(*COURSE_CELLS), notebook(*COURSE_CELLS)
    for turn in range(4):
        mine = notebook(*data.draw(edited(mine["cells"], f"mine {turn}.")))
        new = notebook(*data.draw(edited(base["cells"], f"new {turn}.")))
        written = Counter(s for s in sources(mine) if s.startswith("mine"))
        mine, _ = merge(base, mine, new)
        assert written <= Counter(sources(mine))
        base = new


@pytest.mark.parametrize("side", ["base", "mine", "new"])
def test_an_empty_notebook_on_any_side_is_no_trouble(side):
    three = {"base": BASE, "mine": BASE, "new": BASE} | {side: notebook()}
    merged, _ = merge(*three.values())
    assert sources(merged) == ([] if side in ("mine", "new") else sources(BASE))
