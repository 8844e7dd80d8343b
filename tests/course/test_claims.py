"""What the chapters claim is what the record holds: every claim, a known verdict, never a value."""

import pytest

from course_lib.notebook.claims import VERDICTS
from course_lib.notebook.measurements import claimed_keys, load_record, read_chapter
from course_lib.notebook.places import chapter_stems
from course_lib.notebook.statements import STATEMENTS


def test_the_lectures_claims_are_numbered_without_a_gap():
    assert set(STATEMENTS) == {f"C{number}" for number in range(1, 70)}


@pytest.mark.parametrize("stem", chapter_stems())
def test_a_chapter_claims_what_the_lecture_says_there(stem):
    said = {name for name, statement in STATEMENTS.items() if statement.chapter == stem[:2]}
    assert {key.split()[0] for key in claimed_keys(read_chapter(stem))} == said


@pytest.mark.parametrize("stem", chapter_stems())
def test_every_claim_is_in_the_record_with_a_known_verdict(stem):
    keys = claimed_keys(read_chapter(stem))
    record = load_record()
    assert len(keys) == len(set(keys))
    assert not [key for key in keys if key not in record], f"make claims CHAPTER={stem[:2]}"
    assert {record[key]["verdict"] for key in keys} <= set(VERDICTS)


def test_the_record_holds_nothing_that_no_chapter_claims():
    claimed = {key for stem in chapter_stems() for key in claimed_keys(read_chapter(stem))}
    assert set(load_record()) == claimed
