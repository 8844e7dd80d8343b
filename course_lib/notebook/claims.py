"""What the lecture claims, measured: `claim` in a chapter, `claims_table` at its end."""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from course_lib.notebook.measurements import CLAIM_MIME, Entry, is_stale, load_record, natural_order
from course_lib.notebook.output import show_html
from course_lib.notebook.presets import chosen_preset
from course_lib.notebook.statements import STATEMENTS

VERDICTS = ("holds", "holds, with a nuance", "not here", "not measured here")


@dataclass(frozen=True)
class Measured:
    """One claim as the running chapter measured it; `spread` is the seeds' standard deviation."""

    key: str
    value: float | None
    spread: float | None
    seeds: int
    unit: str
    verdict: str
    paper: str
    uses: tuple[str, ...] = ()


_measured: dict[str, Measured] = {}


def claim(
    name: str,
    value: Any = None,
    *,
    verdict: str,
    unit: str = "",
    part: str = "",
    paper: str = "",
    uses: Iterable[Any] = (),
) -> None:
    """Show a measured claim beside the recorded thorough run: `claim("C36", slowdowns, ...)`.

    `value` is a number, or one a seed, `[measure(seed) for seed in preset.seeds]`: mean and spread
    are computed here. `verdict` is computed from it in the chapter. `part` tells claims under one
    id apart; `paper` is what the paper reports; `uses` are the functions of course_lib whose change
    makes the record stale. ValueError if the id or the verdict is unknown.
    """
    if name not in STATEMENTS:
        raise ValueError(f"claim {name!r}: the lecture's claims are C1 to C69")
    if verdict not in VERDICTS:
        raise ValueError(f"{name}: verdict = {verdict!r}: it must be one of {', '.join(VERDICTS)}")
    values = _numbers(value, name, verdict)
    row = Measured(
        key=f"{name} {part}".strip(),
        value=_rounded(statistics.fmean(values)) if values else None,
        spread=_rounded(statistics.stdev(values)) if len(values) > 1 else None,
        seeds=len(values),
        unit=unit,
        verdict=verdict,
        paper=paper,
        uses=tuple(map(_reference, _library_functions(uses))),
    )
    _measured[row.key] = row
    recorded = load_record().get(row.key)
    show_html(_row_html(row, recorded), _row_text(row, recorded), more={CLAIM_MIME: asdict(row)})


def claims_table(chapter: str | int) -> None:
    """Show a chapter's claims: words, paper, measured here, measured thoroughly, verdict."""
    number = str(chapter)[:2].zfill(2)
    names = [name for name, statement in STATEMENTS.items() if statement.chapter == number]
    if not names:
        raise ValueError(f"chapter = {chapter!r}: it has no claims")
    record = load_record()
    keys = {key for key in (*_measured, *record) if key.split()[0] in names}
    keys.update(name for name in names if not any(key.split()[0] == name for key in keys))
    lines = [_table_line(key, record.get(key)) for key in sorted(keys, key=natural_order)]
    header = ("claim", "what is said", "paper", "measured here", "measured thoroughly", "verdict")
    show_html(_table_html(header, lines), "\n".join(" | ".join(line) for line in (header, *lines)))


def format_value(row: Measured | Entry | None) -> str:
    """`1.28 ± 0.02 ×`; a dash where nothing was measured."""
    fields = asdict(row) if isinstance(row, Measured) else row or {}
    if fields.get("value") is None:
        return "—"
    spread = f" ± {_number(fields['spread'])}" if fields["spread"] is not None else ""
    return f"{_number(fields['value'])}{spread} {fields['unit']}".strip()


def recorded_note(entry: Entry | None) -> str:
    """How a recorded value came about, and whether its code has changed since."""
    if entry is None:
        return "not measured thoroughly yet"
    stale = "; measured on an earlier version" if is_stale(entry) else ""
    return f"{_seeds(entry['seeds'])}, {entry['seconds']} s, {entry['machine']}{stale}"


def _numbers(value: Any, name: str, verdict: str) -> list[float]:
    if value is None and verdict == "not measured here":
        return []
    import numpy

    try:
        values = numpy.asarray(value, dtype=float).ravel().tolist()
    except (TypeError, ValueError):
        values = []
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"{name}: value = {value!r}: it must be a number, or one per seed")
    return values


def _library_functions(uses: Iterable[Any]) -> list[Callable]:
    """Those whose source is in the library; the chapter's own are in the hash of its cells."""
    functions = list(uses)
    for function in functions:
        if not callable(function):
            raise ValueError(f"uses = {function!r}: give the function itself, not its name")
    ours = ("course_lib.", "kernels.")
    return [each for each in functions if (getattr(each, "__module__", "") or "").startswith(ours)]


def _reference(function: Callable) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")


def _number(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 1000 else f"{number:.3g}"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _row_text(row: Measured, recorded: Entry | None) -> str:
    preset = chosen_preset().name
    words = f"{row.key}: {STATEMENTS[row.key.split()[0]].words}\n"
    if row.value is None:
        return f"{words}  {row.verdict}" + (f"; the paper: {row.paper}" if row.paper else "")
    return (
        f"{words}"
        f"  here ({preset}, {_seeds(row.seeds)}): {format_value(row)}: {row.verdict}\n"
        f"  thorough ({recorded_note(recorded)}): {format_value(recorded)}"
        + (f": {recorded['verdict']}" if recorded else "")
    )


def _row_html(row: Measured, recorded: Entry | None) -> str:
    first, *others = _row_text(row, recorded).split("\n")
    lines = "".join(f"<br>{escape(line.strip())}" for line in others)
    style = "border-left:4px solid #0072B2;padding-left:.7em"
    return f'<p style="{style}"><b>{escape(first)}</b>{lines}</p>'


def _table_line(key: str, recorded: Entry | None) -> tuple[str, ...]:
    row = _measured.get(key)
    paper = row.paper if row else (recorded or {}).get("paper", "")
    verdict = recorded["verdict"] if recorded else row.verdict if row else "not measured yet"
    thorough = format_value(recorded)
    if recorded is None or recorded["value"] is not None:
        thorough += f" ({recorded_note(recorded)})"
    return key, STATEMENTS[key.split()[0]].words, paper or "—", format_value(row), thorough, verdict


def _table_html(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    style = 'style="text-align:left;vertical-align:top"'
    head = "".join(f'<th scope="col" {style}>{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td {style}>{escape(cell)}</td>" for cell in line) + "</tr>"
        for line in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
