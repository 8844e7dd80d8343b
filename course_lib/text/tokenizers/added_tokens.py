"""Tokens that are looked for in the text before the model sees it.

In reading order: `AddedToken`, `AddedTokenFinder`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import regex

WHITESPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


@dataclass(frozen=True)
class AddedToken:
    """A token that is looked for in the text before the model sees it.

    `special` ones are found only by `encode(text, special=True)`. `normalized` ones are looked
    for after the normalizer. `lstrip` and `rstrip` swallow the whitespace beside the token;
    `single_word` ones do not match inside a word.
    """

    content: str
    id: int
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = True

    def __post_init__(self) -> None:
        if not self.content:
            raise ValueError(f"the added token with id {self.id} is empty: give it content")


class AddedTokenFinder:
    """Cuts a text at its added tokens: leftmost first, the longest of those."""

    def __init__(self, tokens: dict[str, AddedToken]):
        self.tokens = tokens
        longest_first = sorted(tokens, key=len, reverse=True)
        self.pattern = regex.compile("|".join(map(regex.escape, longest_first)))

    def __call__(self, text: str, special: bool) -> Iterator[tuple[AddedToken | None, int, int]]:
        """(token or None for plain text, start, end), from left to right, nothing empty."""
        done = 0
        for match in self.pattern.finditer(text) if self.tokens else ():
            token = self.tokens[match[0]]
            start, end = match.span()
            if (token.special and not special) or (
                token.single_word and not stands_alone(text, start, end)
            ):
                continue
            if token.lstrip:
                start = max(len(text[:start].rstrip(WHITESPACE)), done)
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip(WHITESPACE))
            if done < start:
                yield None, done, start
            yield token, start, end
            done = end
        if done < len(text):
            yield None, done, len(text)


def stands_alone(text: str, start: int, end: int) -> bool:
    """True if no letter, digit, mark or underscore touches text[start:end]."""
    around = text[start - 1 : start] + text[end : end + 1]
    return not regex.search(r"\w", around)
