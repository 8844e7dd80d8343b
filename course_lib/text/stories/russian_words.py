r"""The Russian words of the stories, and their true morphs.

A bar stands between stem and ending (*лис|а*); a word without a bar has no ending. Paradigms come
from `morphology`, so that endings are computed, not typed. A star takes the ending of the past
tense that agrees with the subject (*гулял\**).
"""

from typing import NamedTuple

from course_lib.text.stories.morphology import (
    PAST_ENDINGS,
    Cases,
    agreeing,
    decline_adjective,
    decline_noun,
    decline_plural,
)


class Noun(NamedTuple):
    """A noun: "m", "f", "n" or "pl", and its six cases with bars."""

    gender: str
    cases: Cases


def _animate(nominative: str, gender: str, oblique: str | None = None, stressed: bool = False):
    cases = decline_noun(nominative, gender, oblique=oblique, animate=True, stressed=stressed)
    return Noun(gender, cases)


def _thing(nominative: str, gender: str, stressed: bool = False):
    return Noun(gender, decline_noun(nominative, gender, stressed=stressed))


ANIMALS = {
    "fox": _animate("лиса", "f"),
    "hare": _animate("заяц", "m", "зайц"),
    "squirrel": _animate("белка", "f"),
    "cat": _animate("кот", "m"),
    "raccoon": _animate("енот", "m"),
    "owl": _animate("сова", "f"),
    "crow": _animate("ворона", "f"),
    "eagle": _animate("орёл", "m", "орл"),
    "duck": _animate("утка", "f"),
    "mole": _animate("крот", "m"),
    "badger": _animate("барсук", "m"),
    "otter": _animate("выдра", "f"),
    "beaver": _animate("бобёр", "m", "бобр"),
    "frog": _animate("лягушка", "f"),
    "turtle": _animate("черепаха", "f"),
    "lynx": _animate("рысь", "f"),
    "mouse": _animate("мышь", "f"),
    "lizard": _animate("ящерица", "f"),
    "weasel": _animate("ласка", "f"),
    "bear": _animate("медведь", "m"),
    "elk": _animate("лось", "m"),
    "boar": _animate("кабан", "m"),
    "wolf": _animate("волк", "m"),
    "hedgehog": _animate("ёж", "m", "еж", stressed=True),
}
NAMES = {
    "Anya": _animate("Аня", "f"),
    "Masha": _animate("Маша", "f"),
    "Olya": _animate("Оля", "f"),
    "Katya": _animate("Катя", "f"),
    "Dasha": _animate("Даша", "f"),
    "Sonya": _animate("Соня", "f"),
    "Liza": _animate("Лиза", "f"),
    "Varya": _animate("Варя", "f"),
    "Tanya": _animate("Таня", "f"),
    "Nina": _animate("Нина", "f"),
    "Petya": _animate("Петя", "m"),
    "Vasya": _animate("Вася", "m"),
    "Misha": _animate("Миша", "m"),
    "Kolya": _animate("Коля", "m"),
    "Gosha": _animate("Гоша", "m"),
    "Fedya": _animate("Федя", "m"),
    "Vanya": _animate("Ваня", "m"),
    "Borya": _animate("Боря", "m"),
    "Egor": _animate("Егор", "m"),
    "Anton": _animate("Антон", "m"),
}
OBJECTS = {
    "ball": _thing("мяч", "m", stressed=True),
    "scarf": _thing("шарф", "m"),
    "bell": _thing("колокольчик", "m"),
    "key": _thing("ключ", "m", stressed=True),
    "drum": _thing("барабан", "m"),
    "umbrella": _thing("зонт", "m"),
    "lantern": _thing("фонарь", "m", stressed=True),
    "hat": _thing("шапка", "f"),
    "book": _thing("книга", "f"),
    "doll": _thing("кукла", "f"),
    "cup": _thing("чашка", "f"),
    "spoon": _thing("ложка", "f"),
    "basket": _thing("корзина", "f"),
    "flute": _thing("дудка", "f"),
    "button": _thing("пуговица", "f"),
    "ribbon": _thing("лента", "f"),
    "ring": _thing("кольцо", "n", stressed=True),
    "bucket": _thing("ведро", "n"),
    "mirror": _thing("зеркало", "n"),
    "feather": _thing("перо", "n"),
    "letter": _thing("письмо", "n"),
    "mittens": Noun("pl", decline_plural("варежки", "варежек")),
    "beads": Noun("pl", decline_plural("бусы", "бус")),
    "boots": Noun("pl", decline_plural("сапоги", "сапог")),
}
GIFTS = {
    "apple": _thing("яблоко", "n"),
    "pear": _thing("груша", "f"),
    "pie": _thing("пирог", "m"),
    "carrot": _thing("морковка", "f"),
    "nut": _thing("орех", "m"),
    "cookie": _thing("печенье", "n"),
    "honey": _thing("мёд", "m"),
    "berries": Noun("pl", decline_plural("ягоды", "ягод")),
}
TRAITS = {
    "little": "маленький",
    "cheerful": "весёлый",
    "shy": "робкий",
    "curious": "любопытный",
    "brave": "храбрый",
    "sleepy": "сонный",
    "gentle": "ласковый",
    "proud": "гордый",
    "honest": "честный",
    "impatient": "нетерпеливый",
    "lazy": "ленивый",
    "absent-minded": "рассеянный",
}
HELPER_TRAITS = {
    "kind": "добрый",
    "clever": "умный",
    "wise": "мудрый",
    "skilful": "ловкий",
    "careful": "осторожный",
    "patient": "терпеливый",
    "polite": "вежливый",
    "calm": "спокойный",
    "modest": "скромный",
    "faithful": "верный",
}
COLOURS = {
    "red": "красный",
    "blue": "синий",
    "green": "зелёный",
    "yellow": "жёлтый",
    "white": "белый",
    "black": "чёрный",
    "golden": "золотой",
    "silver": "серебряный",
    "pink": "розовый",
    "orange": "оранжевый",
    "purple": "фиолетовый",
    "grey": "серый",
}
TIMES = {
    "morning": "утр|ом",
    "evening": "вечер|ом",
    "dawn": "на рассвет|е",
    "noon": "в полдень",
    "spring": "весн|ой",
    "summer": "лет|ом",
    "autumn": "осень|ю",
    "Sunday": "в воскресень|е",
}
PLACES = {
    "forest": "в лес|у",
    "meadow": "на луг|у",
    "field": "в пол|е",
    "garden": "в сад|у",
    "park": "в парк|е",
    "village": "в деревн|е",
    "shore": "на берег|у",
    "hill": "на холм|е",
    "glade": "на полян|е",
    "yard": "во двор|е",
}
SPOTS = {
    "tree": "на высок|ое дерев|о",
    "roof": "на высок|ую крыш|у",
    "cliff": "на крут|ую скал|у",
    "burrow": "в глубок|ую нор|у",
    "sand": "в куч|у песк|а",
    "root": "под толст|ый корень",
    "pond": "в глубок|ий пруд",
    "river": "в быстр|ую рек|у",
    "lake": "в холодн|ое озер|о",
    "cave": "в тёмн|ую пещер|у",
    "cellar": "в тёмн|ый подвал",
    "crack": "в узк|ую щель",
    "pipe": "в узк|ую труб|у",
    "stone": "под тяжёл|ый камень",
    "log": "под тяжёл|ое бревн|о",
    "board": "под тяжёл|ую доск|у",
}
# Where the helper climbs or flies to, and what it lifts.
TARGETS = {
    "tree": "дерев|о",
    "roof": "крыш|у",
    "cliff": "скал|у",
    "stone": "камень",
    "log": "бревн|о",
    "board": "доск|у",
}
CAUSES = {
    "wind": "ветер унёс",
    "storm": "бур|я унесл|а",
    "magpie": "сорок|а уронил|а",
    "hero": "{he} случайно забросил*",
    "brother": "братишк|а забросил",
    "sister": "сестрёнк|а забросил|а",
}
ACTIVITIES = {
    "walking": "гулял*",
    "playing": "играл*",
    "dancing": "танцевал*",
    "running": "бегал*",
    "resting": "отдыхал*",
    "singing": "пел*",
}
INABILITIES = {
    "high": "не умел* ни лаза|ть, ни лета|ть",
    "buried": "не умел* копа|ть",
    "water": "не умел* плава|ть",
    "dark": "нич|его не видел* в темнот|е",
    "narrow": "не мог* туда пролез|ть",
    "heavy": "не мог* подня|ть {target}",
}
ACTIONS = {
    "climb": "залез* на {target}",
    "fly": "взлетел* на {target}",
    "dig": "копал* и копал*",
    "swim": "нырнул* в вод|у",
    "see in the dark": "заглянул* внутрь",
    "squeeze in": "пролез* внутрь",
    "lift": "поднял* {target}",
}
PRONOUNS = {"m": "он", "f": "он|а"}
TEMPLATE_WORDS = "однажды с и скоро снова у был* позвал* подарил*"


