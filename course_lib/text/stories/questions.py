"""Questions about a story, in both languages, with answers known by construction.

In reading order: one question for every fact, several answers to choose from, and the request for a
story.
"""

import dataclasses
import random
from dataclasses import dataclass
from typing import Literal

from course_lib.text.stories import english, russian, world
from course_lib.text.stories.morphology import past_tense, plain
from course_lib.text.stories.world import Trace

OBJECT_PRONOUNS = {"m": "его", "f": "её", "n": "его", "pl": "их"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one fact of a story, and the answer that the story gives."""

    fact: str
    question: str
    answer: str


def ask(trace: Trace, language: Literal["en", "ru"]) -> list[Question]:
    """One question for every fact of the story: who, where, when, what, why, how.

    "cause", "obstacle" and "ability" answer why and how; the other facts are named in the text.
    """
    world.require("language", language, ("en", "ru"))
    pairs = _ask_english(trace) if language == "en" else _ask_russian(trace)
    return [Question(fact, *pair) for fact, pair in pairs.items()]


def _ask_english(trace: Trace) -> dict[str, tuple[str, str]]:
    told = english.english_slots(trace)
    hero, helper, thing = trace.hero, trace.helper, trace.object
    were, it = ("were", "them") if thing in world.PLURAL_OBJECTS else ("was", "it")
    cause = told["cause"][0].lower() + told["cause"][1:]
    he = english.PRONOUNS[trace.gender][0].lower()
    return {
        "hero": (f"Who lost the {thing}?", f"the {hero}"),
        "name": (f"What was the name of the {hero}?", trace.name),
        "trait": (f"What was the {hero} like?", trace.trait),
        "time": ("When did it happen?", told["time"][0].lower() + told["time"][1:]),
        "place": (f"Where was the {hero} {trace.activity}?", told["place"]),
        "activity": (f"What was the {hero} doing {told['place']}?", trace.activity),
        "object": (f"What did the {hero} lose?", f"the {thing}"),
        "colour": (f"What colour {were} the {thing}?", trace.colour),
        "cause": (f"Why did the {hero} lose the {thing}?", f"because {cause} {it} {told['spot']}"),
        "spot": (f"Where did the {thing} go?", told["spot"]),
        "obstacle": (f"Why did the {hero} need help?", f"because {he} {told['obstacle']}"),
        "helper": (f"Who helped the {hero}?", f"the {helper}"),
        "helper_trait": (f"What was the {helper} like?", trace.helper_trait),
        "ability": (f"What did the {helper} do?", told["ability"]),
        "gift": (f"What did the {hero} give the {helper}?", told["gift"]),
    }


def _ask_russian(trace: Trace) -> dict[str, tuple[str, str]]:
    told = russian.russian_slots(trace)
    hero, helper = russian.ANIMALS[trace.hero], russian.ANIMALS[trace.helper]
    thing, gender = russian.OBJECTS[trace.object], trace.gender
    helper_gender = world.ANIMALS[trace.helper].gender
    thing_gender = russian.words.OBJECTS[trace.object].gender
    cause = told["cause"][0].lower() + told["cause"][1:]
    like = {"m": "Каким был", "f": "Какой была"}
    pronoun = russian.PRONOUNS[gender]
    return {
        "hero": (f"Кто потерял {thing.accusative}?", hero.nominative),
        "name": (f"Как звали {hero.accusative}?", told["name"]),
        "trait": (f"{like[gender]} {hero.nominative}?", _trait(trace.trait, gender)),
        "time": ("Когда это было?", told["time"]),
        "place": (f"Где {told['activity']} {hero.nominative}?", told["place"]),
        "activity": (
            f"Что {_did('делал', gender)} {hero.nominative} {told['place']}?",
            told["activity"],
        ),
        "object": (f"Что {_did('потерял', gender)} {hero.nominative}?", thing.accusative),
        "colour": (
            f"Какого цвета {_did('был', thing_gender)} {thing.nominative}?",
            russian.COLOURS[trace.colour, "m"].genitive,
        ),
        "cause": (
            f"Почему {hero.nominative} {_did('потерял', gender)} {thing.accusative}?",
            f"потому что {cause} {OBJECT_PRONOUNS[thing_gender]}",
        ),
        "spot": (f"Куда {_did('попал', thing_gender)} {thing.nominative}?", told["spot"]),
        "obstacle": (
            f"Почему {hero.dative} была нужна помощь?",
            f"потому что {pronoun} {told['obstacle']}",
        ),
        "helper": (f"Кто помог {hero.dative}?", helper.nominative),
        "helper_trait": (
            f"{like[helper_gender]} {helper.nominative}?",
            _trait(trace.helper_trait, helper_gender),
        ),
        "ability": (
            f"Как {helper.nominative} {_did('помог', helper_gender)} {hero.dative}?",
            told["ability"],
        ),
        "gift": (
            f"Что {hero.nominative} {told['gave']} {helper.dative}?",
            told["gift"],
        ),
    }


def _did(verb: str, subject_gender: str) -> str:
    return plain(past_tense(verb, subject_gender))


def _trait(trait: str, gender: str) -> str:
    return russian.TRAITS[trait, gender].instrumental


def answer_options(
    trace: Trace,
    fact: str,
    *,
    language: Literal["en", "ru"],
    rng: random.Random,
    num_options: int = 4,
) -> tuple[list[str], int]:
    """Answers to choose from for the question about `fact`, and the index of the right one.

    The wrong ones are the answers of stories that differ in that fact and fit the question as well:
    neither gender nor wording gives them away.
    """
    answers = {question.fact: question.answer for question in ask(trace, language)}
    world.require("fact", fact, answers)
    right = answers[fact]
    wrong = sorted({_answer(other, fact, language) for other in _rivals(trace, fact)} - {right})
    if not 1 <= num_options <= len(wrong) + 1:
        raise ValueError(
            f"num_options={num_options} must lie between 1 and {len(wrong) + 1} for fact={fact!r}"
        )
    options = [right, *rng.sample(wrong, num_options - 1)]
    rng.shuffle(options)
    return options, options.index(right)


def _answer(trace: Trace, fact: str, language: Literal["en", "ru"]) -> str:
    return next(q.answer for q in ask(trace, language) if q.fact == fact)


def _rivals(trace: Trace, fact: str) -> list[Trace]:
    """Stories that differ from this one in the fact; as far as possible in nothing else."""
    helper_gender = world.ANIMALS[trace.helper].gender
    rescues = [
        dataclasses.replace(trace, spot=spot, helper=helper)
        for spot, helpers in world.HELPERS_OF.items()
        for helper in helpers
        if world.ANIMALS[helper].gender == helper_gender or fact in ("helper", "spot", "obstacle")
    ]
    if fact in ("spot", "obstacle", "helper", "ability"):
        return [rescue for rescue in rescues if rescue.helper != trace.hero]
    heroes = tuple(name for name in world.ANIMALS if name not in (trace.hero, trace.helper))
    values = {
        "hero": heroes,
        "name": world.NAMES[trace.gender],
        "object": world.OBJECTS,
        **world.FREE_CHOICES,
    }[fact]
    return [dataclasses.replace(trace, **{fact: value}) for value in values]


def request_story(trace: Trace, language: Literal["en", "ru"]) -> str:
    """An instruction that this story fulfils: *Write a story about a brave fox and a red hat.*"""
    world.require("language", language, ("en", "ru"))
    if language == "en":
        told = english.english_slots(trace)
        hero = f"{told['trait']} {trace.hero}"
        return f"Write a story about {hero} and {told['colour']} {trace.object}."
    thing_gender = russian.words.OBJECTS[trace.object].gender
    trait = russian.TRAITS[trace.trait, trace.gender].accusative
    colour = russian.COLOURS[trace.colour, thing_gender].accusative
    hero, thing = russian.ANIMALS[trace.hero], russian.OBJECTS[trace.object]
    return f"Напиши сказку про {trait} {hero.accusative} и {colour} {thing.accusative}."
