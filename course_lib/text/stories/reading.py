"""Stories read back: the trace of a text, and what is wrong with a text that a model wrote.

The reader is the template turned round: a slot becomes a group of all that can stand there.
"""

import functools
import random
import re
from typing import Literal, NamedTuple

import regex

from course_lib.text.stories import english, russian, world
from course_lib.text.stories.world import Trace, make_trace


class Reader(NamedTuple):
    """A language turned round: a pattern of the whole story, and slot -> words -> fact."""

    pattern: re.Pattern[str]
    facts: dict[str, dict[str, str]]


LANGUAGES = {
    "en": (english.TEMPLATE, english.english_slots, english.tell_english),
    "ru": (russian.TEMPLATE, russian.russian_slots, russian.tell_russian),
}
FACTS = (*Trace.__dataclass_fields__, "obstacle", "ability")


@functools.cache
def told_fact(slot: str) -> str | None:
    """The fact that a slot tells: *helper_trait_given -> helper_trait*; None if it only agrees."""
    told = (fact for fact in FACTS if slot == fact or slot.startswith(fact + "_"))
    return max(told, key=len, default=None)


@functools.cache
def _reader(language: str) -> Reader:
    template, slots_of, _ = LANGUAGES[language]
    facts: dict[str, dict[str, str]] = {}
    rng = random.Random(0)
    # 3,000 stories hold every word of every slot many times over; a test reads others.
    for number in range(3000):
        trace = make_trace(rng, split="held_out" if number % 2 else "train")
        for slot, words in slots_of(trace).items():
            fact = told_fact(slot)
            facts.setdefault(slot, {})[words] = getattr(trace, fact) if fact else ""
    pattern = re.escape(template)
    for slot, told in facts.items():
        words = "|".join(map(re.escape, sorted(told, key=len, reverse=True)))
        pattern = pattern.replace(re.escape("{" + slot + "}"), f"(?P<{slot}>{words})")
    return Reader(re.compile(pattern), facts)


def read_slots(text: str, language: Literal["en", "ru"]) -> dict[str, str] | None:
    """What each place of the text says (*colour -> red, colour_back -> blue*); None if not a story.

    Endings may be wrong and facts may contradict each other; the sentences must be the world's.
    """
    world.require("language", language, LANGUAGES)
    reader = _reader(language)
    match = reader.pattern.fullmatch(text)
    if match is None:
        return None
    return {slot: reader.facts[slot][words] for slot, words in match.groupdict().items()}


def read_beginning(text: str, language: Literal["en", "ru"]) -> dict[str, str]:
    """What the places say up to the first letter that no story of the world has there.

    Of a whole story that is `read_slots`; of one that breaks off or goes astray, its good part.
    """
    world.require("language", language, LANGUAGES)
    pattern, good, too_long = _partial_pattern(language), 0, len(text) + 1
    while too_long - good > 1:
        middle = (good + too_long) // 2
        if pattern.fullmatch(text[:middle], partial=True):
            good = middle
        else:
            too_long = middle
    match = pattern.fullmatch(text[:good], partial=True)
    facts = _reader(language).facts
    return {
        slot: facts[slot][words]
        for slot, words in match.groupdict().items()
        # a place at the very end may be a part of a longer word
        if words and (match.end(slot) < good or not match.partial)
    }


@functools.cache
def _partial_pattern(language: str) -> regex.Pattern:
    """The reader's pattern for `regex`, which also tells whether a text begins to match it."""
    return regex.compile(_reader(language).pattern.pattern)


def read_trace(text: str, language: Literal["en", "ru"]) -> Trace | None:
    """The trace of a story, exactly: `tell` of it gives back the text; None for any other text."""
    slots = read_slots(text, language)
    if slots is None:
        return None
    trace = Trace(**{field: slots[field] for field in Trace.__dataclass_fields__})
    try:
        return trace if LANGUAGES[language][2](trace) == text else None
    except (KeyError, ValueError):  # the helper cannot do it: no story of this world
        return None


def story_mistakes(text: str, language: Literal["en", "ru"]) -> list[str]:
    """What is wrong with a written story; empty if nothing is.

    "form" (not the world's sentences) stands alone; else the facts that change on the way
    ("object", "colour", "hero", ...), "obstacle" (another than the spot's), "helper" (cannot do it,
    or changes), "ability" (does what it cannot or what does not help), "grammar" (an ending).
    """
    slots = read_slots(text, language)
    if slots is None:
        return ["form"]
    told: dict[str, set[str]] = {}
    for slot, words in slots.items():
        if fact := told_fact(slot):
            told.setdefault(fact, set()).add(words)
    mistakes = {fact for fact, values in told.items() if len(values) > 1}
    spot = world.SPOTS[slots["spot"]]
    useful = set(spot.abilities) & set(world.ANIMALS[slots["helper"]].abilities)
    if not useful:
        mistakes.add("helper")
    if slots["obstacle"] != spot.obstacle:
        mistakes.add("obstacle")
    if slots["ability"] not in useful:
        mistakes.add("ability")
    if not mistakes and read_trace(text, language) is None:
        mistakes.add("grammar")
    return sorted(mistakes)
