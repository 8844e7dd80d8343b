"""Post-processors: the special tokens around a text, as in [CLS] ... [SEP].

`processor(ids)` is what `encode(text, special=True)` returns. Pairs of texts are kept for the
file and not encoded here.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BertProcessing:
    """[CLS] text [SEP]; each is (token, id)."""

    sep: tuple[str, int]
    cls: tuple[str, int]

    def __call__(self, ids: list[int]) -> list[int]:
        return [self.cls[1], *ids, self.sep[1]]


@dataclass(frozen=True)
class ByteLevelProcessing:
    """Trims spans in Hugging Face's, so it changes no ids; `ByteLevel` in the file."""

    add_prefix_space: bool = True
    trim_offsets: bool = True
    use_regex: bool = True

    def __call__(self, ids: list[int]) -> list[int]:
        return ids


@dataclass(frozen=True)
class TemplateProcessing:
    """The tokens of a template around the text.

    `single` is a tuple of token names, with "$A" for the text; `special_tokens` maps each name
    to its ids. `pair` is the template of two texts: "$A", "$B", each with a type id.
    """

    single: tuple[tuple[str, int], ...]
    pair: tuple[tuple[str, int], ...] = (("$A", 0), ("$B", 1))
    special_tokens: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, _ in (*self.single, *self.pair):
            if name not in ("$A", "$B") and name not in self.special_tokens:
                raise ValueError(f"template token {name!r} is not among its special_tokens")

    def __call__(self, ids: list[int]) -> list[int]:
        result: list[int] = []
        for name, _ in self.single:
            result += ids if name == "$A" else self.special_tokens[name]
        return result


@dataclass(frozen=True)
class ProcessorSequence:
    """One after the other; `Sequence` in the file.

    At most one of them may add tokens: Hugging Face's second one adds its own around each of the
    first one's, or stops.
    """

    processors: tuple

    def __post_init__(self) -> None:
        adding = [part for part in self.processors if not isinstance(part, ByteLevelProcessing)]
        if len(adding) > 1:
            names = " and ".join(type(part).__name__ for part in adding)
            raise ValueError(f"the sequence of post-processors has {names}: one may add tokens")

    def __call__(self, ids: list[int]) -> list[int]:
        for processor in self.processors:
            ids = processor(ids)
        return ids
