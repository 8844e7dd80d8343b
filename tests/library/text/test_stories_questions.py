"""Questions about stories: the answers are those of the story, and nothing gives them away."""

import dataclasses
import random

import pymorphy3
import pytest

from course_lib.text.stories import make_story
from course_lib.text.stories.questions import answer_options, ask, request_story
from course_lib.text.stories.world import Trace

FACTS = {*Trace.__dataclass_fields__, "obstacle", "ability"}
STORY = Trace(
    hero="frog",
    name="Varya",
    trait="absent-minded",
    time="dawn",
    place="shore",
    activity="singing",
    object="mittens",
    colour="blue",
    cause="hero",
    spot="stone",
    helper="elk",
    helper_trait="kind",
    gift="berries",
)


def answers(trace, language):
    return {
        question.fact: (question.question, question.answer) for question in ask(trace, language)
    }


def test_english_questions_worked_by_hand():
    assert answers(STORY, "en") == {
        "hero": ("Who lost the mittens?", "the frog"),
        "name": ("What was the name of the frog?", "Varya"),
        "trait": ("What was the frog like?", "absent-minded"),
        "time": ("When did it happen?", "one day at dawn"),
        "place": ("Where was the frog singing?", "on the shore"),
        "activity": ("What was the frog doing on the shore?", "singing"),
        "object": ("What did the frog lose?", "the mittens"),
        "colour": ("What colour were the mittens?", "blue"),
        "cause": (
            "Why did the frog lose the mittens?",
            "because she accidentally threw them under a heavy stone",
        ),
        "spot": ("Where did the mittens go?", "under a heavy stone"),
        "obstacle": ("Why did the frog need help?", "because she could not lift the stone"),
        "helper": ("Who helped the frog?", "the elk"),
        "helper_trait": ("What was the elk like?", "kind"),
        "ability": ("What did the elk do?", "lifted the stone"),
        "gift": ("What did the frog give the elk?", "some berries"),
    }


def test_russian_questions_worked_by_hand():
    assert answers(STORY, "ru") == {
        "hero": ("Кто потерял варежки?", "лягушка"),
        "name": ("Как звали лягушку?", "Варя"),
        "trait": ("Какой была лягушка?", "рассеянной"),
        "time": ("Когда это было?", "на рассвете"),
        "place": ("Где пела лягушка?", "на берегу"),
        "activity": ("Что делала лягушка на берегу?", "пела"),
        "object": ("Что потеряла лягушка?", "варежки"),
        "colour": ("Какого цвета были варежки?", "синего"),
        "cause": ("Почему лягушка потеряла варежки?", "потому что она случайно забросила их"),
        "spot": ("Куда попали варежки?", "под тяжёлый камень"),
        "obstacle": (
            "Почему лягушке была нужна помощь?",
            "потому что она не могла поднять камень",
        ),
        "helper": ("Кто помог лягушке?", "лось"),
        "helper_trait": ("Каким был лось?", "добрым"),
        "ability": ("Как лось помог лягушке?", "поднял камень"),
        "gift": ("Что лягушка подарила лосю?", "ягоды"),
    }


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_fact_is_asked_and_its_answer_follows_the_fact(language):
    rng = random.Random(1)
    for _ in range(100):
        trace = make_story(rng).facts
        assert {question.fact for question in ask(trace, language)} == FACTS
        other = dataclasses.replace(trace, gift="pie" if trace.gift != "pie" else "nut")
        changed = {
            fact
            for fact, pair in answers(trace, language).items()
            if pair != answers(other, language)[fact]
        }
        assert changed == {"gift"}


@pytest.mark.parametrize(
    ("language", "facts"),
    [
        ("en", ("name", "trait", "place", "spot", "obstacle", "ability", "gift", "helper_trait")),
        ("ru", ("name", "place", "spot", "obstacle", "ability", "gift", "activity", "time")),
    ],
)
def test_the_answer_stands_in_the_story(language, facts):
    rng = random.Random(2)
    for _ in range(200):
        story = make_story(rng)
        text = story.english if language == "en" else story.russian
        for fact in facts:
            answer = answers(story.facts, language)[fact][1]
            answer = answer.removeprefix("because she ").removeprefix("because he ")
            answer = answer.removeprefix("потому что она ").removeprefix("потому что он ")
            assert answer in text, (fact, answer, text)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_options_are_distinct_and_hold_the_right_answer_at_every_place(language):
    rng = random.Random(3)
    places = set()
    for _ in range(12):
        trace = make_story(rng).facts
        for fact in sorted(FACTS):
            options, index = answer_options(trace, fact, language=language, rng=rng)
            assert len(set(options)) == 4
            assert options[index] == answers(trace, language)[fact][1]
            places.add(index)
    assert places == {0, 1, 2, 3}


def test_the_gender_of_a_verb_gives_no_russian_option_away():
    analyzer = pymorphy3.MorphAnalyzer()
    rng = random.Random(4)
    for _ in range(20):
        trace = make_story(rng).facts
        options, _ = answer_options(trace, "ability", language="ru", rng=rng)
        genders = {
            parse.tag.gender
            for option in options
            for parse in analyzer.parse(option.split()[0])
            if {"VERB", "past"} <= set(parse.tag.grammemes)
        }
        assert len(genders) == 1, options


def test_a_request_names_hero_and_object_in_the_accusative():
    assert request_story(STORY, "en") == (
        "Write a story about an absent-minded frog and blue mittens."
    )
    assert request_story(STORY, "ru") == "Напиши сказку про рассеянную лягушку и синие варежки."
    bear = dataclasses.replace(STORY, hero="bear", name="Misha", object="key")
    assert request_story(bear, "ru") == "Напиши сказку про рассеянного медведя и синий ключ."
