"""Russian of the story world against pymorphy3's dictionary, and its agreement in sentences."""

import functools
import random
import re

import pymorphy3
import pytest

from course_lib.text.stories import make_story, russian_morphs
from course_lib.text.stories import russian_words as words
from course_lib.text.stories.morphology import Cases, agreeing, decline_noun, past_tense, plain

CASES = ("nomn", "gent", "datv", "accs", "ablt", "loct")
GENDERS = {"m": {"masc"}, "f": {"femn"}, "n": {"neut"}, "pl": {"plur"}}


@functools.cache
def analyzer():
    return pymorphy3.MorphAnalyzer()


@functools.cache
def parses(word):
    return [parse for parse in analyzer().parse(word) if parse.is_known]


def has_form(word, lemma, grammemes):
    """Does the dictionary hold this spelling of the lemma with these grammemes?"""
    return any(
        parse.word == word.lower()
        and parse.normal_form == lemma.lower()
        and grammemes <= set(parse.tag.grammemes)
        for parse in parses(word.lower())
    )


ALL_NOUNS = {
    noun.cases.nominative: (noun, animate)
    for table, animate in (
        (words.ANIMALS, True),
        (words.NAMES, True),
        (words.OBJECTS, False),
        (words.GIFTS, False),
    )
    for noun in table.values()
}


@pytest.mark.parametrize("nominative", ALL_NOUNS)
def test_every_case_of_every_noun_is_in_the_dictionary(nominative):
    noun, animate = ALL_NOUNS[nominative]
    lemma = plain(nominative)
    if noun.gender == "pl":
        lemma = parses(lemma)[0].normal_form
    number = {"plur"} if noun.gender == "pl" else {"sing"} | GENDERS[noun.gender]
    if animate:
        number = number | {"anim"}
    for case, form in zip(CASES, noun.cases, strict=True):
        assert has_form(plain(form), lemma, {"NOUN", case} | number), (plain(form), case)


@pytest.mark.parametrize("animate", [True, False])
@pytest.mark.parametrize("gender", GENDERS)
def test_every_case_of_every_adjective_is_in_the_dictionary(gender, animate):
    adjectives = words.TRAITS | words.HELPER_TRAITS if animate else words.COLOURS
    for english, cases in words.adjective_cases(gender, animate=animate).items():
        for case, form in zip(CASES, cases, strict=True):
            grammemes = {"ADJF", case} | GENDERS[gender]
            if case == "accs" and gender in ("m", "pl"):
                grammemes = grammemes | {"anim" if animate else "inan"}
            assert has_form(plain(form), adjectives[english], grammemes), (plain(form), case)


def test_every_past_tense_is_in_the_dictionary_with_its_gender():
    tables = (words.ACTIVITIES, words.CAUSES, words.INABILITIES, words.ACTIONS)
    phrases = [phrase for table in tables for phrase in table.values()] + [words.TEMPLATE_WORDS]
    verbs = {verb for phrase in phrases for verb in re.findall(r"(\w+)\*", phrase)}
    assert len(verbs) >= 18
    for verb in verbs:
        for gender, grammemes in GENDERS.items():
            form = plain(past_tense(verb, gender))
            assert any(
                {"VERB", "past"} | grammemes <= set(parse.tag.grammemes) for parse in parses(form)
            ), form


def test_every_word_of_the_stories_is_a_known_word_with_known_morphs():
    rng = random.Random(8)
    seen = set()
    for _ in range(3000):
        seen.update(re.findall(r"\w+", make_story(rng).russian.lower()))
    morphs = russian_morphs()
    assert seen <= morphs.keys()
    assert all(parses(word) for word in seen)


def agree(first, second, *grammemes):
    """Can the two words be read with these grammemes, equal in gender or number?"""
    return any(
        wanted <= set(a.tag.grammemes) and wanted <= set(b.tag.grammemes)
        for gender in GENDERS.values()
        for wanted in [set(grammemes) | gender]
        for a in parses(first.lower())
        for b in parses(second.lower())
    )


