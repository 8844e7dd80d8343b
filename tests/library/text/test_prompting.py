"""Prompts of the word problems: what is asked and what is read back fit together."""

import random

import pytest

from course_lib.text.prompting import (
    INSTRUCTIONS,
    WORDINGS,
    build_prompt,
    complete_prompt,
    example_of,
    extract_answer,
    mix_wordings,
)
from course_lib.text.stories.problems import complete_problem, make_problem, prompt_problem


def problems(count=30, seed=0):
    rng = random.Random(seed)
    return [make_problem(rng) for _ in range(count)]


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("steps", [False, True])
def test_the_first_wording_is_the_lectures(language, steps):
    for problem in problems():
        wording, example = WORDINGS[language][0], example_of(problem, language)
        prompt = build_prompt(wording, [], example, chain_of_thought=steps)
        completion = complete_prompt(wording, example, chain_of_thought=steps)
        assert prompt == prompt_problem(problem, language, reasoning=steps)
        assert completion == complete_problem(problem, language, reasoning=steps)


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("steps", [False, True])
def test_the_right_completion_holds_the_right_answer_in_every_wording(language, steps):
    """Also if the model goes on with a problem of its own."""
    examples = [example_of(problem, language) for problem in problems()]
    for wording in mix_wordings(language):
        for query, other in zip(examples, reversed(examples), strict=True):
            written = complete_prompt(wording, query, chain_of_thought=steps)
            more = build_prompt(wording, [other], query, chain_of_thought=steps)
            assert extract_answer(f"{written}\n{more}", wording.answer) == query.answer


@pytest.mark.parametrize("language", ["en", "ru"])
def test_there_are_64_different_wordings(language):
    mixed = mix_wordings(language)
    assert len(set(mixed)) == 64
    assert mixed[0].instruction == INSTRUCTIONS[language][0] == ""
    assert mixed[0].answer == WORDINGS[language][0].answer
