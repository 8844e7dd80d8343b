"""Russian inflection as the stories need it: every form is a stem and an ending, *лис|а*.

In reading order: marked words, spelling rules, nouns (three declensions and plural-only),
adjectives, past tense. Irregular stems (fleeting vowels) are passed in; nothing is looked up.
"""

import re
from typing import NamedTuple

HUSHES = "жшчщ"
VELARS = "гкх"


class Cases(NamedTuple):
    """The six cases of a word, in the order of the Russian school."""

    nominative: str
    genitive: str
    dative: str
    accusative: str
    instrumental: str
    prepositional: str


def plain(phrase: str) -> str:
    """A marked phrase as it is printed: *рыж|ая лис|а -> рыжая лиса*."""
    return phrase.replace("|", "")


def marked(stem: str, ending: str, *, stressed: bool = False) -> str:
    """Join stem and ending with a bar (none if the ending is empty), by the spelling rules.

    After г к х ж ш ч щ stands и for ы (*белк|и*); after ж ш ч щ ц an unstressed о becomes е
    (*зайц|ем*, but stressed *мяч|ом*). A stressed ем after any other letter is ём (*фонар|ём*).
    """
    if ending.startswith("ы") and stem[-1] in HUSHES + VELARS:
        ending = "и" + ending[1:]
    if ending.startswith("о") and stem[-1] in HUSHES + "ц" and not stressed:
        ending = "е" + ending[1:]
    if ending == "ем" and stressed:
        ending = "ём"
    return f"{stem}|{ending}" if ending else stem


# By the last letter of the nominative and the gender; "*": genitive if animate, else nominative.
NOUN_ENDINGS = {
    ("", "m"): ("", "а", "у", "*", "ом", "е"),
    ("ь", "m"): ("", "я", "ю", "*", "ем", "е"),
    ("а", "m"): ("а", "ы", "е", "у", "ой", "е"),
    ("а", "f"): ("а", "ы", "е", "у", "ой", "е"),
    ("я", "m"): ("я", "и", "е", "ю", "ей", "е"),
    ("я", "f"): ("я", "и", "е", "ю", "ей", "е"),
    ("ь", "f"): ("", "и", "и", "", "ью", "и"),
    ("о", "n"): ("о", "а", "у", "о", "ом", "е"),
    ("е", "n"): ("е", "я", "ю", "е", "ем", "е"),
}


def decline_noun(
    nominative: str,
    gender: str,
    *,
    oblique: str | None = None,
    animate: bool = False,
    stressed: bool = False,
) -> Cases:
    """The six cases of a singular noun; `oblique` is its stem where not the nominative's.

    `stressed` says that the endings carry the stress (*еж|ом*, not *еж|ем*). The soft sign counts
    to the stem, as in school: *рысь*, but *рыс|и*.
    """
    last = nominative[-1] if nominative[-1] in "аяоеь" else ""
    stem = nominative.removesuffix(last)
    endings = NOUN_ENDINGS[last, gender]
    whole = nominative if last in ("", "ь") else f"{stem}|{last}"
    genitive, dative, accusative, instrumental, prepositional = (
        marked(oblique or stem, ending, stressed=stressed) for ending in endings[1:]
    )
    if endings[3] == "*":
        accusative = genitive if animate else whole
    elif endings[3] == "":
        accusative = whole
    return Cases(whole, genitive, dative, accusative, instrumental, prepositional)


def decline_plural(nominative: str, genitive: str) -> Cases:
    """The six cases of an inanimate plural with a hard stem: *бус|ы, бус, бус|ам, ...*."""
    stem, ending = nominative[:-1], nominative[-1]
    whole = marked(stem, ending)
    dative, instrumental, prepositional = (marked(stem, end) for end in ("ам", "ами", "ах"))
    return Cases(whole, genitive, dative, whole, instrumental, prepositional)


ADJECTIVE_ENDINGS = {
    ("m", "hard"): ("ый", "ого", "ому", "*", "ым", "ом"),
    ("n", "hard"): ("ое", "ого", "ому", "ое", "ым", "ом"),
    ("f", "hard"): ("ая", "ой", "ой", "ую", "ой", "ой"),
    ("pl", "hard"): ("ые", "ых", "ым", "*", "ыми", "ых"),
    ("m", "soft"): ("ий", "его", "ему", "*", "им", "ем"),
    ("n", "soft"): ("ее", "его", "ему", "ее", "им", "ем"),
    ("f", "soft"): ("яя", "ей", "ей", "юю", "ей", "ей"),
    ("pl", "soft"): ("ие", "их", "им", "*", "ими", "их"),
}


def decline_adjective(nominative: str, gender: str, *, animate: bool = False) -> Cases:
    """The six cases of an adjective for one gender ("m", "f", "n" or "pl").

    Given by its masculine nominative: *красный*, *золотой* (stressed ending), *синий* (soft stem),
    *робкий* (hard). The accusative of "m" and "pl" follows the noun: genitive if animate.
    """
    stem, ending = nominative[:-2], nominative[-2:]
    kind = "soft" if ending == "ий" and stem[-1] not in HUSHES + VELARS else "hard"
    endings = list(ADJECTIVE_ENDINGS[gender, kind])
    if gender == "m":
        endings[0] = ending
    if endings[3] == "*":
        endings[3] = endings[1 if animate else 0]
    return Cases(*(marked(stem, end, stressed=ending == "ой") for end in endings))


PAST_ENDINGS = {"m": "", "f": "а", "n": "о", "pl": "и"}


def past_tense(masculine: str, gender: str) -> str:
    """The past tense for one gender: *гулял, гулял|а, гулял|о, гулял|и*; *мог, могл|а*.

    The suffix -л- counts to the stem; a masculine that has lost it regains it before an ending.
    """
    stem = masculine if masculine.endswith("л") or gender == "m" else masculine + "л"
    return marked(stem, PAST_ENDINGS[gender])


def agreeing(phrase: str, gender: str) -> str:
    r"""*не мог\* подня|ть -> не могл|а подня|ть* ("f"): starred verbs agree with their subject."""
    return re.sub(r"(\w+)\*", lambda verb: past_tense(verb[1], gender), phrase)
