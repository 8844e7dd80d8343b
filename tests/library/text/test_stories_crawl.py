"""The crawl: labels are true, copies point to clean pages, scores are worked by hand."""

import re
from collections import Counter

import pytest

from course_lib.text.stories import read_trace
from course_lib.text.stories.crawl import KINDS, Page, filter_scores, make_crawl


def is_clean(text, language):
    return all(read_trace(line, language) for line in text.split("\n"))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_only_clean_pages_and_exact_copies_read_as_stories(language):
    pages = make_crawl(400, language=language)
    assert {page.kind for page in pages} == {*KINDS, "clean"}
    for page in pages:
        assert is_clean(page.text, language) == (page.kind in ("clean", "exact copy")), page


def shingles(text):
    words = text.split()
    return {tuple(words[start : start + 3]) for start in range(len(words) - 2)}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_copies_are_of_earlier_clean_pages_and_nearer_than_any_other_page(language):
    pages = make_crawl(300, language=language, seed=2)
    clean = [page for page in pages if page.kind == "clean"]
    for number, page in enumerate(pages):
        if page.copy_of is None:
            assert page.kind not in ("exact copy", "near copy")
            continue
        original = pages[page.copy_of]
        assert page.copy_of < number
        assert original.kind == "clean"
        assert (page.text == original.text) == (page.kind == "exact copy")
        mine = shingles(page.text)
        similarity = [
            len(mine & shingles(c.text)) / len(mine | shingles(c.text)) for c in clean[:60]
        ]
        near = len(mine & shingles(original.text)) / len(mine | shingles(original.text))
        assert near > 0.55
        assert sum(value >= near for value in similarity) <= 1


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_kind_shows_what_its_name_says(language):
    by_kind = {page.kind: page.text for page in make_crawl(400, language=language)}
    assert "cookie" in by_kind["cookie banner"].lower()
    assert by_kind["menu"].count("|") > 10
    assert "<p" in by_kind["markup"]
    sentences = Counter(by_kind["repetition"].split(". "))
    assert max(sentences.values()) >= 5
    assert re.search("Ð|Ñ", by_kind["mojibake"])
    cyrillic = bool(re.search("[а-я]", by_kind["other language"]))
    assert cyrillic == (language == "en")


def test_clean_english_pages_tell_of_cookies_too():
    clean = [page.text for page in make_crawl(400) if page.kind == "clean"]
    assert any("a cookie" in text for text in clean)


def test_the_share_of_dirt_and_the_seed_are_kept():
    assert make_crawl(50, seed=1) == make_crawl(50, seed=1)
    assert make_crawl(50, seed=1) != make_crawl(50, seed=2)
    assert {page.kind for page in make_crawl(50, dirt=0.0)} == {"clean"}
    dirty = sum(page.kind != "clean" for page in make_crawl(1000, dirt=0.3))
    assert 240 < dirty < 360
    with pytest.raises(ValueError, match=r"dirt=1\.5 is a probability"):
        make_crawl(1, dirt=1.5)


def test_scores_of_a_filter_worked_by_hand():
    pages = [Page("", kind) for kind in ("clean", "clean", "menu", "menu", "advert")]
    scores = filter_scores(pages, [True, False, False, True, False])
    assert scores == {"precision": 2 / 3, "recall": 2 / 3, "menu": 0.5, "advert": 1.0}
    assert filter_scores(pages[:2], [True, True]) == {"precision": 1.0, "recall": 1.0}
