"""Byte fallback: what is not in the vocabulary is spelled with 256 byte pieces."""

from __future__ import annotations

from collections.abc import Container, Iterable

BYTE_PIECES: tuple[str, ...] = tuple(f"<0x{byte:02X}>" for byte in range(256))


def byte_fallback(pieces: Iterable[str], vocab: Container[str]) -> list[str]:
    """["The", "€"] -> ["The", "<0xE2>", "<0x82>", "<0xAC>"]: unknown pieces become UTF-8 bytes.

    Pieces in `vocab` stay as they are. With all of BYTE_PIECES in the vocabulary no text is ever
    unknown; a piece costs one token per byte, up to four per character.
    A lone surrogate has no UTF-8 form: ValueError.

    Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226 (SentencePiece). Chapter 01.
    """
    return [
        part
        for piece in pieces
        for part in ([piece] if piece in vocab else map(BYTE_PIECES.__getitem__, _utf8(piece)))
    ]


def _utf8(piece: str) -> bytes:
    try:
        return piece.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(piece[error.start])
        raise ValueError(
            f"piece = {piece!r} has the lone surrogate U+{code:04X}, which is not text: "
            "read the file with errors='replace' or remove it"
        ) from None
