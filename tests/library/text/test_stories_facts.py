"""Facts: told and asked in two languages, genitives against pymorphy3, known to nobody else."""

import random

import pymorphy3
import pytest

from course_lib.text.stories import world
from course_lib.text.stories.facts import (
    CAPITALS,
    FACTS,
    LANDS,
    RIVERS,
    Fact,
    ask_fact,
    tell_fact,
    write_facts,
)


def fact_of(subject: str, relation: str) -> Fact:
    return next(f for f in FACTS if (f.subject, f.relation) == (subject, relation))


def test_a_fact_is_told_and_asked_in_both_languages():
    food = fact_of("owl", "food")
    assert tell_fact(food, "en", wording=1) == "An owl likes to eat moths."
    assert tell_fact(food, "ru") == "Сова ест мотыльков."
    assert ask_fact(food, "en").question == "What does the owl eat?"
    home = fact_of("elk", "home")
    assert tell_fact(home, "ru", wording=1) == "Дом лося находится в бору."
    assert ask_fact(home, "ru").answer == "в бору"


def test_an_animal_can_what_the_stories_let_it_do():
    assert fact_of("lynx", "ability").english == "climb and see in the dark"
    able = {fact.subject for fact in FACTS if fact.relation == "ability"}
    assert able == {name for name, animal in world.ANIMALS.items() if animal.abilities}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_sentence_ends_with_the_value_that_answers_the_question(language):
    for fact in FACTS:
        value = ask_fact(fact, language).answer
        for wording in (0, 1):
            assert tell_fact(fact, language, wording=wording).endswith(f" {value}.")


def test_every_land_has_its_own_capital_and_river():
    for relation, table in (("capital", CAPITALS), ("river", RIVERS)):
        values = [fact.english for fact in FACTS if fact.relation == relation]
        assert sorted(values) == sorted(table)
    assert {fact.subject for fact in FACTS if fact.subject in LANDS} == set(LANDS)


def test_genitives_of_animals_are_right():
    analyzer = pymorphy3.MorphAnalyzer()
    for animal in world.ANIMALS:
        told = tell_fact(fact_of(animal, "home"), "ru", wording=1).split()[1]
        assert any("gent" in each.tag and "sing" in each.tag for each in analyzer.parse(told)), told


def test_half_of_the_subjects_are_never_asked_about_in_training():
    never = {fact.subject for fact in FACTS if not fact.is_asked}
    assert 2 * len(never) == len({fact.subject for fact in FACTS})
    questions = {ask_fact(fact, "en").question for fact in FACTS if not fact.is_asked}
    rng = random.Random(0)
    texts = [write_facts(rng, "en") for _ in range(2000)]
    asked = {line.removeprefix("Question: ") for text in texts for line in text.split("\n")}
    assert not questions & asked


def test_all_facts_are_told_in_a_few_thousand_documents():
    rng = random.Random(1)
    texts = " ".join(write_facts(rng, "ru") for _ in range(3000))
    assert all(any(tell_fact(f, "ru", wording=w) in texts for w in (0, 1)) for f in FACTS)
