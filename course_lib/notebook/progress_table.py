"""How progress is shown: a table in a notebook, lines of text elsewhere."""

import dataclasses
import html


@dataclasses.dataclass(frozen=True)
class ExerciseProgress:
    """One exercise: `state` is solved, attempted or not attempted."""

    name: str
    minutes: int
    state: str
    has_changed_since: bool = False

    def __str__(self) -> str:
        changed = " (changed since)" if self.has_changed_since else ""
        return f"{self.name}: {self.state}{changed}, {self.minutes} min"


@dataclasses.dataclass(frozen=True)
class ChapterProgress:
    """One chapter's exercises and what they add up to."""

    stem: str
    exercises: tuple[ExerciseProgress, ...]

    def num(self, state: str) -> int:
        """How many exercises are in this state."""
        return sum(exercise.state == state for exercise in self.exercises)

    @property
    def minutes_left(self) -> int:
        """Minutes of the exercises that are not solved."""
        return sum(each.minutes for each in self.exercises if each.state != "solved")

    @property
    def changed(self) -> str:
        """Names of the solved exercises whose answer or checks changed since."""
        return ", ".join(each.name for each in self.exercises if each.has_changed_since)


@dataclasses.dataclass(frozen=True)
class Progress:
    """All chapters; a table in a notebook, lines elsewhere."""

    chapters: tuple[ChapterProgress, ...]
    notice: str = ""

    def __str__(self) -> str:
        width = max((len(chapter.stem) for chapter in self.chapters), default=0)
        lines = [
            f"{chapter.stem:{width}}  {chapter.num('solved')} of {len(chapter.exercises)} solved, "
            f"{chapter.num('attempted')} attempted, {chapter.minutes_left} min left"
            + (f"; changed since: {chapter.changed}" if chapter.changed else "")
            for chapter in self.chapters
        ]
        return "\n".join(filter(None, [self.notice, *lines, self._total()]))

    __repr__ = __str__

    def _total(self) -> str:
        solved = sum(chapter.num("solved") for chapter in self.chapters)
        total = sum(len(chapter.exercises) for chapter in self.chapters)
        minutes = sum(chapter.minutes_left for chapter in self.chapters)
        return f"{solved} of {total} exercises solved, about {minutes} minutes left"

    def _repr_html_(self) -> str:
        columns = ("Chapter", "Solved", "Attempted", "Exercises", "Minutes left", "Changed since")
        head = "".join(f'<th scope="col" style="{_CELL}">{column}</th>' for column in columns)
        rows = "".join(_html_row(chapter) for chapter in self.chapters)
        notice = f"<p>{html.escape(self.notice)}</p>" if self.notice else ""
        return (
            f'{notice}<table style="{_TABLE}"><caption style="{_CAPTION}">{self._total()}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )


_CELL = (
    "text-align: left; padding: 4px 12px; border-bottom: 1px solid var(--jp-border-color1, #888)"
)
_TABLE = (
    "border-collapse: collapse; color: var(--jp-ui-font-color1, inherit); "
    "background: var(--jp-layout-color1, transparent)"
)
_CAPTION = "text-align: left; padding: 4px 12px; color: var(--jp-ui-font-color1, inherit)"


def _html_row(chapter: ChapterProgress) -> str:
    values = (
        chapter.num("solved"),
        chapter.num("attempted"),
        len(chapter.exercises),
        chapter.minutes_left,
        chapter.changed or "none",
    )
    cells = "".join(f'<td style="{_CELL}">{html.escape(str(value))}</td>' for value in values)
    return f'<tr><th scope="row" style="{_CELL}">{html.escape(chapter.stem)}</th>{cells}</tr>'
