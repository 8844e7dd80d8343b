"""Tokenizers of real models behind one interface: encode, decode, tokenize, vocab_size.

In reading order: the interface, `load_production_tokenizer`, one small class for each library that
runs them (tiktoken, Hugging Face `tokenizers`, sentencepiece), and `PRODUCTION`: which there are,
of what model and year. Chapter 01 sets them side by side.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from course_lib.text.sources import source_file, source_files, source_folder
from course_lib.text.tokenizers.base import Piece, check_unicode

# Published with Qwen's code (Apache-2.0); the vocabulary file has the ranks only.
_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@runtime_checkable
class ProductionTokenizer(Protocol):
    """What each of them offers; special tokens written in a text are plain text.

    `tokenize` gives the pieces of `encode(text)` with the characters each stands for; tokens that
    share the bytes of one character share its span. A piece's text is what its token decodes to
    alone: '�' where it is a part of a character.
    """

    vocab_size: int

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: list[int]) -> str: ...

    def tokenize(self, text: str) -> list[Piece]: ...


@dataclass(frozen=True)
class ProductionEntry:
    """One real tokenizer: the model that made it known, the year, the algorithm, its source."""

    name: str
    model: str
    year: int
    algorithm: str
    source: str
    load: Callable[[], ProductionTokenizer]


def load_production_tokenizer(name: str) -> ProductionTokenizer:
    """The tokenizer of that name, loaded once a process (0.1-0.4 s).

    SourceError says what to fetch if its vocabulary is not in the cache.
    """
    if name not in PRODUCTION:
        raise ValueError(f"name = {name!r}: there are {', '.join(PRODUCTION)}")
    return _load(name)


@cache
def _load(name: str) -> ProductionTokenizer:
    return PRODUCTION[name].load()


class TiktokenTokenizer:
    """Byte-level BPE of OpenAI's family, run by tiktoken."""

    def __init__(self, encoding: Any, *, offset: int = 0):
        """`offset`: ids that the model reserves before the first rank (Tekken's 1,000)."""
        self.encoding = encoding
        self.offset = offset
        self.vocab_size = encoding.n_vocab + offset

    def encode(self, text: str) -> list[int]:
        """Text -> ids."""
        check_unicode(text)
        ids = self.encoding.encode_ordinary(text)
        return [token + self.offset for token in ids] if self.offset else ids

    def decode(self, ids: list[int]) -> str:
        """Ids -> text; bytes that are no UTF-8 become '�'."""
        return self.encoding.decode([token - self.offset for token in ids])

    def tokenize(self, text: str) -> list[Piece]:
        """The tokens of `encode(text)` with their characters."""
        ids = self.encode(text)
        alone = {
            token: self.encoding.decode_single_token_bytes(token - self.offset)
            for token in set(ids)
        }
        shown = {token: piece.decode(errors="replace") for token, piece in alone.items()}
        spans = byte_spans(text, [len(alone[token]) for token in ids])
        return [Piece(token, shown[token], *span) for token, span in zip(ids, spans, strict=True)]


def byte_spans(text: str, lengths: list[int]) -> Iterator[tuple[int, int]]:
    """Tokens of so many UTF-8 bytes -> the characters (start, end) that each touches."""
    if text.isascii():
        character: Sequence[int] = range(len(text))
    else:
        character = [i for i, letter in enumerate(text) for _ in letter.encode()]
    start = 0
    for length in lengths:
        yield character[start], character[start + length - 1] + 1
        start += length


