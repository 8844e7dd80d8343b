"""Numbers and dates in words, English and Russian, each word with the digits that it speaks.

In reading order: `Spoken`, `say_number`, `say_date`, `joined`, and the examples `random_number` and
`random_date`. Russian agrees: одна тысяча but один миллион, две тысячи, пять тысяч; the day is an
ordinal in the neuter (двадцать четвёртое), month and year stand in the genitive.
"""

import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass

LANGUAGES = ("en", "ru")
MAX_DIGITS = 12

_TABLE = """
english ones: zero one two three four five six seven eight nine ten eleven twelve thirteen
fourteen fifteen sixteen seventeen eighteen nineteen

english tens: twenty thirty forty fifty sixty seventy eighty ninety

english ordinals: zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh
twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth

english months: January February March April May June July August September October November
December

russian ones: ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать
тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать

russian tens: двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто

russian hundreds: сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот

russian months: января февраля марта апреля мая июня июля августа сентября октября ноября декабря

russian ordinals: перв втор треть четвёрт пят шест седьм восьм девят десят одиннадцат двенадцат
тринадцат четырнадцат пятнадцат шестнадцат семнадцат восемнадцат девятнадцат двадцат тридцат
сороков пятидесят шестидесят семидесят восьмидесят девяност сот двухсот трёхсот четырёхсот
пятисот шестисот семисот восьмисот девятисот
"""
_WORDS = {
    name.strip(): words.split()
    for name, _, words in (line.partition(":") for line in _TABLE.split("\n\n"))
}
_RUSSIAN_ORDINAL_STEMS = dict(
    zip(
        (*range(1, 20), *range(20, 100, 10), *range(100, 1000, 100)),
        _WORDS["russian ordinals"],
        strict=True,
    )
)
_ONES = {"en": _WORDS["english ones"], "ru": _WORDS["russian ones"]}
_TENS = {"en": _WORDS["english tens"], "ru": _WORDS["russian tens"]}
_ENGLISH_SCALES = ("", "thousand", "million", "billion")
_RUSSIAN_SCALES = (
    (),
    ("тысяча", "тысячи", "тысяч"),
    ("миллион", "миллиона", "миллионов"),
    ("миллиард", "миллиарда", "миллиардов"),
)
_FEMININE = {"один": "одна", "два": "две"}


@dataclass(frozen=True)
class Spoken:
    """One word and the characters written[start:end] that it speaks; start == end: none."""

    word: str
    start: int
    end: int


def say_number(written: str, language: str) -> list[Spoken]:
    """2 019 -> two 0-1, thousand 0-1, nineteen 3-5: a number of up to twelve digits in words.

    Groups of three may be parted by spaces. English in the American way, without "and".
    ValueError if `written` is no such number. Chapter 04.
    """
    _check_language(language)
    digits = _digits_of(written)
    if digits == "0":
        return [Spoken(_ONES[language][0], 0, 1)]
    spoken: list[Spoken] = []
    starts = [*range(len(digits) - 3, 0, -3), 0]
    for scale, start in reversed(list(enumerate(starts))):
        end = len(digits) - 3 * scale
        if count := int(digits[start:end]):
            spoken += _say_group(count, end, language, is_feminine=scale == 1)
            if scale:
                spoken.append(Spoken(_scale_word(count, scale, language), start, end))
    places = [place for place, character in enumerate(written) if character != " "]
    return [Spoken(each.word, places[each.start], places[each.end - 1] + 1) for each in spoken]


def say_date(written: str, language: str) -> list[Spoken]:
    """2026-11-24 -> the twenty-fourth of November twenty twenty-six: the source's order reversed.

    Years 1000 to 2999. ValueError if `written` is no date in this form. Chapter 04.
    """
    _check_language(language)
    try:
        date = datetime.date.fromisoformat(written)
    except ValueError as error:
        raise ValueError(f"date {written!r}: write year-month-day, 2026-11-24 ({error})") from None
    if len(written) != 10 or not 1000 <= date.year <= 2999:
        raise ValueError(f"date {written!r}: write year-month-day with a year from 1000 to 2999")
    if language == "en":
        return [
            Spoken("the", 8, 8),
            *_english_ordinal(date.day),
            Spoken("of", 5, 5),
            Spoken(_WORDS["english months"][date.month - 1], 5, 7),
            *_english_year(date.year),
        ]
    month = Spoken(_WORDS["russian months"][date.month - 1], 5, 7)
    return [
        *_russian_ordinal(date.day, 10, "ое"),
        month,
        *_russian_year(date.year),
        Spoken("года", 4, 4),
    ]


def joined(spoken: Sequence[Spoken] | Sequence[str]) -> str:
    """The words as one text: "twenty-" and its neighbour are joined by the hyphen."""
    words = [each.word if isinstance(each, Spoken) else each for each in spoken]
    return " ".join(words).replace("- ", "-")


