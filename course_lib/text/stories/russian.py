"""The stories in Russian: `tell_russian`, where case and agreement are chosen."""

from course_lib.text.stories import russian_words as words
from course_lib.text.stories.morphology import Cases, agreeing, past_tense, plain
from course_lib.text.stories.world import Trace

TEMPLATE = (
    "Однажды {time} {trait} {hero} {name} {activity} {place} с {colour} {object}. "
    "{cause} {object_lost} {spot}. "
    "{name_again} {obstacle} и {called} {helper_trait} {helper}. "
    "{helper_acting} {ability}, и скоро {colour_back} {object_back} снова {was} у {name_owner}. "
    "{hero_giving} {gave} {helper_trait_given} {helper_given} {gift}."
)


def _spoken(cases: Cases) -> Cases:
    return Cases(*(plain(form) for form in cases))


ANIMALS = {animal: _spoken(noun.cases) for animal, noun in words.ANIMALS.items()}
NAMES = {name: _spoken(noun.cases) for name, noun in words.NAMES.items()}
OBJECTS = {thing: _spoken(noun.cases) for thing, noun in words.OBJECTS.items()}
GIFTS = {gift: _spoken(noun.cases) for gift, noun in words.GIFTS.items()}
TRAITS = {
    (trait, gender): _spoken(cases)
    for gender in ("m", "f")
    for trait, cases in words.adjective_cases(gender, animate=True).items()
}
COLOURS = {
    (colour, gender): _spoken(cases)
    for gender in ("m", "f", "n", "pl")
    for colour, cases in words.adjective_cases(gender, animate=False).items()
}
TIMES, PLACES, SPOTS, PRONOUNS = (
    {key: plain(phrase) for key, phrase in table.items()}
    for table in (words.TIMES, words.PLACES, words.SPOTS, words.PRONOUNS)
)


def _verbs(phrases: dict[str, str]) -> dict[tuple[str, str], str]:
    return {
        (key, gender): plain(agreeing(phrase, gender))
        for key, phrase in phrases.items()
        for gender in ("m", "f")
    }


ACTIVITIES = _verbs(words.ACTIVITIES)
CAUSES, INABILITIES, ACTIONS = (
    _verbs(table) for table in (words.CAUSES, words.INABILITIES, words.ACTIONS)
)
CALLED, WAS, GAVE = (
    {gender: plain(past_tense(verb, gender)) for gender in ("m", "f", "n", "pl")}
    for verb in ("позвал", "был", "подарил")
)
TARGETS = {spot: plain(words.TARGETS.get(spot, "")) for spot in words.SPOTS}


def russian_slots(trace: Trace) -> dict[str, str]:
    """The words that fill the Russian template; a slot is named after the fact it tells."""
    hero, name = ANIMALS[trace.hero], NAMES[trace.name]
    helper, thing = ANIMALS[trace.helper], OBJECTS[trace.object]
    gender, helper_gender = words.ANIMALS[trace.hero].gender, words.ANIMALS[trace.helper].gender
    thing_gender = words.OBJECTS[trace.object].gender
    helper_trait = TRAITS[trace.helper_trait, helper_gender]
    colour = COLOURS[trace.colour, thing_gender]
    target = TARGETS[trace.spot]
    return {
        "time": TIMES[trace.time],
        "trait": TRAITS[trace.trait, gender].nominative,
        "hero": hero.nominative,
        "name": name.nominative,
        "activity": ACTIVITIES[trace.activity, gender],
        "place": PLACES[trace.place],
        "colour": colour.instrumental,
        "object": thing.instrumental,
        "cause": CAUSES[trace.cause, gender].format(he=PRONOUNS[gender]).capitalize(),
        "object_lost": thing.accusative,
        "spot": SPOTS[trace.spot],
        "name_again": name.nominative,
        "obstacle": INABILITIES[trace.obstacle, gender].format(target=target),
        "called": CALLED[gender],
        "helper_trait": helper_trait.accusative,
        "helper": helper.accusative,
        "helper_acting": helper.nominative.capitalize(),
        "ability": ACTIONS[trace.ability, helper_gender].format(target=target),
        "colour_back": colour.nominative,
        "object_back": thing.nominative,
        "was": WAS[thing_gender],
        "name_owner": name.genitive,
        "hero_giving": hero.nominative.capitalize(),
        "gave": GAVE[gender],
        "helper_trait_given": helper_trait.dative,
        "helper_given": helper.dative,
        "gift": GIFTS[trace.gift].accusative,
    }


def tell_russian(trace: Trace) -> str:
    """The story of a trace in Russian, about 240 characters.

    Names stand in the nominative and genitive, helpers in the (animate) accusative and dative, the
    object in the instrumental, accusative and nominative, places in the prepositional case.
    """
    return TEMPLATE.format_map(russian_slots(trace))
