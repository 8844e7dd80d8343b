"""Where each character of a rewritten text came from.

In reading order: `Segments` (what a rewriting step did, piece by piece), `Aligned` (a text that
remembers its original), `Rewrite` and `Cut` (the two kinds of step a pipeline is made of).
"""

from typing import NamedTuple, Protocol, runtime_checkable

Segments = list[tuple[str, int]]
"""(new text, how many characters of the old text it replaces), from left to right."""

Span = tuple[int, int]


@runtime_checkable
class Rewrite(Protocol):
    """A step that changes text; joining `segments(text)` gives `__call__(text)`."""

    def __call__(self, text: str) -> str: ...

    def segments(self, text: str) -> Segments: ...


@runtime_checkable
class Cut(Protocol):
    """A step that cuts text into words; `spans` says where the words of `__call__` stand."""

    def __call__(self, text: str) -> list[str]: ...

    def spans(self, text: str) -> list[Span]: ...


class Aligned(NamedTuple):
    """A text and, for each of its characters, the span of the original text behind it."""

    text: str
    origin: list[Span]

    @classmethod
    def of(cls, text: str) -> "Aligned":
        """The text itself: character i comes from (i, i + 1)."""
        return cls(text, [(i, i + 1) for i in range(len(text))])

    def cut(self, start: int, end: int) -> "Aligned":
        """Characters start..end, with their origin."""
        return Aligned(self.text[start:end], self.origin[start:end])

    def span(self, start: int, end: int) -> Span:
        """What characters start..end cover in the original text."""
        return self.origin[start][0], self.origin[end - 1][1]

    def rewrite(self, segments: Segments) -> "Aligned":
        """The text after a step: equal lengths align one to one, else all to all."""
        origin: list[Span] = []
        position = 0
        for new, length in segments:
            old = self.origin[position : position + length]
            position += length
            if len(new) == length:
                origin += old
            elif new:
                origin += [(old[0][0], old[-1][1])] * len(new)
        return Aligned("".join(new for new, _ in segments), origin)
