"""The playground's page, run in a browser, against Python's tokenizers."""

import base64
import os
import random
import re

import pytest

from course_lib.notebook.demos import page_tokenizers
from course_lib.notebook.demos.gallery import tokenizer_playground
from course_lib.notebook.demos.gallery.tokenizer_playground import PRESETS, Playground
from course_lib.notebook.demos.page_tokenizers import PageTokenizer, javascript_pattern
from course_lib.notebook.machine import find_browser
from course_lib.text.production import load_production_tokenizer
from course_lib.text.tokenizers import BPETokenizer
from course_lib.text.tokenizers.pre_tokenizers import GPT2_PATTERN, GPT4_PATTERN

TEXTS = [
    "",
    " ",
    "\n",
    *PRESETS.values(),
    "".join(PRESETS.values()) * 3,
    "\t\t tabs\r\n\r\nand   lines \n \n  x  \n",
    "trailing spaces   ",
    "it's IT'S it'ſ we'll WE'LL 'Re 'vE 'd",
    "\ufeffmark\u0085next\u00a0no-break\u2028line\u3000wide\u200bzero\u180e",
    "\x00\x01\x1c\x1d\x1e\x1f\x7f",
    "e\u0301 cafe\u0301 \u0301alone Z\u0351\u036b\u0343algo",
    "١٢٣٤٥ ⅷ ² ½ 12345678 ๑๒๓",
    "مرحبا بالعالم שלום עולם नमस्ते สวัสดี 你好世界 こんにちは 안녕하세요",
    "𝒜𝓁𝓅𝒽𝒶 𐍈 🀄 👩🏽‍🚀🏳️‍🌈 🇫🇷🇷🇺",
    "ǅ ß ẞ İi̇ ŉ ﬁ Σσς",
    "snake_case camelCase HTTPServer x/y//z !!!\n\n??? /* c */ \\d+",
    "a" * 1000,
    "aaaaaaa baaaaaab " * 5,
]

PIECES = """([entry, texts]) => {
    const bytes = (base64) => new DataView(
        Uint8Array.from(atob(base64), c => c.charCodeAt()).buffer);
    const bpe = new course.BPE(
        { pattern: entry.pattern, bytes: bytes(entry.bytes), lengths: bytes(entry.lengths) });
    return texts.map((text) => {
        const { words, ids } = bpe.encode(text);
        let start = 0;
        return words.flatMap((word, i) => {
            const pieces = course.piecesOf(word, ids[i], bpe.tokens, start);
            start += course.countCharacters(word);
            return pieces.map(({ id, bytes, start, end }) => [id, bytes, start, end]);
        });
    });
}"""


@pytest.fixture(scope="module")
def page():
    """A page with the module that the widget sends, as `course`."""
    if find_browser() is None:
        reason = "no Chromium: apt install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    from course_lib.notebook.demos.tokenizer_widget import TokenizerWidget

    load = """async source => { window.course = await import(
        URL.createObjectURL(new Blob([source], { type: "text/javascript" }))); }"""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=find_browser(), args=options)
        page = browser.new_page()
        page.evaluate(load, TokenizerWidget._esm)
        page.add_style_tag(content=TokenizerWidget._css)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def playground():
    return Playground()


def random_texts(seed, number):
    """Short texts of letters, marks, digits, white space and emoji in any order."""
    generator = random.Random(seed)
    alphabet = "abSſ's'l LдЖ\n\n  \t\r\u0085\ufeff\u00a0.!?/-_123٣½你é\u0301👍🏽\u200d🏴"
    for _ in range(number):
        yield "".join(generator.choices(alphabet, k=generator.randrange(1, 40)))


def sendable(tokenizer):
    """The message with its bytes in base64, for a test's way into the page."""
    return {
        key: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for key, value in tokenizer.message().items()
    }


def assert_page_agrees(page, tokenizer, in_page):
    texts = [*TEXTS, *random_texts(5, 100)]
    found = page.evaluate(PIECES, [sendable(in_page), texts])
    for text, pieces in zip(texts, found, strict=True):
        expected = [
            [piece.id, in_page.tokens[piece.id].hex(" ").upper(), piece.start, piece.end]
            for piece in tokenizer.tokenize(text)
        ]
        assert pieces == expected, text


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.budget(20)
@pytest.mark.parametrize("pattern", [GPT2_PATTERN, GPT4_PATTERN])
def test_the_page_makes_the_same_tokens_and_spans_as_ours(page, pattern):
    texts = [*PRESETS.values(), *random_texts(3, 50)]
    ours = BPETokenizer.train(texts, 600, pattern=pattern)
    assert_page_agrees(page, ours, page_tokenizers.of_ours("ours", ours, pattern))


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.budget(60)
@pytest.mark.needs("litellm")
@pytest.mark.parametrize("name", tokenizer_playground.PRODUCTION_NAMES)
def test_the_page_makes_the_same_tokens_and_spans_as_production(page, name):
    tokenizer = load_production_tokenizer(name)
    assert_page_agrees(page, tokenizer, page_tokenizers.of_tiktoken(name, tokenizer.encoding))


