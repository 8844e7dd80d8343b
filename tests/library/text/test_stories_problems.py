"""Word problems: the lecture's own, equations evaluated, counted nouns against pymorphy3."""

import random
import re

import pymorphy3
import pytest

from course_lib.text.stories.problems import (
    BAG,
    FRUIT,
    ITEMS,
    TEMPLATES,
    WordProblem,
    complete_problem,
    counted,
    make_problem,
    prompt_problem,
    read_answer,
)

APPLE, PEAR, CANDY = FRUIT[0], FRUIT[1], ITEMS[4]


def test_the_problem_of_the_lecture_in_both_languages():
    problem = WordProblem("halves", "Vasya", "Petya", APPLE, PEAR, 4, 8, 2)
    assert problem.answer == 6
    assert prompt_problem(problem, "ru", reasoning=False) == (
        "Вопрос: У Васи 4 яблока, у Пети 8 груш. Каждый из них съел половину своих фруктов. "
        "Сколько всего фруктов осталось? Ответ:"
    )
    assert prompt_problem(problem, "en", reasoning=True) == (
        "Question: Vasya has 4 apples and Petya has 8 pears. Each of them ate half of their fruit. "
        "How many pieces of fruit are left? Let us think:"
    )
    assert complete_problem(problem, "en", reasoning=True) == (
        " half of 4 is 2, half of 8 is 4. 2 + 4 = 6. Answer: 6"
    )
    assert complete_problem(problem, "ru", reasoning=False) == " 6"


def test_the_few_shot_example_of_the_lecture():
    problem = WordProblem("hands", "Olya", "Masha", CANDY, APPLE, 3, 5, 2)
    assert prompt_problem(problem, "ru", reasoning=True) == (
        "Вопрос: У Оли было 3 конфеты в одной руке и 5 в другой. 2 из них она отдала Маше. "
        "Сколько конфет осталось у Оли? Давай порассуждаем:"
    )
    assert complete_problem(problem, "ru", reasoning=True) == (
        " всего у Оли было 3 + 5 = 8 конфет. 8 - 2 = 6. Ответ: 6"
    )


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_equation_holds_and_the_last_one_is_the_answer(kind, language):
    rng = random.Random(1)
    for _ in range(200):
        problem = make_problem(rng, kind=kind, max_number=rng.choice([4, 10, 99]))
        text = complete_problem(problem, language, reasoning=True)
        equations = re.findall(r"(\d+) ([+×-]) (\d+) = (\d+)", text)
        assert len(equations) == (1 if kind == "halves" else 2)
        for left, sign, right, result in equations:
            assert int(result) == eval(f"{left} {sign.replace('×', '*')} {right}")
        assert int(equations[-1][3]) == problem.answer > 0
        assert text.endswith(f" {problem.answer}")
        assert read_answer(text, language) == problem.answer
        question = prompt_problem(problem, language, reasoning=True)
        given = {int(number) for number in re.findall(r"\d+", question)}
        used = {problem.z} if kind in ("hands", "bags") else set()
        assert given == {problem.x, problem.y} | used
        assert "{" not in question + text
        assert "  " not in question + text


def test_the_answer_is_found_by_counting_the_things_one_by_one():
    rng = random.Random(2)
    for _ in range(300):
        problem = make_problem(rng)
        x, y, z = ([1] * number for number in (problem.x, problem.y, problem.z))
        piles = {
            "halves": x[: len(x) // 2] + y[: len(y) // 2],
            "hands": (x + y)[len(z) :],
            "more": x + x + y,
            "bags": (x * problem.y)[len(z) :],
        }
        assert problem.answer == len(piles[problem.kind])


@pytest.mark.parametrize("item", [*ITEMS, BAG], ids=lambda item: item.english[0])
def test_russian_numbers_govern_their_nouns_as_in_the_dictionary(item):
    noun = next(
        parse
        for parse in pymorphy3.MorphAnalyzer().parse(item.russian[0])
        if {"nomn", "sing", "NOUN"} <= set(parse.tag.grammemes)
    )
    assert noun.tag.gender == {"m": "masc", "f": "femn", "n": "neut"}[item.gender]
    for number in range(2, 130):
        word = noun.make_agree_with_number(number).word
        assert counted(number, item, "ru") == f"{number} {word}"


def test_english_counts_one_apple_and_two_apples():
    assert counted(1, APPLE, "en") == "1 apple"
    assert counted(21, APPLE, "en") == "21 apples"


def test_twenty_one_agrees_with_its_noun():
    pears = WordProblem("hands", "Olya", "Egor", PEAR, APPLE, 21, 10, 5)
    assert "У Оли была 21 груша в одной руке" in prompt_problem(pears, "ru", reasoning=True)
    assert "было 21 + 10 = 31" not in complete_problem(pears, "ru", reasoning=True)
    assert "была 21 + 10 = 31 груша" in complete_problem(pears, "ru", reasoning=True)


def test_two_girls_are_each_feminine_and_a_mixed_pair_is_not():
    both = WordProblem("halves", "Olya", "Anya", APPLE, PEAR, 4, 8, 2)
    mixed = WordProblem("halves", "Olya", "Egor", APPLE, PEAR, 4, 8, 2)
    assert "Каждая из них съела" in prompt_problem(both, "ru", reasoning=True)
    assert "Каждый из них съел " in prompt_problem(mixed, "ru", reasoning=True)


def test_the_answer_is_read_from_what_a_model_wrote():
    assert read_answer(" 3 + 5 = 8. Answer: 6", "en") == 6
    assert read_answer(" 6\nQuestion: Vasya has 9", "en") == 6
    assert read_answer("Ответ: 5. Нет, ответ другой. Ответ: -7", "ru") == -7
    assert read_answer("I do not know", "en") is None


def test_numbers_stay_within_their_limit_and_a_small_limit_is_refused():
    rng = random.Random(4)
    for _ in range(200):
        problem = make_problem(rng, max_number=7)
        assert all(2 <= number <= 7 for number in (problem.x, problem.y, problem.z))
        assert problem.a != problem.b
        assert problem.item != problem.other
    with pytest.raises(ValueError, match="max_number=3 must be at least 4"):
        make_problem(rng, max_number=3)
