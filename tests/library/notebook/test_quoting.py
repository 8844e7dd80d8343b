"""Figures quoted from the record: filled, found outdated, and refused where a mark is broken."""

import pytest

from course_lib.notebook import quoting

ENTRY = {"value": 0.212, "spread": 0.004, "unit": "s", "verdict": "holds"}
RECORD = {
    "C3": ENTRY,
    "C3 Russian": ENTRY | {"value": 1234.0, "spread": None, "unit": "", "verdict": "not here"},
    "C50": ENTRY | {"value": None, "spread": None, "verdict": "not measured here"},
}


def quote(key: str, said: str = "") -> str:
    return f"<!-- claim: {key} -->{said}<!-- /claim -->"


def fill(text: str, *stale: str) -> str:
    old = [RECORD[key] for key in stale]
    return quoting.fill_quotes(text, RECORD, stale=lambda entry: any(entry is one for one in old))


def test_a_quotation_is_the_records_value_and_verdict_and_the_rest_stays():
    text = f"A book takes {quote('C3', 'old')}, and {quote('C3 Russian')}.\n\n{quote('C50')}"
    assert fill(text) == (
        f"A book takes {quote('C3', '0.212 ± 0.004 s (holds)')}, "
        f"and {quote('C3 Russian', '1,234 (not here)')}.\n\n{quote('C50', 'not measured here')}"
    )
    assert fill(fill(text)) == fill(text)
    assert quoting.quoted_keys(text) == ["C3", "C3 Russian", "C50"]


def test_a_stale_entry_is_said_to_be_of_an_earlier_version():
    earlier = quote("C3", "0.212 ± 0.004 s (holds; measured on an earlier version)")
    assert fill(quote("C3"), "C3") == earlier


def test_staleness_alone_makes_no_text_outdated_but_another_value_does():
    for text in (fill(quote("C3")), fill(quote("C3"), "C3")):
        assert quoting.quotes_are_current(text, RECORD)
    assert not quoting.quotes_are_current(quote("C3", "0.2 s (holds)"), RECORD)


def test_a_text_without_quotations_stays_as_it_is():
    assert fill("C3 <!-- a comment --> costs 200 ms") == "C3 <!-- a comment --> costs 200 ms"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- claim: C3 -->1 ms",
        "1 ms<!-- /claim -->",
        "<!-- claim: C3 -->1 ms<!-- claim: C50 -->2<!-- /claim -->",
        "<!--claim: C3-->1 ms<!--/claim-->",
        "<!-- claim C3 -->1 ms<!-- /claim -->",
        quote("C3") + "<!-- /claim -->",
    ],
)
def test_a_broken_mark_is_shown_with_the_form_it_should_have(text):
    with pytest.raises(ValueError, match="a quotation is `<!-- claim: C3 -->"):
        fill(text)


def test_a_claim_that_is_not_recorded_is_named():
    with pytest.raises(ValueError, match=r"'C4' is quoted but not in claims\.json"):
        fill(quote("C4", "1 ms"))
