"""The world of the stories: who can do what, where things get lost, and the trace of one story.

In reading order: the vocabulary (English words are the identifiers), the rules that tie helpers to
spots and hold pairs out of training, `Trace`, `make_trace`, and the exact entropy of a trace.
"""

import math
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

Split = Literal["train", "held_out"]


class Animal(NamedTuple):
    """gender is the grammatical gender of the Russian noun; the English pronoun follows it."""

    gender: str
    abilities: tuple[str, ...] = ()


class Spot(NamedTuple):
    """Where a lost thing ends up; whoever has one of the abilities can bring it back."""

    obstacle: str
    abilities: tuple[str, ...]


ANIMALS = {
    "fox": Animal("f", ("dig",)),
    "hare": Animal("m"),
    "squirrel": Animal("f", ("climb",)),
    "cat": Animal("m", ("climb", "see in the dark")),
    "raccoon": Animal("m", ("climb",)),
    "owl": Animal("f", ("fly", "see in the dark")),
    "crow": Animal("f", ("fly",)),
    "eagle": Animal("m", ("fly",)),
    "duck": Animal("f", ("fly", "swim")),
    "mole": Animal("m", ("dig",)),
    "badger": Animal("m", ("dig",)),
    "otter": Animal("f", ("swim",)),
    "beaver": Animal("m", ("swim",)),
    "frog": Animal("f", ("swim",)),
    "turtle": Animal("f", ("swim",)),
    "lynx": Animal("f", ("climb", "see in the dark")),
    "mouse": Animal("f", ("squeeze in",)),
    "lizard": Animal("f", ("climb", "squeeze in")),
    "weasel": Animal("f", ("squeeze in",)),
    "bear": Animal("m", ("climb", "lift")),
    "elk": Animal("m", ("lift",)),
    "boar": Animal("m", ("lift",)),
    "wolf": Animal("m"),
    "hedgehog": Animal("m"),
}

SPOTS = {
    "tree": Spot("high", ("climb", "fly")),
    "roof": Spot("high", ("climb", "fly")),
    "cliff": Spot("high", ("climb", "fly")),
    "burrow": Spot("buried", ("dig",)),
    "sand": Spot("buried", ("dig",)),
    "root": Spot("buried", ("dig",)),
    "pond": Spot("water", ("swim",)),
    "river": Spot("water", ("swim",)),
    "lake": Spot("water", ("swim",)),
    "cave": Spot("dark", ("see in the dark",)),
    "cellar": Spot("dark", ("see in the dark",)),
    "crack": Spot("narrow", ("squeeze in",)),
    "pipe": Spot("narrow", ("squeeze in",)),
    "stone": Spot("heavy", ("lift",)),
    "log": Spot("heavy", ("lift",)),
    "board": Spot("heavy", ("lift",)),
}

NAMES = {
    "f": ("Anya", "Masha", "Olya", "Katya", "Dasha", "Sonya", "Liza", "Varya", "Tanya", "Nina"),
    "m": ("Petya", "Vasya", "Misha", "Kolya", "Gosha", "Fedya", "Vanya", "Borya", "Egor", "Anton"),
}
TRAITS = (
    *("little", "cheerful", "shy", "curious", "brave", "sleepy"),
    *("gentle", "proud", "honest", "impatient", "lazy", "absent-minded"),
)
HELPER_TRAITS = (
    *("kind", "clever", "wise", "skilful", "careful"),
    *("patient", "polite", "calm", "modest", "faithful"),
)
TIMES = ("morning", "evening", "dawn", "noon", "spring", "summer", "autumn", "Sunday")
PLACES = (
    *("forest", "meadow", "field", "garden", "park"),
    *("village", "shore", "hill", "glade", "yard"),
)
ACTIVITIES = ("walking", "playing", "dancing", "running", "resting", "singing")
OBJECTS = (
    *("ball", "scarf", "bell", "key", "drum", "umbrella", "lantern", "hat"),
    *("book", "doll", "cup", "spoon", "basket", "flute", "button", "ribbon"),
    *("ring", "bucket", "mirror", "feather", "letter", "mittens", "beads", "boots"),
)
PLURAL_OBJECTS = frozenset({"mittens", "beads", "boots"})
COLOURS = (
    *("red", "blue", "green", "yellow", "white", "black"),
    *("golden", "silver", "pink", "orange", "purple", "grey"),
)
CAUSES = ("wind", "storm", "magpie", "hero", "brother", "sister")
GIFTS = ("apple", "pear", "pie", "carrot", "nut", "cookie", "honey", "berries")


def is_held_out(hero: str, thing: str) -> bool:
    """Two objects of every hero, and so two heroes of every object, are kept from training."""
    return (list(ANIMALS).index(hero) + OBJECTS.index(thing)) % 12 == 5