def test_a_pattern_is_rewritten_for_javascript():
    assert javascript_pattern(r"[^\s\p{L}]?+\p{L}++|\p{N}{1,3}+|\S*+") == (
        r"[^\p{White_Space}\p{L}]?\p{L}+|\p{N}{1,3}|\P{White_Space}*"
    )
    assert javascript_pattern("'(?i:[st]|ve)|(?:re)") == "'(?:[sSſtT]|[vV][eE])|(?:re)"


def test_a_token_too_long_for_its_length_byte_is_refused():
    with pytest.raises(ValueError, match="256 bytes: at most 255"):
        PageTokenizer("x", "x", (b"a" * 256,))


def test_tokens_are_sent_once_and_can_be_told_apart():
    message = PageTokenizer("x", "x", (b"a", b"\xd0", b"abc")).message()
    assert message["bytes"] == b"a\xd0abc"
    assert list(message["lengths"]) == [1, 1, 3]


def test_the_book_is_long_enough_to_be_slow(playground):
    book, origin = playground.book
    assert len(book) == 269_000
    assert origin.startswith("The book: rung ")


def test_without_any_source_the_short_texts_stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setenv("CI", "1")
    playground = Playground()
    book, _ = playground.book
    assert len(book) == 269_000
    assert "the short texts" in playground.note


def test_missing_vocabularies_are_said_in_the_note(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    from course_lib.text import production

    production._load.cache_clear()
    playground = Playground()
    assert [tokenizer.name for tokenizer in playground.tokenizers] == ["ours, trained on the book"]
    assert "GPT-4o (2024); run `course data litellm` once" in playground.note


def test_the_strip_shows_four_texts_with_their_numbers(playground):
    strip = playground.strip()
    assert strip.count('role="img" aria-label="') == 4
    for name, text in list(PRESETS.items())[:4]:
        assert name in strip
        assert playground.describe(text) in strip
    assert playground.strip() == strip


def test_nothing_is_loaded_from_elsewhere():
    from course_lib.notebook.demos.tokenizer_widget import TokenizerWidget

    sources = TokenizerWidget._esm + TokenizerWidget._css
    assert not re.search(r"https?://|\bimport\b|@import|url\(", sources)


SHOW = """entry => {
    const bytes = (base64) => new DataView(
        Uint8Array.from(atob(base64), c => c.charCodeAt()).buffer);
    const tokenizers = [{ ...entry, bytes: bytes(entry.bytes), lengths: bytes(entry.lengths) }];
    const long = "the cat and the hat\\n".repeat(5000) + "!";
    const presets = [{ name: "short", text: "the cat" }, { name: "long", text: long }];
    const state = { tokenizers, presets, note: "a note" };
    document.body.replaceChildren(document.createElement("main"));
    course.default.render({ model: { get: name => state[name] }, el: document.body.firstChild });
}"""


@pytest.fixture
def shown(page):
    """The page with a small tokenizer and two texts."""
    ours = BPETokenizer.train(["the cat and the hat\n" * 3, "\u00a0\ufe0f\t" * 9], 280)
    page.evaluate(SHOW, sendable(page_tokenizers.of_ours("ours", ours, GPT4_PATTERN)))
    page.wait_for_selector(".token")
    return page


@pytest.mark.browser
@pytest.mark.slow
def test_keys_pressed_on_a_token_are_not_jupyterlabs(shown):
    # JupyterLab matches the element with the focus before it looks for a mark around it.
    for key in ("Tab", "Tab", "Tab", "Tab", "Tab", "Tab", "ArrowRight", "ArrowRight"):
        shown.keyboard.press(key)
        marked = "document.activeElement.hasAttribute('data-lm-suppress-shortcuts')"
        assert shown.evaluate(marked), key
    assert shown.evaluate("document.activeElement.className") == "token"
    assert "id " in shown.locator(".detail").first.text_content()


@pytest.mark.browser
@pytest.mark.slow
def test_what_has_no_shape_is_shown_by_its_number(shown):
    shown.get_by_label("Text", exact=True).fill("cat\u00a0\ufe0f\tcat\n")
    shown.locator(".tokens").first.get_by_text("U+FE0F").wait_for()
    assert re.fullmatch("c?a?t.*U.00A0U.FE0F⇥.*t↵", shown.locator(".tokens").first.text_content())


@pytest.mark.browser
@pytest.mark.slow
def test_of_a_long_text_only_the_part_in_sight_is_in_the_page(shown):
    shown.get_by_role("button", name="long").click()
    number = """[...document.querySelectorAll(".tokens")].map(
        view => view.querySelectorAll(".token").length)"""
    shown.wait_for_function(f"({number}).every(n => n > 100)")
    assert max(shown.evaluate(number)) < 3000
    shown.evaluate("document.querySelector('.tokens').scrollTop = 1e9")
    shown.locator("[data-about$='characters 100000 to 100001']").wait_for()
    assert max(shown.evaluate(number)) < 3000
