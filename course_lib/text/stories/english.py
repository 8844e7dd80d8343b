"""The stories in English: the wording of each fact, and `tell_english`."""

from course_lib.text.stories.world import PLURAL_OBJECTS, Trace

TEMPLATE = (
    "{time} {trait} {hero} named {name} was {activity} {place} with {colour} {object}. "
    "{cause} the {object_lost} {spot}. "
    "{name_again} {obstacle} and called {helper_trait} {helper}. "
    "The {helper_acting} {ability}, and soon the {colour_back} {object_back} {was} back. "
    "The {hero_giving} gave the {helper_trait_given} {helper_given} {gift}."
)

TIMES = {
    "morning": "One morning",
    "evening": "One evening",
    "dawn": "One day at dawn",
    "noon": "One day at noon",
    "spring": "One spring day",
    "summer": "One summer day",
    "autumn": "One autumn day",
    "Sunday": "One Sunday",
}
PLACES = {
    "forest": "in the forest",
    "meadow": "in the meadow",
    "field": "in the field",
    "garden": "in the garden",
    "park": "in the park",
    "village": "in the village",
    "shore": "on the shore",
    "hill": "on the hill",
    "glade": "in the glade",
    "yard": "in the yard",
}
SPOTS = {
    "tree": "into a tall tree",
    "roof": "onto a high roof",
    "cliff": "onto a steep cliff",
    "burrow": "into a deep burrow",
    "sand": "into a heap of sand",
    "root": "under a thick root",
    "pond": "into a deep pond",
    "river": "into a fast river",
    "lake": "into a cold lake",
    "cave": "into a dark cave",
    "cellar": "into a dark cellar",
    "crack": "into a narrow crack",
    "pipe": "into a narrow pipe",
    "stone": "under a heavy stone",
    "log": "under a heavy log",
    "board": "under a heavy board",
}
PRONOUNS = {"m": ("He", "His"), "f": ("She", "Her")}
CAUSES = {
    "wind": "The wind carried",
    "storm": "A storm swept",
    "magpie": "A magpie dropped",
    "hero": "{He} accidentally threw",
    "brother": "{His} little brother threw",
    "sister": "{His} little sister threw",
}
INABILITIES = {
    "high": "could not climb or fly",
    "buried": "could not dig",
    "water": "could not swim",
    "dark": "could not see in the dark",
    "narrow": "could not squeeze in",
    "heavy": "could not lift the {spot}",
}
ACTIONS = {
    "climb": "climbed the {spot}",
    "fly": "flew up to the {spot}",
    "dig": "dug and dug",
    "swim": "dived in",
    "see in the dark": "looked inside",
    "squeeze in": "squeezed inside",
    "lift": "lifted the {spot}",
}
GIFTS = {
    "apple": "an apple",
    "pear": "a pear",
    "pie": "a pie",
    "carrot": "a carrot",
    "nut": "a nut",
    "cookie": "a cookie",
    "honey": "some honey",
    "berries": "some berries",
}


def with_article(words: str) -> str:
    """*orange hat -> an orange hat*: the article follows the first sound, so *an honest fox*."""
    return f"an {words}" if words[0] in "aeiou" or words.startswith("honest") else f"a {words}"


def english_slots(trace: Trace) -> dict[str, str]:
    """The words that fill the English template; a slot is named after the fact it tells."""
    plural = trace.object in PLURAL_OBJECTS
    pronoun, his = PRONOUNS[trace.gender]
    return {
        "time": TIMES[trace.time],
        "trait": with_article(trace.trait),
        "hero": trace.hero,
        "name": trace.name,
        "activity": trace.activity,
        "place": PLACES[trace.place],
        "colour": trace.colour if plural else with_article(trace.colour),
        "object": trace.object,
        "cause": CAUSES[trace.cause].format(He=pronoun, His=his),
        "object_lost": trace.object,
        "spot": SPOTS[trace.spot],
        "name_again": trace.name,
        "obstacle": INABILITIES[trace.obstacle].format(spot=trace.spot),
        "helper_trait": with_article(trace.helper_trait),
        "helper": trace.helper,
        "helper_acting": trace.helper,
        "ability": ACTIONS[trace.ability].format(spot=trace.spot),
        "colour_back": trace.colour,
        "object_back": trace.object,
        "was": "were" if plural else "was",
        "hero_giving": trace.hero,
        "helper_trait_given": trace.helper_trait,
        "helper_given": trace.helper,
        "gift": GIFTS[trace.gift],
    }


def tell_english(trace: Trace) -> str:
    """The story of a trace in English, about 270 characters."""
    return TEMPLATE.format_map(english_slots(trace))
