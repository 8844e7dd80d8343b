r"""Pre-tokenizers: how text is cut into words, which no token crosses.

In reading order: `Split` (by a pattern) and the fixed patterns `Whitespace`, `BertPreTokenizer`,
`Digits`; `ByteLevel` (cuts, then writes every byte as a visible character) and `Metaspace`
(spaces become ▁), `PreTokenizerSequence`. `steps(at_start)` lists what each does as rewrites and
cuts; `at_start` is true for the part of the text that begins it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from course_lib.text.tokenizers.alignment import Cut, Rewrite, Segments, Span
from course_lib.text.tokenizers.normalizers import Replace, TextPattern, parts

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT4_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
SINGLE_DIGITS_PATTERN = GPT4_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
"""GPT-4's with every digit a word of its own: a model that has numbers as single tokens learns the
form of a sum and not the sum."""

Behavior = Literal["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def byte_characters() -> list[str]:
    """A visible character for each byte: itself if printable Latin-1, else the next from U+0100.

    GPT-2's table: b" " -> "Ġ".
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte if byte in visible else 0x100 + hidden.index(byte)) for byte in range(256)]


BYTE_CHARACTERS = byte_characters()
BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}
TO_CHARACTERS = dict(enumerate(BYTE_CHARACTERS))


def write_bytes(data: bytes) -> str:
    """Bytes as visible characters."""
    return data.decode("latin-1").translate(TO_CHARACTERS)


@dataclass(frozen=True)
class WriteBytes:
    """A rewrite: text -> the visible characters of its UTF-8 bytes."""

    def __call__(self, text: str) -> str:
        if text.isascii() and text.isprintable():
            return text.replace(" ", BYTE_CHARACTERS[0x20])  # the others stand for themselves
        return write_bytes(text.encode())

    def segments(self, text: str) -> Segments:
        """A segment for each character."""
        return [(write_bytes(character.encode()), 1) for character in text]


@dataclass(frozen=True)
class PrefixOnce:
    """A rewrite: puts the prefix before text that does not begin with it."""

    prefix: str

    def __call__(self, text: str) -> str:
        return text if text.startswith(self.prefix) else self.prefix + text

    def segments(self, text: str) -> Segments:
        """The prefix belongs to the first character."""
        if not text or text.startswith(self.prefix):
            return [(text, len(text))]
        return [(self.prefix + text[0], 1), (text[1:], len(text) - 1)]


@dataclass(frozen=True)
class Split:
    r"""Cuts at the matches of a pattern; `invert` takes what lies between for the matches.

    The expression is `regex`'s; Hugging Face's engine differs at \w for ² ³ ¹ ¼ ½ ¾ and the two
    zero-width joiners, and at characters younger than its Unicode tables.
    """

    pattern: TextPattern
    behavior: Behavior = "Isolated"
    invert: bool = False

    def steps(self, at_start: bool) -> Sequence[Rewrite | Cut]:
        """One cut."""
        return [self]

    @cached_property
    def _find_all(self):
        pattern = self.pattern.compiled
        if pattern.groups == 0:
            return pattern.findall
        return lambda text: [match[0] for match in pattern.finditer(text)]

    def __call__(self, text: str) -> list[str]:
        if self.behavior == "Removed" and self.invert:
            return list(filter(None, self._find_all(text)))
        if self.behavior == "Isolated":
            words = self._find_all(text)
            if len("".join(words)) == len(text):
                return list(filter(None, words))
        return [text[start:end] for start, end in self.spans(text)]

    def spans(self, text: str) -> list[Span]:
        """Where the words of `__call__` stand."""
        cut = [(a, b, matched != self.invert) for a, b, matched in parts(text, self.pattern)]
        match self.behavior:
            case "Removed":
                return [(start, end) for start, end, matched in cut if not matched]
            case "Isolated":
                return [(start, end) for start, end, _ in cut]
            case "MergedWithNext":
                turned = [(-end, -start, matched) for start, end, matched in reversed(cut)]
                return [(-end, -start) for start, end in reversed(join_back(turned))]
            case "MergedWithPrevious":
                return join_back(cut)
            case "Contiguous":
                return join_alike(cut)


