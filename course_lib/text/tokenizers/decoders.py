"""Decoders: tokens back to text, the inverse of what normalizer and pre-tokenizer did.

Each has `chain(tokens)`, which changes the list of tokens; `decoder(tokens)` joins the result.
"""

from dataclasses import dataclass
from functools import cached_property

import regex

from course_lib.text.tokenizers.normalizers import Replace, TextPattern
from course_lib.text.tokenizers.pre_tokenizers import BYTE_OF_CHARACTER

BYTE_TOKEN = regex.compile(r"<0x([0-9A-Fa-f]{2})>")


class Decoder:
    """Tokens -> text, through `chain`."""

    def chain(self, tokens: list[str]) -> list[str]:
        """The tokens after this decoder."""
        raise NotImplementedError

    def __call__(self, tokens: list[str]) -> str:
        return "".join(self.chain(tokens))


class TokenBytes(dict[str, bytes]):
    """Byte-level token -> its bytes; a token with other characters stands for itself."""

    def __missing__(self, token: str) -> bytes:
        try:
            data = bytes(map(BYTE_OF_CHARACTER.__getitem__, token))
        except KeyError:
            data = token.encode()
        self[token] = data
        return data


@dataclass(frozen=True)
class ByteLevelDecoder(Decoder):
    """Visible characters -> bytes -> text; `ByteLevel` in the file."""

    add_prefix_space: bool = True
    trim_offsets: bool = True
    use_regex: bool = True

    @cached_property
    def bytes_of(self) -> TokenBytes:
        """The tokens met so far."""
        return TokenBytes()

    def chain(self, tokens: list[str]) -> list[str]:
        """One text for all."""
        return [b"".join(map(self.bytes_of.__getitem__, tokens)).decode(errors="replace")]


@dataclass(frozen=True)
class ByteFallbackDecoder(Decoder):
    """Runs of <0x..> tokens -> their text, or one replacement character a byte; `ByteFallback`."""

    def chain(self, tokens: list[str]) -> list[str]:
        """Other tokens stay."""
        result: list[str] = []
        waiting = bytearray()
        for token in [*tokens, ""]:
            byte = BYTE_TOKEN.fullmatch(token)
            if byte:
                waiting.append(int(byte[1], 16))
                continue
            if waiting:
                try:
                    result.append(waiting.decode())
                except UnicodeDecodeError:
                    result += "\ufffd" * len(waiting)
                waiting.clear()
            result.append(token)
        return result[:-1]


@dataclass(frozen=True)
class FuseDecoder(Decoder):
    """All tokens as one, for the decoders after it; `Fuse` in the file."""

    def chain(self, tokens: list[str]) -> list[str]:
        """One text for all."""
        return ["".join(tokens)]


@dataclass(frozen=True)
class ReplaceDecoder(Decoder):
    """Replaces within each token; `Replace` in the file."""

    pattern: TextPattern
    content: str

    def chain(self, tokens: list[str]) -> list[str]:
        """Token by token."""
        return list(map(Replace(self.pattern, self.content), tokens))


@dataclass(frozen=True)
class StripDecoder(Decoder):
    """Takes up to `start` and `stop` of `content` off the ends of each token; `Strip`."""

    content: str
    start: int
    stop: int

    def chain(self, tokens: list[str]) -> list[str]:
        """Token by token."""
        return [self.strip(token) for token in tokens]

    def strip(self, token: str) -> str:
        """One token."""
        left = min(self.start, len(token) - len(token.lstrip(self.content)))
        right = min(self.stop, len(token) - len(token.rstrip(self.content)))
        return token[left : max(left, len(token) - right)]


CLEANUP = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


def clean_up(token: str) -> str:
    """Takes out the spaces that English punctuation does not have."""
    for old, new in CLEANUP:
        token = token.replace(old, new)
    return token


@dataclass(frozen=True)
class WordPieceDecoder(Decoder):
    """Spaces between words, none before `prefix`; `WordPiece` in the file."""

    prefix: str = "##"
    cleanup: bool = True

    def chain(self, tokens: list[str]) -> list[str]:
        """Token by token."""
        spaced = tokens[:1] + [
            token.removeprefix(self.prefix) if token.startswith(self.prefix) else f" {token}"
            for token in tokens[1:]
        ]
        return list(map(clean_up, spaced)) if self.cleanup else spaced


@dataclass(frozen=True)
class MetaspaceDecoder(Decoder):
    """▁ -> space, and -> nothing in the first token unless "never"; `Metaspace` in the file.

    It does not know which ▁ was prepended, so spaces that begin a text are lost.
    """

    replacement: str = "▁"
    prepend_scheme: str = "always"
    split: bool = True

    def chain(self, tokens: list[str]) -> list[str]:
        """Token by token."""
        first = " " if self.prepend_scheme == "never" else ""
        return [
            token.replace(self.replacement, " " if i else first) for i, token in enumerate(tokens)
        ]


@dataclass(frozen=True)
class DecoderSequence(Decoder):
    """One after the other; `Sequence` in the file."""

    decoders: tuple

    def chain(self, tokens: list[str]) -> list[str]:
        """Through all."""
        for decoder in self.decoders:
            tokens = decoder.chain(tokens)
        return tokens
