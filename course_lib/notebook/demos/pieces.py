"""Tokens as coloured pieces of HTML, for pages where no JavaScript runs."""

import re
import unicodedata
from collections.abc import Sequence
from html import escape

TINTS = ("86 180 233", "230 159 0", "0 158 115", "204 121 167")
"""Four of Okabe and Ito's colours, spread thin: black ink reads on white, white ink on black."""

_SIGNS = {" ": "·", "\n": "↵", "\t": "⇥", "\r": "␍"}


def shown_bytes(token: bytes) -> str:
    r"""A token to look at: b" a\n" -> "·a↵"; a part of a character is shown in hexadecimal."""
    text = token.decode("utf-8", errors="surrogateescape")
    shown = (_SIGNS.get(letter) or _shown_letter(letter) for letter in text)
    return "".join(shown)


def _shown_letter(letter: str) -> str:
    if 0xDC80 <= ord(letter) <= 0xDCFF:  # surrogateescape's mark of a byte
        return f"{ord(letter) - 0xDC00:02X}"
    shapeless = unicodedata.category(letter) == "Cc" or re.match(r"\s", letter)
    return f"U+{ord(letter):04X}" if shapeless else letter


def coloured_pieces(tokens: Sequence[bytes], alt: str, *, names: Sequence[str] = ()) -> str:
    """The tokens one after the other, a tint each; `names` (ids) stand below them."""
    spans = []
    for number, token in enumerate(tokens):
        shown = escape(shown_bytes(token))
        below = (
            f'<br><small style="font-size:11px">{escape(names[number])}</small>' if names else ""
        )
        spans.append(
            f'<span style="display:inline-block;margin:1px;padding:0 2px;border-radius:3px;'
            f"vertical-align:top;unicode-bidi:isolate;"
            f'background:rgb({TINTS[number % len(TINTS)]} / 38%)">{shown}{below}</span>'
        )
        if b"\n" in token:
            spans.append("<br>")
    return (
        f'<div role="img" aria-label="{escape(alt)}" style="font:16px/1.4 '
        f'var(--jp-code-font-family, monospace)">{"".join(spans)}</div>'
    )
