"""Lessons and the web: labels are true, every page passes the rules, answers follow from texts."""

from course_lib.text.filtering import quality_rules
from course_lib.text.stories import english, world
from course_lib.text.stories.lessons import KINDS, TEACHING, cloze_questions, make_web


def test_every_page_of_the_web_passes_the_rules():
    """What the rules cannot see is left: pages from which nothing can be learned."""
    pages = make_web(300, seed=1)
    assert {page.kind for page in pages} == set(KINDS)
    assert [page.text for page in pages if quality_rules(page.text)] == []


def test_only_pages_that_teach_say_who_could_not_do_what():
    for page in make_web(300, seed=2):
        assert ("could not" in page.text) == (page.kind in TEACHING)


def test_the_same_seed_gives_the_same_web_and_another_seed_another():
    assert make_web(20, seed=3) == make_web(20, seed=3) != make_web(20, seed=4)


def test_the_questions_of_the_held_out_split_tell_of_held_out_pairs():
    """Two questions a story; hero and thing never met in training."""
    questions = cloze_questions(30, seed=5)
    assert [question.fact for question in questions] == ["obstacle", "ability"] * 30
    for question in questions:
        words = question.prompt.replace(".", "").split()
        hero = next(word for word in words if word in world.ANIMALS)
        thing = next(word for word in words if word in world.OBJECTS)
        assert world.is_held_out(hero, thing)


def test_an_answer_follows_from_its_prompt():
    """The spot says what the hero could not do, and what the helper did is one of its skills."""
    for question in cloze_questions(30, split="train"):
        words = question.prompt.replace(".", "").split()
        spot = next(word for word in words if word in world.SPOTS)
        if question.fact == "obstacle":
            inability = english.INABILITIES[world.SPOTS[spot].obstacle].format(spot=spot)
            assert question.answer == f" {inability}"
        if question.fact == "ability":
            helper = world.ANIMALS[words[-1]]
            known = {english.ACTIONS[each].format(spot=spot) for each in helper.abilities}
            assert question.answer.strip() in known