def random_number(rng: random.Random, num_digits: int) -> str:
    """A number of exactly so many digits, all equally likely, in groups of three: "2 019"."""
    low = 0 if num_digits == 1 else 10 ** (num_digits - 1)
    return f"{rng.randrange(low, 10**num_digits):,}".replace(",", " ")


def random_date(rng: random.Random, *, first_year: int = 1900, last_year: int = 2099) -> str:
    """A day of these years, "2026-11-24"."""
    first, last = datetime.date(first_year, 1, 1), datetime.date(last_year, 12, 31)
    return datetime.date.fromordinal(rng.randint(first.toordinal(), last.toordinal())).isoformat()


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise ValueError(f"language={language!r} must be one of {', '.join(LANGUAGES)}")


def _digits_of(written: str) -> str:
    """The digits alone; ValueError if it is no number in the form that say_number wants."""
    shown = repr(written if len(written) < 30 else written[:30] + "…")
    first, *others = written.split(" ")
    digits = first + "".join(others)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_DIGITS:
        raise ValueError(f"number {shown}: write 1 to {MAX_DIGITS} digits, 427 318 or 427318")
    if others and not (0 < len(first) <= 3 and all(len(group) == 3 for group in others)):
        raise ValueError(f"number {shown}: a space parts groups of three digits, 427 318")
    if digits[0] == "0" and digits != "0":
        raise ValueError(f"number {shown}: a number does not begin with 0")
    return digits


def _say_group(count: int, end: int, language: str, *, is_feminine: bool = False) -> list[Spoken]:
    """1 to 999, whose last digit stands just before `end`."""
    hundreds, rest = divmod(count, 100)
    spoken = []
    if hundreds and language == "en":
        spoken = [Spoken(word, end - 3, end - 2) for word in (_ONES["en"][hundreds], "hundred")]
    elif hundreds:
        spoken = [Spoken(_WORDS["russian hundreds"][hundreds - 1], end - 3, end - 2)]
    tens, unit = divmod(rest, 10)
    if tens >= 2:
        word = _TENS[language][tens - 2]
        hyphen = "-" if language == "en" and unit else ""
        spoken.append(Spoken(word + hyphen, end - 2, end - 1))
    else:
        unit = rest
    if unit:
        word = _ONES[language][unit]
        word = _FEMININE.get(word, word) if is_feminine else word
        spoken.append(Spoken(word, end - 2 if unit >= 10 else end - 1, end))
    return spoken


def _scale_word(count: int, scale: int, language: str) -> str:
    """Thousand, million, billion; in Russian one, few and many differ: тысяча, тысячи, тысяч."""
    if language == "en":
        return _ENGLISH_SCALES[scale]
    one, few, many = _RUSSIAN_SCALES[scale]
    if count % 100 in range(11, 15):
        return many
    return one if count % 10 == 1 else few if count % 10 in (2, 3, 4) else many


def _english_ordinal(day: int) -> list[Spoken]:
    tens, unit = divmod(day, 10)
    if day < 20:
        return [Spoken(_WORDS["english ordinals"][day], 8, 10)]
    if unit == 0:
        return [Spoken(_TENS["en"][tens - 2].removesuffix("y") + "ieth", 8, 10)]
    return [
        Spoken(_TENS["en"][tens - 2] + "-", 8, 9),
        Spoken(_WORDS["english ordinals"][unit], 9, 10),
    ]


def _english_year(year: int) -> list[Spoken]:
    """Pairs of digits: nineteen oh five, nineteen hundred; two thousand five, two thousand."""
    century, rest = divmod(year, 100)
    if century % 10 == 0 and rest < 10:
        return say_number(str(year), "en")
    spoken = _say_group(century, 2, "en")
    if rest == 0:
        return [*spoken, Spoken("hundred", 2, 4)]
    if rest < 10:
        spoken.append(Spoken("oh", 2, 3))
    return spoken + _say_group(rest, 4, "en")


def _russian_ordinal(number: int, end: int, ending: str) -> list[Spoken]:
    """1 to 999: cardinals, and the last word an ordinal that ends in `ending`, "ое" or "ого"."""
    if number % 100 in range(1, 20):
        last, start = number % 100, end - 2
    elif number % 10:
        last, start = number % 10, end - 1
    elif number % 100:
        last, start = number % 100, end - 2
    else:
        last, start = number, end - 3
    stem = _RUSSIAN_ORDINAL_STEMS[last]
    if stem.endswith("ь"):  # третье, третьего
        ending = {"ое": "е", "ого": "его"}[ending]
    before = _say_group(number - last, end, "ru") if number > last else []
    return [*before, Spoken(stem + ending, start, end)]


def _russian_year(year: int) -> list[Spoken]:
    """In the genitive, as in года: двухтысячного; тысяча девятьсот пятого."""
    thousands, rest = divmod(year, 1000)
    if rest == 0:
        return [Spoken(("тысячного", "двухтысячного")[thousands - 1], 0, 4)]
    words = ("тысяча",) if thousands == 1 else ("две", "тысячи")
    return [*(Spoken(word, 0, 1) for word in words), *_russian_ordinal(rest, 4, "ого")]
