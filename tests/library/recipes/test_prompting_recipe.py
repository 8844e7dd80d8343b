"""Chapter 03's recipe: what is held out stays out, both models read equally much, runs repeat."""

import itertools
import random
import re

import pytest
import torch

from course_lib.model.parameters import count_parameters
from course_lib.recipes.prompting import (
    CONTEXT_LENGTH,
    VOCAB_SIZE,
    documents,
    draw_problem,
    draw_tokens,
    is_held_out,
    prompting_config,
    train_prompting_model,
    train_prompting_tokenizer,
)
from course_lib.text.stories.problems import FRUIT, TEMPLATES, WordProblem


@pytest.fixture(scope="module")
def tokenizer():
    return train_prompting_tokenizer(num_documents=400)


def numbers_of(problem: WordProblem) -> tuple[str, ...]:
    z = (problem.z,) if problem.kind in ("hands", "bags") else ()
    return (problem.kind, problem.x, problem.y, *z)


def test_no_held_out_numbers_stand_in_a_training_document():
    """Read back from the texts: the numbers of each question, without the kind's other words."""
    rng = random.Random(3)
    held_out = {numbers_of(draw_problem(rng, held_out=True)) for _ in range(1000)}
    assert {kind for kind, *_ in held_out} == set(TEMPLATES)
    source, found = documents(1, reasoning=True), set()
    marks = {"halves": ("half of their", "половину"), "hands": ("one hand", "одной руке")}
    marks |= {"more": (" more. How", "больше"), "bags": (" in each.", "в каждом")}
    for _ in range(800):
        for line in next(source).split("\n"):
            question = line.partition("?")[0]
            for kind, words in marks.items():
                if any(word in question for word in words):
                    found.add((kind, *map(int, re.findall(r"\d+", question))))
    assert len(found) > 300
    assert not found & held_out


def test_about_a_fifth_of_each_kinds_numbers_are_held_out():
    for kind in TEMPLATES:
        numbers = range(2, 21, 2) if kind == "halves" else range(2, 11)
        thirds = numbers if kind in ("hands", "bags") else [2]
        problems = [
            WordProblem(kind, "Vasya", "Petya", FRUIT[0], FRUIT[1], x, y, z)
            for x, y, z in itertools.product(numbers, numbers, thirds)
        ]
        share = sum(map(is_held_out, problems)) / len(problems)
        assert 0.15 < share < 0.25, (kind, share)


def test_plain_documents_have_no_steps_and_half_of_the_others_do():
    cues = ("Let us think:", "Step by step:", "Solution:", "Reasoning:")
    cues += ("Давай порассуждаем:", "По шагам:", "Решение:", "Рассуждение:")
    for reasoning, low, high in ((False, 0, 0), (True, 0.4, 0.6)):
        source = documents(2, reasoning=reasoning)
        texts = [next(source) for _ in range(300)]
        share = sum(any(cue in text for cue in cues) for text in texts) / len(texts)
        assert low <= share <= high


def test_digits_are_single_tokens_and_texts_come_back(tokenizer):
    assert tokenizer.vocab_size == VOCAB_SIZE
    text = next(documents(5, reasoning=True))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    digits = {str(digit) for digit in range(10)}
    longer = [name for name in tokenizer.vocab if set(name) & digits and len(name) > 1]
    assert not longer


def test_both_models_read_equally_many_tokens(tokenizer):
    streams = [draw_tokens(tokenizer, 5000, reasoning=reasoning) for reasoning in (False, True)]
    assert [len(stream) for stream in streams] == [5000, 5000]
    assert not torch.equal(*streams)


def test_a_model_in_half_precision_is_under_two_megabytes(tokenizer):
    config = prompting_config(tokenizer)
    assert config.context_length == CONTEXT_LENGTH == 256
    assert 2 * count_parameters(config) < 2_000_000


def test_a_run_repeats_itself(tokenizer):
    runs = [
        train_prompting_model(tokenizer, reasoning=True, num_steps=3, seed=1, progress=False)
        for _ in range(2)
    ]
    assert runs[0][1].losses == runs[1][1].losses
    assert all(
        torch.equal(one, other)
        for one, other in zip(runs[0][0].parameters(), runs[1][0].parameters(), strict=True)
    )
