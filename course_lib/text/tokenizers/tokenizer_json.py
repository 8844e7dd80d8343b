"""Hugging Face's tokenizer.json: what is written here opens there, and the other way round.

In reading order: `MODELS` (name in the file -> classes), `load_tokenizer` and `write_tokenizer`,
then what they are made of. Whatever is wrong with a file is one ValueError.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_lib.files import write_atomically
from course_lib.text.tokenizers.added_tokens import AddedToken
from course_lib.text.tokenizers.base import Tokenizer
from course_lib.text.tokenizers.baselines import Baseline, WordLevel
from course_lib.text.tokenizers.bpe_model import BPE
from course_lib.text.tokenizers.bpe_tokenizer import BPETokenizer
from course_lib.text.tokenizers.json_parts import (
    PARTS,
    expect,
    read_fields,
    read_part,
    write_fields,
    write_part,
)
from course_lib.text.tokenizers.unigram_tokenizer import UnigramModel, UnigramTokenizer
from course_lib.text.tokenizers.wordpiece import WordPieceModel, WordPieceTokenizer

FILE_NAME = "tokenizer.json"
MAX_BYTES = 256 * 2**20
MODELS: Mapping[str, tuple[type, type[Tokenizer]]] = {
    "BPE": (BPE, BPETokenizer),
    "Unigram": (UnigramModel, UnigramTokenizer),
    "WordPiece": (WordPieceModel, WordPieceTokenizer),
    "WordLevel": (WordLevel, Baseline),
}


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read a tokenizer.json (path: the file, or its folder) as the class of its model."""
    file = Path(path)
    file = file / FILE_NAME if file.is_dir() else file
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
        data = json.loads(file.read_bytes().decode(), object_pairs_hook=without_duplicates)
        return tokenizer_from_json(data)
    except FileNotFoundError:
        raise ValueError(f"{file} does not exist: give a tokenizer.json or its folder") from None
    except RecursionError:
        raise ValueError(f"{file} is no tokenizer: it is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{file} is no tokenizer that can be read: {error}") from None


def write_tokenizer(tokenizer: Tokenizer, path: str | Path) -> Path:
    """Write a tokenizer.json (path: the file, or a folder) in one step, or not at all."""
    file = Path(path)
    file = file if file.suffix == ".json" else file / FILE_NAME
    text = json.dumps(tokenizer_to_json(tokenizer), ensure_ascii=False, indent=1)
    write_atomically(file, text)
    return file


def tokenizer_from_json(data: Any) -> Tokenizer:
    """The tokenizer of a parsed file; ValueError names what is wrong."""
    data = expect(data, dict, "the file")
    model = expect(data.get("model"), dict, "model")
    kind = model.get("type") or guess_type(model)
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"its model is {kind!r}, not one of {', '.join(MODELS)}")
    check_vocabulary(model)
    model_class, tokenizer_class = MODELS[kind]
    tokens = expect(data.get("added_tokens", []), list, "added_tokens")
    return tokenizer_class(
        model_class.from_json(model),
        added_tokens=[read_fields(AddedToken, token, "added_tokens") for token in tokens],
        **{slot: read_part(data.get(slot), slot) for slot in PARTS},
    )


def tokenizer_to_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """What is written: the parts, each under its name."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token.id, **write_fields(token)} for token in tokenizer.added_tokens
        ],
        **{slot: write_part(getattr(tokenizer, slot), slot) for slot in PARTS},
        "model": with_added_tokens(tokenizer),
    }


def with_added_tokens(tokenizer: Tokenizer) -> dict[str, Any]:
    """The model; added tokens go into its vocabulary where the file alone would not fix their ids.

    Hugging Face numbers added tokens itself: from the size of the model's vocabulary upwards.
    """
    model = tokenizer.model.to_json()
    new = [t.id for t in tokenizer.added_tokens if t.content not in tokenizer.model.vocab]
    size = len(tokenizer.model.vocab)
    if new == list(range(size, size + len(new))):
        return model
    if not isinstance(model["vocab"], dict):
        raise ValueError(f"added tokens must have the ids {size}, {size + 1}, ...: they have {new}")
    added = {token.content: token.id for token in tokenizer.added_tokens}
    return model | {"vocab": model["vocab"] | added}


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file; a key that stands twice is a ValueError."""
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return result


def guess_type(model: dict[str, Any]) -> str | None:
    """The model of an old file, which has no type."""
    if "merges" in model:
        return "BPE"
    if "max_input_chars_per_word" in model:
        return "WordPiece"
    return "Unigram" if isinstance(model.get("vocab"), list) else None


def check_vocabulary(model: dict[str, Any]) -> None:
    """ValueError unless a vocabulary given as an object has one id for each token."""
    vocab = model.get("vocab")
    if isinstance(vocab, list):
        return
    vocab = expect(vocab, dict, "the model's vocab")
    for token, number in vocab.items():
        if type(number) is not int or not 0 <= number < 2**32:
            raise ValueError(f"the token {token[:80]!r} has the id {str(number)[:80]}, no number")
    if len(set(vocab.values())) < len(vocab):
        raise ValueError("two tokens of the model's vocab have the same id")
