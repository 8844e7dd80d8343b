"""Wikipedia's markup: reading a dump, and what simple cleaning makes of it.

`read_articles` gives title and markup; `plain_text` keeps what a reader sees as running text.
"""

import bz2
import html
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_DROPPED = re.compile(
    r"<!--.*?-->|<ref[^>]*/>|<(ref|math|gallery|timeline|imagemap|source)\b.*?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_INNERMOST = re.compile(r"\{\{[^{}]*\}\}|\{\|(?:(?!\{\||\|\}).)*\|\}|\{\{\{[^{}]*\}\}\}", re.DOTALL)
_MEDIA = re.compile(
    r"\[\[(?:file|image|category):(?:[^\[\]]|\[\[[^\[\]]*\]\]|\[[^\[\]]*\])*\]\]", re.IGNORECASE
)
_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)*([^\[\]|]*)\]\]")
_EXTERNAL = re.compile(r"\[(?:https?:)?//\S+\s*([^\]]*)\]")
_HEADING = re.compile(r"^(=+)\s*(.*?)\s*\1\s*$", re.MULTILINE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_LIST_MARK = re.compile(r"^[*#:;]+\s*", re.MULTILINE)
_EMPTY_BRACKETS = re.compile(r" ?\(\s*[,;:]*\s*\)")


def read_articles(path: Path) -> Iterator[dict[str, str]]:
    """Articles of a `pages-articles` dump (bz2), one at a time: title and markup; no redirects."""
    page: dict[str, str] = {}
    with bz2.open(path) as stream:
        for _, element in ElementTree.iterparse(stream):
            tag = element.tag.rpartition("}")[2]
            if tag in ("title", "ns", "redirect", "text"):
                page[tag] = element.text or ""
            elif tag == "page":
                if page["ns"] == "0" and "redirect" not in page:
                    yield {"title": page["title"], "markup": page["text"]}
                page = {}
                element.clear()


def plain_text(markup: str) -> str:
    """Markup -> running text: no templates, tables, references, pictures; links keep their words.

    Regular expressions from the inside outwards, since templates nest; unbalanced braces stay.
    """
    text = _DROPPED.sub("", html.unescape(markup))
    text = _until_stable(_INNERMOST, text)
    text = _until_stable(_MEDIA, text)
    text = _LINK.sub(r"\1", text)
    text = _EXTERNAL.sub(r"\1", text)
    text = _HEADING.sub(r"\2", text)
    text = _TAG.sub("", text.replace("'''", "").replace("''", ""))
    text = _EMPTY_BRACKETS.sub("", _LIST_MARK.sub("", text))
    text = html.unescape(text).replace("\xa0", " ")
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip()


def _until_stable(pattern: re.Pattern, text: str) -> str:
    while (shorter := pattern.sub("", text)) != text:
        text = shorter
    return text
