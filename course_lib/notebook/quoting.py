"""Figures that a page quotes from the record of claims, between two marks that a reader never sees.

`<!-- claim: C3 -->212 ± 4 ms (holds)<!-- /claim -->`: what stands between is written by
`course index` from chapters/claims.json, so that no figure in a text is older than its record.
"""

import re
from collections.abc import Callable

from course_lib.notebook.claims import format_value
from course_lib.notebook.measurements import Entry, is_stale

EARLIER = "; measured on an earlier version"
_QUOTE = re.compile(r"(<!-- claim: (?P<key>[^>]*?) -->)(?P<said>.*?)(<!-- /claim -->)", re.DOTALL)
_MARK = re.compile(r"<!--\s*/?\s*claim\b.*?-->", re.DOTALL)


def quoted_keys(text: str) -> list[str]:
    """Keys of the claims that a text quotes, in order.

    ValueError where a mark is not `<!-- claim: KEY -->` closed by `<!-- /claim -->`.
    """
    quotes, marks = list(_QUOTE.finditer(text)), _MARK.findall(text)
    if len(marks) != 2 * len(quotes):
        found = next((mark for mark in marks if not _is_mark(mark)), marks[-1])
        raise ValueError(f"{found!r}: a quotation is `<!-- claim: C3 -->...<!-- /claim -->`")
    return [quote["key"] for quote in quotes]


def fill_quotes(
    text: str, record: dict[str, Entry], *, stale: Callable[[Entry], bool] = is_stale
) -> str:
    """The text with every quotation as the record has it: value and verdict.

    A stale entry is said to be of an earlier version. ValueError where the record has no such key.
    """
    for key in quoted_keys(text):
        if key not in record:
            raise ValueError(f"claim {key!r} is quoted but not in claims.json: run `make claims`")

    def quote(found: re.Match) -> str:
        entry = record[found["key"]]
        note = EARLIER if stale(entry) else ""
        return f"{found[1]}{_words(entry, note)}{found[4]}"

    return _QUOTE.sub(quote, text)


def quotes_are_current(text: str, record: dict[str, Entry]) -> bool:
    """Does the text quote the record's values and verdicts? Staleness makes no text outdated."""
    plain = text.replace(EARLIER, "")
    return fill_quotes(plain, record, stale=lambda entry: False) == plain


def _is_mark(mark: str) -> bool:
    return bool(re.fullmatch(r"<!-- (claim: C\d+[^>]*|/claim) -->", mark))


def _words(entry: Entry, note: str) -> str:
    """'1.28 ± 0.02 × (holds)', or the verdict alone where nothing could be measured."""
    if entry["value"] is None:
        return f"{entry['verdict']}{note}"
    return f"{format_value(entry)} ({entry['verdict']}{note})"