def join_back(cut: list[tuple[int, int, bool]]) -> list[Span]:
    """Each match joins the stretch before it, unless that ends in a match."""
    spans: list[Span] = []
    before = False
    for start, end, matched in cut:
        if matched and not before and spans:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        before = matched
    return spans


def join_alike(cut: list[tuple[int, int, bool]]) -> list[Span]:
    """Neighbouring matches become one."""
    spans: list[Span] = []
    before = None
    for start, end, matched in cut:
        if matched == before:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        before = matched
    return spans


class FixedSplit:
    """A pre-tokenizer that is a `Split` with nothing to choose."""

    split: Split

    def steps(self, at_start: bool) -> Sequence[Rewrite | Cut]:
        """One cut."""
        return [self.split]


WORDS = Split(TextPattern("Regex", r"\w+|[^\w\s]+"), "Removed", invert=True)
BERT_WORDS = Split(
    TextPattern("Regex", r"[!-/:-@\[-`{-~\p{P}]|[^\s!-/:-@\[-`{-~\p{P}]+"), "Removed", invert=True
)


@dataclass(frozen=True)
class Whitespace(FixedSplit):
    r"""Runs of word characters and runs of others: `\w+|[^\w\s]+`."""

    split = WORDS


@dataclass(frozen=True)
class BertPreTokenizer(FixedSplit):
    """At whitespace, and around every punctuation mark."""

    split = BERT_WORDS


@dataclass(frozen=True)
class Digits:
    """Numbers apart from the rest, each digit alone if `individual_digits`."""

    individual_digits: bool = False

    def steps(self, at_start: bool) -> Sequence[Rewrite | Cut]:
        """One cut."""
        behavior = "Isolated" if self.individual_digits else "Contiguous"
        return [Split(TextPattern("Regex", r"\p{N}"), behavior)]


@dataclass(frozen=True)
class ByteLevel:
    """GPT-2's: cuts with its pattern if `use_regex`, then one character for each UTF-8 byte.

    `trim_offsets` is kept for the file; spans here always include the space.
    """

    add_prefix_space: bool = True
    trim_offsets: bool = True
    use_regex: bool = True

    def steps(self, at_start: bool) -> Sequence[Rewrite | Cut]:
        """Prefix, cut, bytes: those that apply."""
        prefix = [PrefixOnce(" ")] if self.add_prefix_space else []
        cut = [Split(TextPattern("Regex", GPT2_PATTERN))] if self.use_regex else []
        return [*prefix, *cut, WriteBytes()]


@dataclass(frozen=True)
class Metaspace:
    """SentencePiece's: a space becomes `replacement`, and words begin with it.

    `prepend_scheme`: "always", "first" (only where the text begins) or "never".
    """

    replacement: str = "▁"
    prepend_scheme: Literal["always", "first", "never"] = "always"
    split: bool = True

    def __post_init__(self) -> None:
        if len(self.replacement) != 1:
            raise ValueError(f"replacement = {self.replacement!r} must be one character")

    def steps(self, at_start: bool) -> Sequence[Rewrite | Cut]:
        """Replacement, prefix, cut: those that apply."""
        prepends = self.prepend_scheme == "always" or (self.prepend_scheme == "first" and at_start)
        mark = TextPattern("String", self.replacement)
        return [
            Replace(TextPattern("String", " "), self.replacement),
            PrefixOnce(self.replacement if prepends else ""),
            *([Split(mark, "MergedWithNext")] if self.split else []),
        ]


@dataclass(frozen=True)
class PreTokenizerSequence:
    """One after the other, each within the words of the one before; `Sequence` in the file."""

    pretokenizers: tuple

    def steps(self, at_start: bool) -> Sequence[Rewrite | Cut]:
        """All steps, in order."""
        return [step for part in self.pretokenizers for step in part.steps(at_start)]
