"""What a page needs to run a byte-level BPE: its pattern in JavaScript, its tokens as bytes.

In reading order: `PageTokenizer` and how one is made of ours and of tiktoken's, then
`javascript_pattern`.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tiktoken

    from course_lib.text.tokenizers import BPETokenizer


@dataclass(frozen=True)
class PageTokenizer:
    """A byte-level BPE whose ids are its ranks: `tokens[id]` are bytes, merged lowest id first."""

    name: str
    pattern: str
    tokens: tuple[bytes, ...]

    def __post_init__(self) -> None:
        longest = max(self.tokens, key=len, default=b"")
        if len(longest) > 255:
            raise ValueError(f"token {longest[:20]!r}... has {len(longest)} bytes: at most 255")

    def message(self) -> dict[str, Any]:
        """What is sent: all tokens in a row and a byte for each length (GPT-4o's: 1.6 MB)."""
        return {
            "name": self.name,
            "pattern": javascript_pattern(self.pattern),
            "bytes": b"".join(self.tokens),
            "lengths": bytes(map(len, self.tokens)),
        }


def of_ours(name: str, tokenizer: "BPETokenizer", pattern: str) -> PageTokenizer:
    """Of a byte-level tokenizer trained here, with the pattern it was trained with."""
    from course_lib.text.tokenizers.pre_tokenizers import BYTE_OF_CHARACTER

    by_id = sorted(tokenizer.model.vocab, key=tokenizer.model.vocab.__getitem__)
    tokens = (bytes(map(BYTE_OF_CHARACTER.__getitem__, token)) for token in by_id)
    return PageTokenizer(name, pattern, tuple(tokens))


def of_tiktoken(name: str, encoding: "tiktoken.Encoding") -> PageTokenizer:
    """Of one of tiktoken's encodings, without its special tokens."""
    num_tokens = len(encoding.token_byte_values())
    tokens = map(encoding.decode_single_token_bytes, range(num_tokens))
    return PageTokenizer(name, encoding._pat_str, tuple(tokens))


def javascript_pattern(pattern: str) -> str:
    r"""A tokenizer's pattern for JavaScript's flags "gu".

    Possessive quantifiers lose their plus: in these patterns nothing can take back what they gave.
    \s becomes \p{White_Space}, for JavaScript's also has U+FEFF and lacks U+0085. (?i:...) is
    spelled out, as not every browser knows it: s is [sSſ].
    """
    pattern = re.sub(r"(?:(?<=[?*+])|(?<=\d\}))\+", "", pattern)
    pattern = pattern.replace(r"\s", r"\p{White_Space}").replace(r"\S", r"\P{White_Space}")
    return re.sub(r"\(\?i:([^()]*)\)", lambda group: f"(?:{_any_case(group[1])})", pattern)


def _any_case(pattern: str) -> str:
    """ "'[st]|ve" -> "'[sSſtT]|[vV][eE]": letters and classes of letters only."""

    def spelled(letters: re.Match[str]) -> str:
        cases = (
            letter + letter.upper() + "ſ" * (letter == "s") for letter in letters[1] or letters[0]
        )
        return f"[{''.join(cases)}]"

    return re.sub(r"\[([a-z]+)\]|[a-z]", spelled, pattern)
