"""A page of the crawl under the rules of chapter 08: which of them does it break?"""

from functools import cache
from html import escape

from course_lib.notebook.demos.framework import Choice, Demo, Slider
from course_lib.text.filtering import RULES, quality_rules
from course_lib.text.stories.crawl import KINDS, Page, make_crawl

SHOWN = ("clean", *KINDS)
PAGES_A_KIND = 6
LONGEST = 700


@cache
def pages() -> dict[str, list[Page]]:
    """The first pages of every kind of one crawl."""
    crawl = make_crawl(600, dirt=0.7, seed=8)
    return {kind: [p for p in crawl if p.kind == kind][:PAGES_A_KIND] for kind in SHOWN}


def render(*, kind: str, number: int) -> str:
    """The page as it came, with the seven rules above it: broken ones filled, others empty."""
    text = pages()[kind][number - 1].text
    broken = quality_rules(text)
    marks = "".join(_mark(rule, is_broken=rule in broken) for rule in RULES)
    shown = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    return (
        f'<div role="group" aria-label="{escape(describe(kind=kind, number=number))}">'
        f'<div style="margin-bottom:.6em">{marks}</div>'
        '<pre style="white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;font-size:15px;'
        'line-height:1.4;border-left:4px solid #0072B2;padding-left:.8em">'
        f"{escape(shown)}</pre></div>"
    )


def _mark(rule: str, *, is_broken: bool) -> str:
    look = "background:#D55E00;color:black" if is_broken else "opacity:.75"
    sign = "✗" if is_broken else "✓"
    return (
        f'<span style="display:inline-block;margin:2px;padding:2px 10px;border-radius:12px;'
        f'border:1px solid;font-size:16px;{look}">{sign} {escape(rule)}</span>'
    )


def describe(*, kind: str, number: int) -> str:
    """The label, the verdict, and if they agree."""
    broken = quality_rules(pages()[kind][number - 1].text)
    verdict = f"breaks {', '.join(broken)}" if broken else "breaks no rule"
    agrees = bool(broken) == (kind != "clean")
    return f"Labelled {kind}; it {verdict}: {'right' if agrees else 'not found'}."


DEMO = Demo(
    title="Under the rules: which does this page break?",
    controls={
        "kind": Choice("kind", SHOWN),
        "number": Slider("page", 1, PAGES_A_KIND, 1),
    },
    presets={
        "a menu": {"kind": "menu", "number": 1},
        "a good page": {"kind": "clean", "number": 2},
        "a banner": {"kind": "cookie banner", "number": 1},
        "a near copy": {"kind": "near copy", "number": 1},
    },
    render=render,
    describe=describe,
)
