"""Numbers and dates in words, against num2words, pymorphy3 and cases worked by hand."""

import datetime
import random

import num2words
import pymorphy3
import pytest

from course_lib.text.numbers import (
    Spoken,
    joined,
    random_date,
    random_number,
    say_date,
    say_number,
)


def examples():
    """Every number below 2000, and a hundred of each length."""
    rng = random.Random(0)
    yield from map(str, range(2000))
    for num_digits in range(4, 13):
        for _ in range(100):
            yield random_number(rng, num_digits)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_numbers_agree_with_num2words(language):
    for written in examples():
        theirs = num2words.num2words(int(written.replace(" ", "")), lang=language)
        theirs = theirs.replace(",", "").replace(" and ", " ")  # the American way
        assert joined(say_number(written, language)) == theirs, written


def test_years_and_days_agree_with_num2words():
    """Their "oh-five" is written with a hyphen, their year of a single thousand with одна."""
    for year in range(1000, 3000):
        english = num2words.num2words(year, lang="en", to="year")
        english = english.replace(" and ", " ").replace("oh-", "oh ")
        russian = num2words.num2words(year, lang="ru", to="ordinal", case="g", gender="m")
        russian = russian.replace("одна тысяча", "тысяча")
        date = f"{year}-05-{year % 28 + 1:02}"
        day_ru = num2words.num2words(year % 28 + 1, lang="ru", to="ordinal", gender="n")
        day_en = num2words.num2words(year % 28 + 1, lang="en", to="ordinal")
        assert joined(say_date(date, "en")) == f"the {day_en} of May {english}"
        assert joined(say_date(date, "ru")) == f"{day_ru} мая {russian} года"


def test_russian_months_and_ordinals_stand_in_their_cases():
    """Month and year in the genitive, the day in the neuter nominative, by a dictionary."""
    morphology = pymorphy3.MorphAnalyzer()

    def has(word, *marks):
        return any(all(mark in parse.tag for mark in marks) for parse in morphology.parse(word))

    for number in range(1, 32):
        date = datetime.date(2000 + 3 * number, number % 12 + 1, min(number, 28))
        words = [spoken.word for spoken in say_date(date.isoformat(), "ru")]
        day = words[0] if date.day <= 20 else words[1]
        assert has(day, "nomn", "neut")
        assert has(words[-2], "gent", "masc")
        assert any(has(word, "NOUN", "gent", "sing") for word in words[:3])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("1 000", "одна тысяча"),
        ("2 000 002", "два миллиона два"),
        ("21 012", "двадцать одна тысяча двенадцать"),
        ("111 000 000", "сто одиннадцать миллионов"),
    ],
)
def test_russian_number_agrees_with_its_noun(written, words):
    assert joined(say_number(written, "ru")) == words


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_digit_but_zero_is_spoken_by_a_word_that_points_at_it(language):
    rng = random.Random(1)
    for num_digits in range(1, 13):
        written = random_number(rng, num_digits)
        spoken = {
            place for each in say_number(written, language) for place in range(each.start, each.end)
        }
        digits = {place for place, digit in enumerate(written) if digit in "123456789"}
        assert digits <= spoken, written


def test_words_point_at_their_digits_across_spaces():
    """In 12 034 the 4 stands at place 5, behind the space."""
    assert say_number("12 034", "en") == [
        Spoken("twelve", 0, 2),
        Spoken("thousand", 0, 2),
        Spoken("thirty-", 4, 5),
        Spoken("four", 5, 6),
    ]
    assert [(each.word, each.start, each.end) for each in say_date("1905-03-21", "ru")] == [
        ("двадцать", 8, 9),
        ("первое", 9, 10),
        ("марта", 5, 7),
        ("тысяча", 0, 1),
        ("девятьсот", 1, 2),
        ("пятого", 2, 4),
        ("года", 4, 4),
    ]


@pytest.mark.parametrize(
    "written", ["", " ", "1a", "-5", "007", "12 34", "1 2345", " 1", "١٢", "1" * 13, "0 000"]
)
def test_what_is_no_number_is_refused_in_a_sentence(written):
    with pytest.raises(ValueError, match="number "):
        say_number(written, "en")


@pytest.mark.parametrize(
    "written",
    ["", "24.11.2026", "2026-13-01", "2025-02-29", "0999-01-01", "20261124", "3000-01-01"],
)
def test_what_is_no_date_is_refused_in_a_sentence(written):
    with pytest.raises(ValueError, match="date "):
        say_date(written, "ru")


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language='de' must be one of en, ru"):
        say_number("1", "de")


def test_examples_come_from_the_generator_alone():
    for draw in (lambda rng: random_number(rng, 7), random_date):
        assert draw(random.Random(5)) == draw(random.Random(5))
    rng = random.Random(6)
    assert all(len(random_number(rng, 4)) == 5 for _ in range(50))
    assert all(1900 <= int(random_date(rng)[:4]) <= 2099 for _ in range(50))