STORY = re.compile(
    r"Однажды [\w ]*?(?P<trait>\w+(?:ый|ий|ой|ая|яя)) (?P<hero>\w+) "
    r"(?P<name>[А-Я]\w+) (?P<did>\w+) (?P<prep>в|во|на) (?P<place>\w+) с (?P<colour>\w+) "
    r"(?P<object>\w+)\. "
    r"(?P<cause>[^.]+) (?P<lost>\w+) (?:в|на|под) [\w ]+\. "
    r"(?P<again>\w+) [^.]+ и (?P<called>\w+) (?P<whose>\w+) (?P<helper>\w+)\. "
    r"(?P<acting>\w+) (?P<acts>\w+)[^.]*, и скоро (?P<back>\w+) (?P<thing>\w+) снова (?P<was>\w+) "
    r"у (?P<owner>\w+)\. (?P<giving>\w+) (?P<gave>\w+) (?P<kind>\w+) (?P<given>\w+) (?P<gift>\w+)\."
)


def test_words_of_a_sentence_agree_as_an_independent_parser_reads_them():
    rng = random.Random(9)
    for number in range(1500):
        text = make_story(rng, split="held_out" if number % 2 else "train").russian
        story = STORY.fullmatch(text)
        assert story, text
        word = story.groupdict()
        for first, second, *grammemes in (
            ("trait", "hero", "nomn"),
            ("hero", "name", "nomn"),
            ("hero", "did"),
            ("hero", "called"),
            ("hero", "gave"),
            ("colour", "object", "ablt"),
            ("whose", "helper", "accs"),
            ("kind", "given", "datv"),
            ("acting", "acts"),
            ("back", "thing", "nomn"),
            ("thing", "was"),
        ):
            assert agree(word[first], word[second], *grammemes), (word[first], word[second], text)
        for first, case in (("lost", "accs"), ("owner", "gent"), ("gift", "accs")):
            assert any(case in parse.tag for parse in parses(word[first].lower())), text
        place = {case for parse in parses(word["place"]) for case in parse.tag.grammemes}
        assert place & {"loct", "loc2"}, text
        assert word["name"] == word["again"]
        assert word["hero"] == word["giving"].lower()


def test_spelling_rules_and_stress_worked_by_hand():
    assert decline_noun("ёж", "m", oblique="еж", animate=True, stressed=True) == Cases(
        "ёж", "еж|а", "еж|у", "еж|а", "еж|ом", "еж|е"
    )
    assert decline_noun("заяц", "m", oblique="зайц", animate=True).instrumental == "зайц|ем"
    assert decline_noun("белка", "f").genitive == "белк|и"
    assert decline_noun("кольцо", "n", stressed=True) == Cases(
        "кольц|о", "кольц|а", "кольц|у", "кольц|о", "кольц|ом", "кольц|е"
    )
    assert decline_noun("фонарь", "m", stressed=True).instrumental == "фонар|ём"
    assert decline_noun("фонарь", "m").accusative == "фонарь"
    assert decline_noun("мышь", "f").instrumental == "мыш|ью"


def test_a_phrase_agrees_with_its_subject():
    assert agreeing("не мог* подня|ть", "f") == "не могл|а подня|ть"
    assert agreeing("копал* и копал*", "m") == "копал и копал"
    assert agreeing("был*", "pl") == "был|и"


def test_morphs_spell_their_word_and_no_word_has_two_splits():
    forms = [form for noun, _ in ALL_NOUNS.values() for form in noun.cases]
    for gender in GENDERS:
        for animate in (True, False):
            for cases in words.adjective_cases(gender, animate=animate).values():
                forms.extend(cases)
    splits = {}
    for form in forms:
        splits.setdefault(plain(form).lower(), set()).add(form.lower())
    assert all(len(split) == 1 for split in splits.values())
    morphs = russian_morphs()
    assert all(stem and stem + ending == word for word, (stem, ending) in morphs.items())
    assert morphs["лисой"] == ("лис", "ой")
    assert morphs["синюю"] == ("син", "юю")
    assert morphs["гуляла"] == ("гулял", "а")
    assert morphs["рысь"] == ("рысь", "")
    assert morphs["скоро"] == ("скоро", "")