def adjective_cases(gender: str, *, animate: bool) -> dict[str, Cases]:
    """English adjective -> the six marked cases of the Russian one, agreeing with such a noun."""
    adjectives = TRAITS | HELPER_TRAITS if animate else COLOURS
    return {
        english: decline_adjective(russian, gender, animate=animate)
        for english, russian in adjectives.items()
    }


def russian_morphs() -> dict[str, tuple[str, str]]:
    """Lower-case word -> (stem, ending) for every Russian word form of the stories.

    Holds the whole paradigms, also the cases that no sentence uses. The ending is empty for words
    without one; -л- of the past tense counts to the stem and -ть of the infinitive is the ending.
    """
    phrases = [form for noun in _all_nouns() for form in noun.cases]
    for gender in PAST_ENDINGS:
        for animate in (True, False):
            paradigms = adjective_cases(gender, animate=animate)
            phrases += [form for cases in paradigms.values() for form in cases]
        phrases += [agreeing(phrase, gender) for phrase in _all_phrases()]
    words = " ".join(phrases).replace(",", "").lower().split()
    return {
        stem + ending: (stem, ending) for stem, _, ending in (word.partition("|") for word in words)
    }


def _all_nouns() -> list[Noun]:
    return [noun for table in (ANIMALS, NAMES, OBJECTS, GIFTS) for noun in table.values()]


def _all_phrases() -> list[str]:
    tables = (TIMES, PLACES, SPOTS, TARGETS, CAUSES, ACTIVITIES, INABILITIES, ACTIONS, PRONOUNS)
    phrases = [phrase for table in tables for phrase in table.values()]
    return [phrase.format(he="", target="") for phrase in phrases] + [TEMPLATE_WORDS]
