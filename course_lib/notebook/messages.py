"""What a learner is told: HTML in Jupyter, plain text elsewhere.

The HTML uses JupyterLab's own colours, so it reads in the light and the dark theme, and says
every verdict in words, so it reads aloud.
"""

import html
import re
from dataclasses import dataclass

from course_lib.notebook.mistakes import Mistake
from course_lib.notebook.output import show_html
from course_lib.notebook.running import CheckOutcome

BORDER = {"right": "#009E73", "wrong": "#D55E00", "note": "#0072B2"}  # Okabe-Ito
MARK = {"right": "✓", "wrong": "✗", "note": "·"}


@dataclass(frozen=True)
class Section:
    """A paragraph: `title` in bold, `text` in prose with `code` in backticks, `values` as is."""

    title: str = ""
    text: str = ""
    values: str = ""


@dataclass(frozen=True)
class Message:
    """A headline with its kind ("right", "wrong", "note") and the sections below it."""

    kind: str
    headline: str
    sections: tuple[Section, ...] = ()

    def __str__(self) -> str:
        lines = [f"{MARK[self.kind]} {self.headline}"]
        for section in self.sections:
            prose = f"{section.title}: {section.text}" if section.title and section.text else ""
            lines += [f"  {prose or section.title or section.text}"]
            lines += [f"      {line}" for line in section.values.splitlines()]
        return "\n".join(lines)

    def to_html(self) -> str:
        """The message in JupyterLab's colours, with an ARIA role."""
        role = "alert" if self.kind == "wrong" else "status"
        body = "".join(_section_html(section) for section in self.sections)
        return (
            f'<div role="{role}" style="border-left: 4px solid {BORDER[self.kind]}; '
            'padding: 0.3em 0.9em; color: var(--jp-ui-font-color1, inherit); max-width: 50em">'
            f"<strong>{MARK[self.kind]} {_prose(self.headline)}</strong>{body}</div>"
        )


def _section_html(section: Section) -> str:
    title = f"<strong>{_prose(section.title)}</strong>" if section.title else ""
    between = "<br>" if title and section.text else ""
    values = ""
    if section.values:
        values = (
            '<pre style="margin: 0.3em 0; padding: 0.4em 0.7em; white-space: pre-wrap; '
            "background: var(--jp-layout-color2, rgba(127, 127, 127, 0.15)); "
            f'color: inherit">{html.escape(section.values)}</pre>'
        )
    return f'<div style="margin-top: 0.6em">{title}{between}{_prose(section.text)}{values}</div>'


def _prose(text: str) -> str:
    """Escaped text; `code` in backticks becomes <code>."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def failure_sections(failed: list[CheckOutcome], limit: int = 4) -> tuple[Section, ...]:
    """One section per kind of failure, the first ones in full, the rest counted.

    Checks that failed with the same message are one kind: an error is not told ten times.
    """
    kinds: dict[str, list[CheckOutcome]] = {}
    for outcome in failed:
        kinds.setdefault(outcome.message, []).append(outcome)
    sections = []
    for message, outcomes in list(kinds.items())[:limit]:
        others = f", and {len(outcomes) - 1} more" if len(outcomes) > 1 else ""
        title = f"{MARK['wrong']} {outcomes[0].sentence}{others}"
        sections.append(Section(title, outcomes[0].explanation, message))
    left_out = sum(map(len, kinds.values())) - sum(map(len, list(kinds.values())[:limit]))
    if left_out:
        fail = "check fails" if left_out == 1 else "checks fail"
        sections.append(Section(text=f"... and {left_out} more {fail}"))
    return tuple(sections)


def mistake_sections(mistakes: list[Mistake]) -> tuple[Section, ...]:
    """The named mistakes: what is misunderstood, in the words of the solution."""
    title = "This looks like a known mistake" if len(mistakes) == 1 else "It may be one of these"
    return tuple(
        Section(title if position == 0 else "or", mistake.explanation)
        for position, mistake in enumerate(mistakes)
    )


def tell(message: Message) -> None:
    """Show a message: rich in a notebook, text elsewhere."""
    show_html(message.to_html(), str(message))
