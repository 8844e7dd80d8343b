"""The laboratory's record: every setting once, read fairly, and never with a shot that is asked."""

import itertools
import json

import pytest
import torch
import transformers

from course_lib.hub import load_course_model, load_pretrained
from course_lib.hub.shipped import WEIGHTS
from course_lib.recipes import laboratory
from course_lib.recipes.laboratory import (
    MODES,
    SHOTS,
    WORDS,
    laboratory_problems,
    laboratory_prompt,
    make_prompting_models,
    measure_laboratory,
    setting_key,
)
from course_lib.text.prompting import WORDINGS

SETTINGS = [
    (language, words, shots, mode)
    for language in WORDS
    for words, shots, mode in itertools.product(WORDS[language], SHOTS, MODES)
]


def test_a_model_that_knows_the_answers_gets_all_of_them_and_a_silent_one_none():
    """Whichever answer word it writes; it goes on with a question of its own."""
    answers = {
        problem.question: problem.answer
        for language in WORDS
        for problem in laboratory_problems(language)
    }

    def knowing(prompts):
        asked = [max(answers, key=prompt.rfind) for prompt in prompts]
        return [f" Result: {answers[each]}\nQ: 3 + 5? A: 8" for each in asked]

    percents = measure_laboratory(
        {"knowing": knowing, "silent": lambda prompts: [""] * len(prompts)}
    )
    assert len(percents) == 2 * len(SETTINGS) == 96
    for setting in SETTINGS:
        assert percents[setting_key("knowing", *setting)] == 100
        assert percents[setting_key("silent", *setting)] == 0


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_a_prompt_has_its_shots_and_ends_in_the_question_or_a_cue(setting):
    language, words, shots, mode = setting
    prompt = laboratory_prompt(language, words, shots, mode, "How many?")
    lines = prompt.split("\n")
    assert len(lines) == shots + 1
    assert "How many?" in lines[-1]
    assert prompt == prompt.rstrip()
    asked = {problem.question for problem in laboratory_problems(language)}
    assert not any(question in line for line in lines[:-1] for question in asked)


def test_without_a_typed_problem_the_first_test_problem_is_asked():
    for language in WORDS:
        prompt = laboratory_prompt(language, "no words", 0, "answer")
        assert prompt == laboratory_problems(language)[0].question


@pytest.mark.slow
@pytest.mark.budget(60)
def test_the_recipe_writes_two_models_their_cards_and_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(laboratory, "NUM_PROBLEMS", 2)
    laboratory.laboratory_problems.cache_clear()
    make_prompting_models(tmp_path / "weights", tmp_path, num_steps=1)
    laboratory.laboratory_problems.cache_clear()
    for name in laboratory.NAMES:
        model, tokenizer = load_pretrained(tmp_path / "weights" / name)
        assert model.config.vocab_size == tokenizer.vocab_size
        assert f"`{name}`" in (tmp_path / "weights" / name / "README.md").read_text("utf-8")
    record = json.loads((tmp_path / "weights" / "reasoning" / "laboratory.json").read_text("utf-8"))
    assert len(record) == 96
    assert WORDINGS["en"][0] == WORDS["en"]["Question / Answer"]


@pytest.mark.parametrize("name", laboratory.NAMES)
def test_the_shipped_models_do_what_their_record_says(name):
    """Without the folders the error says how to get them; figures may move a little elsewhere."""
    loaded = load_course_model(name)
    record = json.loads((WEIGHTS / "reasoning" / laboratory.RECORD).read_text("utf-8"))
    for mode in MODES:
        setting = ("en", "Question / Answer", 0, mode)
        prompts = [laboratory_prompt(*setting, p.question) for p in laboratory_problems("en")]
        written = laboratory.answerer(*loaded)(prompts)
        answers = [laboratory.read_written(text, WORDINGS["en"][0]) for text in written]
        right = [a == p.answer for a, p in zip(answers, laboratory_problems("en"), strict=True)]
        assert abs(100 * sum(right) / len(right) - record[setting_key(name, *setting)]) <= 5


@pytest.mark.parametrize("name", laboratory.NAMES)
def test_the_shipped_models_open_in_transformers_and_say_the_same(name):
    model, tokenizer = load_course_model(name)
    folder = WEIGHTS / name
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    text = "<|endoftext|>Question: Anna has 4 apples. Вопрос: у Пети 8 груш."
    ids = tokenizer.encode(text, special=True)
    assert transformers.AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == ids
    with torch.no_grad():
        torch.testing.assert_close(
            model(torch.tensor([ids])),
            theirs(torch.tensor([ids])).logits,
            rtol=1e-4,
            atol=1e-3,  # logits of about 10, through other kernels
        )
