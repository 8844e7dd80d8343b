"""Normalizers: what is done to the text before anything is cut.

In reading order: `NFC` and `NFKC` (Unicode's composed forms), the ones that work character by
character (`Lowercase`, `StripAccents`, `BertNormalizer`), `Replace`, `Prepend`,
`NormalizerSequence`. The fields are those of Hugging Face's tokenizer.json. Each is a rewriting
step: `normalizer(text)`, and `segments(text)` for the spans.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import regex

from course_lib.text.tokenizers.alignment import Rewrite, Segments

CHINESE = regex.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b81f"
    "\U0002b920-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]"
)


@dataclass(frozen=True)
class TextPattern:
    """A literal text or a regular expression: {"String": ...} or {"Regex": ...} in the file.

    In a regular expression ^ and $ stand at lines, as in Hugging Face's.
    """

    kind: Literal["String", "Regex"]
    text: str

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError(f"{self.kind} pattern is empty: it needs something to find")
        _ = self.compiled

    @cached_property
    def compiled(self) -> regex.Pattern:
        """The compiled expression."""
        source = regex.escape(self.text) if self.kind == "String" else self.text
        try:
            return regex.compile(source, regex.MULTILINE)
        except (regex.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"pattern {self.text[:80]!r} is no regular expression: {error}"
            ) from None


def parts(text: str, pattern: TextPattern) -> list[tuple[int, int, bool]]:
    """(start, end, matched) from left to right, covering the text; nothing empty."""
    found, done = [], 0
    for match in pattern.compiled.finditer(text):
        start, end = match.span()
        if start == end:
            continue
        if done < start:
            found.append((done, start, False))
        found.append((start, end, True))
        done = end
    if done < len(text):
        found.append((done, len(text), False))
    return found


class OneStep:
    """A normalizer that is itself the only step."""

    def steps(self) -> Sequence[Rewrite]:
        """The rewriting steps, in order."""
        return [self]


@lru_cache(maxsize=65_536)
def starts_segment(character: str, form: Literal["NFD", "NFKD"]) -> bool:
    """True if normalizing never joins this character to what stands before it."""
    first = unicodedata.normalize(form, character)[0]
    return unicodedata.combining(first) == 0 and not regex.match(r"\p{NFC_QC=Maybe}", first)


class Composed(OneStep):
    """What NFC and NFKC share: a letter and its marks are rewritten together."""

    form: Literal["NFC", "NFKC"]

    def __call__(self, text: str) -> str:
        return unicodedata.normalize(self.form, text)

    def segments(self, text: str) -> Segments:
        """A segment for each letter with its marks."""
        decomposed = self.form.replace("C", "D")
        starts = [i for i, c in enumerate(text) if i == 0 or starts_segment(c, decomposed)]
        ends = [*starts[1:], len(text)]
        return [
            (unicodedata.normalize(self.form, text[start:end]), end - start)
            for start, end in zip(starts, ends if starts else [], strict=True)
        ]


@dataclass(frozen=True)
class NFC(Composed):
    """Composed letters: e + combining accent -> é."""

    form = "NFC"


@dataclass(frozen=True)
class NFKC(Composed):
    """Composed letters, and look-alikes made one: ﬁ -> fi, ５ -> 5."""

    form = "NFKC"


class CharacterTable(dict[int, str]):
    """Code point -> its replacement, computed at the first look-up: for `str.translate`."""

    def __init__(self, replace: Callable[[str], str]):
        super().__init__()
        self.replace = replace

    def __missing__(self, point: int) -> str:
        self[point] = new = self.replace(chr(point))
        return new


class ByCharacter(OneStep):
    """A normalizer that looks at one character at a time."""

    def replacement(self, character: str) -> str:
        """What stands instead of the character, maybe nothing."""
        raise NotImplementedError

    @cached_property
    def table(self) -> CharacterTable:
        """The replacements met so far."""
        return CharacterTable(self.replacement)

    def __call__(self, text: str) -> str:
        return text.translate(self.table)

    def segments(self, text: str) -> Segments:
        """A segment for each character."""
        return [(self.table[ord(character)], 1) for character in text]


@dataclass(frozen=True)
class Lowercase(ByCharacter):
    """Small letters; a capital sigma becomes σ also at the end of a word, unlike `str.lower`."""

    def replacement(self, character: str) -> str:
        """The small letter."""
        return character.lower()


@dataclass(frozen=True)
class StripAccents(ByCharacter):
    """Drops combining marks; composed letters keep theirs, so decompose first."""

    def replacement(self, character: str) -> str:
        """Nothing for a mark."""
        return "" if unicodedata.category(character).startswith("M") else character


@dataclass(frozen=True)
class BertNormalizer(ByCharacter):
    """BERT's: control characters out, spaces around Chinese, accents off, small letters.

    `strip_accents=None` means: if `lowercase`.
    """

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True

    def replacement(self, character: str) -> str:
        """The character after all four."""
        if self.clean_text:
            category = unicodedata.category(character)
            if character in "\t\n\r" or category.startswith("Z"):
                character = " "
            elif character == "\ufffd" or category in ("Cc", "Cf", "Co"):
                return ""
        if self.handle_chinese_chars and CHINESE.match(character):
            return f" {character} "
        strip = self.lowercase if self.strip_accents is None else self.strip_accents
        if strip:
            decomposed = unicodedata.normalize("NFD", character)
            character = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        return "".join(map(str.lower, character)) if self.lowercase else character


@dataclass(frozen=True)
class Replace(OneStep):
    """Puts `content` (taken literally) for every match of the pattern."""

    pattern: TextPattern
    content: str

    def __call__(self, text: str) -> str:
        if self.pattern.kind == "String":
            return text.replace(self.pattern.text, self.content)
        return "".join(new for new, _ in self.segments(text))

    def segments(self, text: str) -> Segments:
        """A segment for each match and each stretch between."""
        return [
            (self.content if matched else text[start:end], end - start)
            for start, end, matched in parts(text, self.pattern)
        ]


@dataclass(frozen=True)
class Prepend(OneStep):
    """Puts `prepend` before every text but an empty one."""

    prepend: str

    def __call__(self, text: str) -> str:
        return self.prepend + text if text else text

    def segments(self, text: str) -> Segments:
        """What is prepended belongs to the first character."""
        if not text:
            return []
        return [(self.prepend + text[0], 1), (text[1:], len(text) - 1)]


@dataclass(frozen=True)
class NormalizerSequence:
    """One after the other; `Sequence` in the file."""

    normalizers: tuple

    def steps(self) -> Sequence[Rewrite]:
        """All steps, in order."""
        return [step for normalizer in self.normalizers for step in normalizer.steps()]