class HuggingFaceTokenizer:
    """A tokenizer.json, run by Hugging Face `tokenizers`."""

    def __init__(self, tokenizer: Any):
        tokenizer.encode_special_tokens = True  # they are plain text when written in a text
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Text -> ids."""
        check_unicode(text)
        return self.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids

    def decode(self, ids: list[int]) -> str:
        """Ids -> text; bytes that are no UTF-8 become '�'."""
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def tokenize(self, text: str) -> list[Piece]:
        """The tokens of `encode(text)` with the characters they were before normalization."""
        check_unicode(text)
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        alone = {token: self.decode([token]) for token in set(encoding.ids)}
        return [
            Piece(token, alone[token], *span)
            for token, span in zip(encoding.ids, encoding.offsets, strict=True)
        ]


class SentencePieceTokenizer:
    """A SentencePiece model with byte fallback: what it has no piece for becomes '<0xE6>' tokens.

    Every text comes back but one with '▁' (U+2581) in it, which this family reads as a space.
    """

    def __init__(self, processor: Any):
        self.processor = processor
        self.vocab_size = processor.vocab_size()

    def encode(self, text: str) -> list[int]:
        """Text -> ids; a space is put before the first word."""
        check_unicode(text)
        return self.processor.encode(text)

    def decode(self, ids: list[int]) -> str:
        """Ids -> text, without the space before the first word."""
        return self.processor.decode(ids)

    def tokenize(self, text: str) -> list[Piece]:
        """The tokens of `encode(text)` with their characters; '▁' is shown as the space it means.

        The space put before the first word stands for no character: its span is empty.
        """
        check_unicode(text)
        mapping = self.processor.encode(text, return_type="offset_mapping")
        is_byte = {token: self.processor.is_byte(token) for token in set(mapping["ids"])}
        pieces, end = [], len(text)
        rows = list(zip(mapping["ids"], mapping["pieces"], mapping["offsets"], strict=True))
        for token, piece, (start, stop) in reversed(rows):
            if is_byte[token]:
                # Of the bytes of one character only the last is given its span.
                end = stop if stop > start else end
                pieces.append(Piece(token, "�", start, end))
            else:
                pieces.append(Piece(token, piece.replace("▁", " "), start, stop))
        return pieces[::-1]


def _openai(name: str) -> Callable[[], TiktokenTokenizer]:
    def load() -> TiktokenTokenizer:
        import tiktoken

        source_files("litellm")  # says so if they are missing; tiktoken would ask the network
        with _tiktoken_cache():
            return TiktokenTokenizer(tiktoken.get_encoding(name))

    return load


@contextmanager
def _tiktoken_cache() -> Iterator[None]:
    """Let tiktoken find its files, named by the hash of their address, in the course's cache."""
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(source_folder("litellm"))
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _read_ranks(path: Path) -> dict[bytes, int]:
    """tiktoken's format: a line a token, its bytes in base64 and its rank."""
    lines = map(bytes.split, path.read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def _gpt2() -> TiktokenTokenizer:
    """GPT-2's ranks are the first 50,256 of p50k, which adds runs of spaces for code."""
    from tiktoken import Encoding
    from tiktoken_ext.openai_public import r50k_pat_str

    p50k = _read_ranks(source_file("litellm", "ec7223a39ce59f226a68acc30dc1af2788490e15"))
    ranks = {token: rank for token, rank in p50k.items() if rank < 50_256}
    special = {"<|endoftext|>": 50_256}
    return TiktokenTokenizer(
        Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=special)
    )


def _qwen() -> TiktokenTokenizer:
    from tiktoken import Encoding

    ranks = _read_ranks(source_file("dashscope", "qwen.tiktoken"))
    special = {"<|endoftext|>": 151_643, "<|im_start|>": 151_644, "<|im_end|>": 151_645}
    return TiktokenTokenizer(
        Encoding("qwen", pat_str=_QWEN_PATTERN, mergeable_ranks=ranks, special_tokens=special)
    )


def _tekken() -> TiktokenTokenizer:
    """Of the file's 150,000 ranks the model has the first 130,072, after 1,000 special tokens."""
    from tiktoken import Encoding

    file = json.loads(source_file("mistral-common", "tekken_240911.json").read_text("utf-8"))
    config = file["config"]
    num_special = config["default_num_special_tokens"]
    used = file["vocab"][: config["default_vocab_size"] - num_special]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in used}
    encoding = Encoding(
        "tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={}
    )
    return TiktokenTokenizer(encoding, offset=num_special)


def _hugging_face(file: str) -> Callable[[], HuggingFaceTokenizer]:
    def load() -> HuggingFaceTokenizer:
        from tokenizers import Tokenizer

        return HuggingFaceTokenizer(Tokenizer.from_file(str(source_file("litellm", file))))

    return load


def _mistral() -> SentencePieceTokenizer:
    from sentencepiece import SentencePieceProcessor

    model = source_file("mistral-common", "tokenizer.model.v1")
    return SentencePieceTokenizer(SentencePieceProcessor(model_file=str(model)))


_BYTES = "byte-level BPE"
PRODUCTION: dict[str, ProductionEntry] = {
    entry.name: entry
    for entry in (
        ProductionEntry("gpt2", "GPT-2", 2019, _BYTES, "litellm", _gpt2),
        ProductionEntry("p50k", "Codex", 2021, _BYTES, "litellm", _openai("p50k_base")),
        ProductionEntry(
            "claude",
            "Claude 2",
            2023,
            f"NFKC, {_BYTES}",
            "litellm",
            _hugging_face("anthropic_tokenizer.json"),
        ),
        ProductionEntry("cl100k", "GPT-4", 2023, _BYTES, "litellm", _openai("cl100k_base")),
        ProductionEntry(
            "mistral", "Mistral 7B", 2023, "BPE, byte fallback", "mistral-common", _mistral
        ),
        ProductionEntry("qwen", "Qwen", 2023, _BYTES, "dashscope", _qwen),
        ProductionEntry(
            "deepseek",
            "DeepSeek-V3",
            2024,
            _BYTES,
            "litellm",
            _hugging_face("deepseek_tokenizer.json"),
        ),
        ProductionEntry("tekken", "Mistral Nemo", 2024, _BYTES, "mistral-common", _tekken),
        ProductionEntry("o200k", "GPT-4o", 2024, _BYTES, "litellm", _openai("o200k_base")),
    )
}
