"""Pages of clean prose about the story world that teach much, little or nothing.

In reading order: the four kinds of page, a web of them whose labels are known, and the questions
that a reader of stories and lessons can answer.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

from course_lib.text.stories import world
from course_lib.text.stories.crawl import Page
from course_lib.text.stories.english import english_slots, tell_english
from course_lib.text.stories.world import Split, make_trace

CHATTER = (
    "I like the {animal} and the {other} so much, and I have to say that {time} was nice.",
    "Thank you all for the kind words about the {colour} {thing}.",
    "We were {place} with {name} and it was so good to see you there.",
    "Has anyone of you been {place} with the family?",
    "My {thing} is {colour} and the one that {name} has is {other_colour}.",
    "See you {place} on Sunday, and have a good week with the {animal}!",
)
CATALOGUE = (
    "We have {colour} {thing}s and {other_colour} {other_thing}s for all of the family.",
    "The {thing} comes with a {other_thing} that you have to see.",
    "To order the {colour} {thing}, write to {name} and wait for the {other_thing}.",
    "The {animal} is on the {thing}, and the {other} is on the {other_thing}.",
)


def make_lesson(rng: random.Random) -> str:
    """Four cases explained: where a thing is, who cannot reach it, who can, and how."""
    return "\n".join(_explain(rng) for _ in range(4))


def _explain(rng: random.Random) -> str:
    trace = make_trace(rng)
    told = english_slots(trace)
    return (
        f"{told['cause']} the {trace.object} {told['spot']}. {trace.name} {told['obstacle']} and "
        f"called {told['helper_trait']} {trace.helper}. The {trace.helper} {told['ability']}, and "
        f"soon the {trace.colour} {trace.object} {told['was']} back."
    )


def make_chatter(rng: random.Random) -> str:
    """Eight friendly sentences from which nothing follows."""
    return _eight(rng, CHATTER)


def make_catalogue(rng: random.Random) -> str:
    """Eight sentences of a shop: the world's words, and none of its rules."""
    return _eight(rng, CATALOGUE)


def _eight(rng: random.Random, templates: tuple[str, ...]) -> str:
    """Eight different sentences: a page that repeats itself would fall to a rule."""
    sentences: dict[str, None] = {}
    while len(sentences) < 8:
        sentences[_fill(rng, templates)] = None
    return " ".join(sentences)


def _fill(rng: random.Random, templates: tuple[str, ...]) -> str:
    animals, things = rng.sample(list(world.ANIMALS), 2), rng.sample(world.OBJECTS[:22], 2)
    colours = rng.sample(world.COLOURS, 2)
    return rng.choice(templates).format(
        animal=animals[0],
        other=animals[1],
        thing=things[0],
        other_thing=things[1],
        colour=colours[0],
        other_colour=colours[1],
        name=rng.choice(world.NAMES[rng.choice("fm")]),
        place=f"in the {rng.choice(world.PLACES[:5])}",
        time=f"the {rng.choice(world.TIMES[:2])}",
    )


def _story(rng: random.Random) -> str:
    return tell_english(make_trace(rng))


KINDS: dict[str, tuple[Callable[[random.Random], str], float]] = {
    "lesson": (make_lesson, 0.08),
    "story": (_story, 0.12),
    "chatter": (make_chatter, 0.45),
    "catalogue": (make_catalogue, 0.35),
}
"""How a kind of page is made, and its share of the web."""

TEACHING = ("lesson", "story")
"""The kinds from which the questions can be answered."""


def make_web(num_pages: int, *, seed: int = 0) -> list[Page]:
    """Pages of all kinds in their shares; every one passes `quality_rules`, a fifth teach."""
    rng = random.Random(f"web {seed}")
    shares = [share for _, share in KINDS.values()]
    kinds = rng.choices(list(KINDS), shares, k=num_pages)
    return [Page(KINDS[kind][0](rng), kind) for kind in kinds]


class Cloze(NamedTuple):
    """A text that breaks off, and the words that go on: the one right answer."""

    fact: str
    prompt: str
    answer: str


def cloze_questions(num_stories: int, *, split: Split = "held_out", seed: int = 0) -> list[Cloze]:
    """Two places of each story where the world's rules leave one continuation.

    "obstacle": what the hero could not do, where the thing lies; "ability": how this helper helped.
    """
    rng = random.Random(f"cloze {split} {seed}")
    questions = []
    for _ in range(num_stories):
        trace = make_trace(rng, split=split)
        told, text = english_slots(trace), tell_english(trace)
        for fact, subject in (("obstacle", trace.name), ("ability", f"The {trace.helper}")):
            before = f" {subject} {told[fact]}"
            end = text.rindex(before) + len(before) - len(told[fact]) - 1
            questions.append(Cloze(fact, text[:end], f" {told[fact]}"))
    return questions
