"""Markup becomes running text; a dump is read page by page."""

import bz2

import pytest

from course_lib.text.wikipedia import plain_text, read_articles


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''Bold''' and ''italic''", "Bold and italic"),
        ("a [[political philosophy]] of [[self-governance|self-governed]] men", None),
        ("before{{cite|{{nested|x}}|y}} after", "before after"),
        ("a<ref name=x>{{cite|a=b}}</ref> b<ref name=x/> c", "a b c"),
        ("x[[File:A.jpg|thumb|A [[linked]] caption]]y", "xy"),
        ("[[Category:Letters]]\nend", "end"),
        ("== Early life ==\nborn", "Early life\nborn"),
        ("{| class=wikitable\n|-\n| cell\n{|\n| inner\n|}\n|}\nafter", "after"),
        ("see [http://example.org the page] and [http://example.org]", "see the page and"),
        ("* one\n** two\n# three", "one\ntwo\nthree"),
        ("a&nbsp;b &amp;lt; c <!-- not this -->d", "a b < c d"),
        ("name ({{lang|ru|имя}}) is", "name is"),
        ("E = <math>mc^2</math>.", "E = ."),
        ("a {{ that never closes", "a {{ that never closes"),
        ("", ""),
    ],
)
def test_markup_becomes_running_text(markup, text):
    expected = text if text is not None else "a political philosophy of self-governed men"
    assert plain_text(markup) == expected


def test_cleaning_twice_changes_nothing():
    text = plain_text("'''A''' [[b|c]] {{d}}\n\n\n\n== e ==\n* f")
    assert plain_text(text) == text


def test_articles_are_read_without_redirects_and_other_namespaces(tmp_path):
    page = "<page><title>{}</title><ns>{}</ns>{}<revision><text>{}</text></revision></page>"
    dump = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">'
        + page.format("A", 0, "", "first &amp; last")
        + page.format("B", 0, '<redirect title="A"/>', "#REDIRECT")
        + page.format("Talk:A", 1, "", "words")
        + page.format("C", 0, "", "")
        + "</mediawiki>"
    )
    path = tmp_path / "dump.bz2"
    path.write_bytes(bz2.compress(dump.encode()))
    assert list(read_articles(path)) == [
        {"title": "A", "markup": "first & last"},
        {"title": "C", "markup": ""},
    ]
