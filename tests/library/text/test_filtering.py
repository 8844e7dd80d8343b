"""The rules on the labelled crawl: what each is for it finds, and clean pages pass."""

import pytest

from course_lib.text.filtering import RULES, quality_rules
from course_lib.text.stories.crawl import filter_scores, make_crawl

CAUGHT = {
    "en": ("cookie banner", "menu", "markup", "repetition", "gibberish", "mojibake"),
    "ru": ("cookie banner", "menu", "markup", "repetition", "gibberish", "mojibake"),
}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_clean_pages_pass_and_seven_kinds_of_dirt_do_not(language):
    pages = make_crawl(400, language=language, seed=4)
    scores = filter_scores(pages, [not quality_rules(p.text, language=language) for p in pages])
    assert scores["precision"] == 1.0
    for kind in (*CAUGHT[language], "other language", "advert"):
        assert scores[kind] == 1.0, kind
    assert scores["exact copy"] == 0.0, "a rule sees one page: it cannot know of copies"


def test_every_rule_is_the_only_one_to_remove_some_page():
    """No rule is idle: without any of them the crawl, or one of three odd pages, would pass."""
    odd = [
        "The fox and the owl.",
        "The fox and the owl\n" * 5,
        "The 1 and = of 2 3 4 5 6 7 fox 8 9 . owl sat with the cat in the old mill there.",
    ]
    broken = [quality_rules(page.text) for page in make_crawl(400, seed=1)]
    alone = {names[0] for names in (*broken, *map(quality_rules, odd)) if len(names) == 1}
    assert alone == set(RULES)
