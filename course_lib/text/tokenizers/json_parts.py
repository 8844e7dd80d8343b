"""The parts of a tokenizer.json: normalizers, pre-tokenizers, post-processors, decoders.

In reading order: the tables of names in the file and their classes, `read_part` and `write_part`,
then fields and templates. A part that is not in the tables is refused by name.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from course_lib.text.tokenizers import decoders, normalizers, post_processors, pre_tokenizers
from course_lib.text.tokenizers.normalizers import TextPattern

MAX_NESTING = 20

Parts = Mapping[str, type]

NORMALIZERS: Parts = {
    "NFC": normalizers.NFC,
    "NFKC": normalizers.NFKC,
    "Lowercase": normalizers.Lowercase,
    "StripAccents": normalizers.StripAccents,
    "BertNormalizer": normalizers.BertNormalizer,
    "Replace": normalizers.Replace,
    "Prepend": normalizers.Prepend,
    "Sequence": normalizers.NormalizerSequence,
}
PRE_TOKENIZERS: Parts = {
    "ByteLevel": pre_tokenizers.ByteLevel,
    "Split": pre_tokenizers.Split,
    "Whitespace": pre_tokenizers.Whitespace,
    "BertPreTokenizer": pre_tokenizers.BertPreTokenizer,
    "Metaspace": pre_tokenizers.Metaspace,
    "Digits": pre_tokenizers.Digits,
    "Sequence": pre_tokenizers.PreTokenizerSequence,
}
POST_PROCESSORS: Parts = {
    "ByteLevel": post_processors.ByteLevelProcessing,
    "TemplateProcessing": post_processors.TemplateProcessing,
    "BertProcessing": post_processors.BertProcessing,
    "Sequence": post_processors.ProcessorSequence,
}
DECODERS: Parts = {
    "ByteLevel": decoders.ByteLevelDecoder,
    "WordPiece": decoders.WordPieceDecoder,
    "Metaspace": decoders.MetaspaceDecoder,
    "ByteFallback": decoders.ByteFallbackDecoder,
    "Fuse": decoders.FuseDecoder,
    "Replace": decoders.ReplaceDecoder,
    "Strip": decoders.StripDecoder,
    "Sequence": decoders.DecoderSequence,
}
PARTS: Mapping[str, Parts] = {
    "normalizer": NORMALIZERS,
    "pre_tokenizer": PRE_TOKENIZERS,
    "post_processor": POST_PROCESSORS,
    "decoder": DECODERS,
}


def expect(value: Any, kind: Any, name: str) -> Any:
    """The value, if it has the type; else a ValueError that names it."""
    if not matches(value, kind):
        raise ValueError(f"{name} is {str(value)[:80]!r}, not {describe(kind)}")
    return value


def matches(value: Any, kind: Any) -> bool:
    """True if a value of the file has the type of a field."""
    if isinstance(kind, UnionType):
        return any(matches(value, choice) for choice in get_args(kind))
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    return type(value) is kind or (kind is type(None) and value is None)


def describe(kind: Any) -> str:
    """A type in words."""
    words = {dict: "an object", list: "a list", str: "a text", int: "a number", bool: "a boolean"}
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if isinstance(kind, UnionType):
        return " or ".join(map(describe, get_args(kind)))
    return words.get(kind, "null")


def read_part(data: Any, slot: str, nesting: int = 0) -> Any:
    """A normalizer, pre-tokenizer, post-processor or decoder, or None."""
    if data is None:
        return None
    data = expect(data, dict, slot)
    name = data.get("type")
    if not isinstance(name, str) or name not in PARTS[slot]:
        raise ValueError(f"its {slot} is {str(name)[:80]!r}, not one of {', '.join(PARTS[slot])}")
    kind = PARTS[slot][name]
    if name == "Sequence":
        if nesting == MAX_NESTING:
            raise ValueError(f"its {slot} is nested more than {MAX_NESTING} deep")
        key = fields(kind)[0].name
        children = expect(data.get(key), list, f"{slot} {key}")
        return kind(
            tuple(read_part(expect(child, dict, key), slot, nesting + 1) for child in children)
        )
    if kind is post_processors.TemplateProcessing:
        return read_template(data)
    if kind is post_processors.BertProcessing:
        return kind(*(read_named_id(data.get(name), name) for name in ("sep", "cls")))
    return read_fields(kind, data, f"{slot} {name}")


def read_fields(kind: type, data: Any, name: str) -> Any:
    """A dataclass from the object that has its fields, types checked; others are ignored."""
    data = expect(data, dict, name)
    given = {}
    for field in fields(kind):
        if field.name not in data:
            if field.default is MISSING:
                raise ValueError(f"{name} has no {field.name}")
        elif field.type is TextPattern:
            given[field.name] = read_pattern(data[field.name], name)
        else:
            given[field.name] = expect(data[field.name], field.type, f"{name} {field.name}")
    if kind is pre_tokenizers.Metaspace and data.get("add_prefix_space") is False:
        given["prepend_scheme"] = "never"
    return kind(**given)


def read_pattern(data: Any, name: str) -> TextPattern:
    """{"Regex": ...} or {"String": ...}."""
    if isinstance(data, dict) and len(data) == 1:
        ((kind, text),) = data.items()
        if kind in ("String", "Regex") and isinstance(text, str):
            return TextPattern(kind, text)
    raise ValueError(f'{name} has the pattern {str(data)[:80]}, not {{"Regex": text}} or String')


def read_named_id(data: Any, name: str) -> tuple[str, int]:
    """["[SEP]", 102] -> ("[SEP]", 102)."""
    pair = expect(data, list, name)
    if len(pair) != 2:
        raise ValueError(f"{name} is {str(pair)[:80]}, not a token and its id")
    return expect(pair[0], str, name), expect(pair[1], int, name)


def read_template(data: dict[str, Any]) -> post_processors.TemplateProcessing:
    """A TemplateProcessing from its file form."""
    special: dict[str, tuple[int, ...]] = {}
    for name, token in expect(data.get("special_tokens"), dict, "special_tokens").items():
        ids = expect(expect(token, dict, name).get("ids"), list, f"special_tokens {name}")
        special[name] = tuple(expect(number, int, f"special_tokens {name}") for number in ids)
    templates = []
    for key in ("single", "pair"):
        pieces = expect(data.get(key), list, key)
        templates.append(tuple(read_template_piece(piece, key) for piece in pieces))
    return post_processors.TemplateProcessing(*templates, special)


def read_template_piece(data: Any, name: str) -> tuple[str, int]:
    """{"Sequence": {"id": "A", "type_id": 0}} -> ("$A", 0); a special token has its own name."""
    data = expect(data, dict, name)
    if len(data) != 1 or not {"Sequence", "SpecialToken"} & set(data):
        raise ValueError(f"{name} has {str(data)[:80]}, not a Sequence or a SpecialToken")
    ((kind, piece),) = data.items()
    piece = expect(piece, dict, kind)
    text = expect(piece.get("id"), str, f"{kind} id")
    type_id = expect(piece.get("type_id"), int, f"{kind} type_id")
    if kind == "Sequence" and text not in ("A", "B"):
        raise ValueError(f"{name} has the Sequence {text[:80]!r}, not A or B")
    return (f"${text}" if kind == "Sequence" else text), type_id


def write_part(part: Any, slot: str) -> Any:
    """The file form of a part, or None."""
    if part is None:
        return None
    names = {kind: name for name, kind in PARTS[slot].items()}
    if type(part) not in names:
        raise ValueError(f"{slot} = {part!r} has no form in a tokenizer.json")
    name = names[type(part)]
    if name == "Sequence":
        key = fields(part)[0].name
        return {"type": name, key: [write_part(child, slot) for child in getattr(part, key)]}
    if name == "TemplateProcessing":
        return {"type": name, **write_template(part)}
    return {"type": name, **write_fields(part)}


def write_fields(part: Any) -> dict[str, Any]:
    """The fields of a dataclass, patterns in their file form."""
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {
        name: {value.kind: value.text} if isinstance(value, TextPattern) else value
        for name, value in values.items()
    }


def write_template(part: post_processors.TemplateProcessing) -> dict[str, Any]:
    """The file form of a template."""

    def piece(name: str, type_id: int) -> dict[str, Any]:
        kind = "Sequence" if name in ("$A", "$B") else "SpecialToken"
        return {kind: {"id": name.removeprefix("$") if kind == "Sequence" else name,
                       "type_id": type_id}}  # fmt: skip

    return {
        "single": [piece(*each) for each in part.single],
        "pair": [piece(*each) for each in part.pair],
        "special_tokens": {
            name: {"id": name, "ids": list(ids), "tokens": [name] * len(ids)}
            for name, ids in part.special_tokens.items()
        },
    }