OBJECTS_OF = {
    split: {
        hero: tuple(thing for thing in OBJECTS if is_held_out(hero, thing) == (split == "held_out"))
        for hero in ANIMALS
    }
    for split in ("train", "held_out")
}
HELPERS_OF = {
    spot: tuple(name for name, animal in ANIMALS.items() if set(animal.abilities) & set(abilities))
    for spot, (_, abilities) in SPOTS.items()
}
# A hero who could fetch the thing alone needs no helper, and there would be no story.
SPOTS_OF = {hero: tuple(spot for spot in SPOTS if hero not in HELPERS_OF[spot]) for hero in ANIMALS}


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that happens in one story; its text in either language determines it."""

    hero: str
    name: str
    trait: str
    time: str
    place: str
    activity: str
    object: str
    colour: str
    cause: str
    spot: str
    helper: str
    helper_trait: str
    gift: str

    @property
    def gender(self) -> str:
        """The hero's gender, "m" or "f"."""
        return ANIMALS[self.hero].gender

    @property
    def obstacle(self) -> str:
        """Why the hero cannot reach the thing: high, buried, water, dark, narrow or heavy."""
        return SPOTS[self.spot].obstacle

    @property
    def ability(self) -> str:
        """What the helper does to bring the thing back; raises ValueError if it cannot."""
        for ability in SPOTS[self.spot].abilities:
            if ability in ANIMALS[self.helper].abilities:
                return ability
        raise ValueError(
            f"helper={self.helper!r} cannot reach spot={self.spot!r}: "
            f"it takes one of {HELPERS_OF[self.spot]}"
        )


def require(name: str, value: str, allowed: Collection[str]) -> None:
    """Raise ValueError with the allowed values unless `value` is one of them."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(allowed)}")


def make_trace(rng: random.Random, *, split: Split = "train") -> Trace:
    """Draw a trace: every choice uniform among what the choices before it allow."""
    require("split", split, OBJECTS_OF)
    hero = _pick(rng, tuple(ANIMALS))
    spot = _pick(rng, SPOTS_OF[hero])
    return Trace(
        hero=hero,
        name=_pick(rng, NAMES[ANIMALS[hero].gender]),
        trait=_pick(rng, TRAITS),
        time=_pick(rng, TIMES),
        place=_pick(rng, PLACES),
        activity=_pick(rng, ACTIVITIES),
        object=_pick(rng, OBJECTS_OF[split][hero]),
        colour=_pick(rng, COLOURS),
        cause=_pick(rng, CAUSES),
        spot=spot,
        helper=_pick(rng, HELPERS_OF[spot]),
        helper_trait=_pick(rng, HELPER_TRAITS),
        gift=_pick(rng, GIFTS),
    )


def _pick(rng: random.Random, options: tuple[str, ...]) -> str:
    return options[int(rng.random() * len(options))]


def trace_log_probability(trace: Trace, *, split: Split = "train") -> float:
    """ln p(trace) in nats under `make_trace`; -inf for a trace that it never draws."""
    require("split", split, OBJECTS_OF)
    hero = trace.hero
    allowed = {
        "hero": tuple(ANIMALS),
        "name": NAMES[trace.gender],
        "spot": SPOTS_OF[hero],
        "object": OBJECTS_OF[split][hero],
        "helper": HELPERS_OF[trace.spot],
        **FREE_CHOICES,
    }
    if any(getattr(trace, field) not in options for field, options in allowed.items()):
        return -math.inf
    return -sum(math.log(len(options)) for options in allowed.values())


def trace_entropy(*, split: Split = "train") -> float:
    """H(trace) = -sum p ln p in nats, exactly, by the chain rule.

    A story determines its trace and the trace its story, so this is also the entropy of the text in
    either language: no language model's mean loss per story can be lower.
    """
    require("split", split, OBJECTS_OF)
    free = sum(math.log(len(options)) for options in FREE_CHOICES.values())
    given_hero = sum(
        math.log(len(NAMES[animal.gender]))
        + math.log(len(OBJECTS_OF[split][hero]))
        + math.log(len(SPOTS_OF[hero]))
        + sum(math.log(len(HELPERS_OF[spot])) for spot in SPOTS_OF[hero]) / len(SPOTS_OF[hero])
        for hero, animal in ANIMALS.items()
    )
    return math.log(len(ANIMALS)) + given_hero / len(ANIMALS) + free


FREE_CHOICES = {
    "trait": TRAITS,
    "time": TIMES,
    "place": PLACES,
    "activity": ACTIVITIES,
    "colour": COLOURS,
    "cause": CAUSES,
    "helper_trait": HELPER_TRAITS,
    "gift": GIFTS,
}
