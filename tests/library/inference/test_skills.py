"""Skills measured: a model that knows the texts by heart has all, one that knows others none."""

import dataclasses
import math
import random

import pytest
import torch

from course_lib.inference import skills
from course_lib.inference.skills import (
    STORY_SKILLS,
    fact_skills,
    held_out_stories,
    measure_loss,
    problem_skill,
    program_skill,
    reading_skill,
    story_prefix,
    story_skills,
    write_on,
    written_stories,
)
from course_lib.text.curriculum import (
    END_OF_TEXT,
    SPECIAL_TOKENS,
    tokenizer_texts,
    training_problem,
)
from course_lib.text.stories.english import tell_english
from course_lib.text.stories.facts import FACTS, ask_fact, tell_fact, write_question
from course_lib.text.stories.problems import complete_problem, prompt_problem
from course_lib.text.stories.programs import make_task, prompt_task
from course_lib.text.stories.questions import ask
from course_lib.text.stories.world import is_held_out
from course_lib.text.tokenizers import BPETokenizer
from course_lib.text.tokenizers.pre_tokenizers import SINGLE_DIGITS_PATTERN

# Words are whole tokens with their space before them: a prompt's tokens begin its text's.
TOKENIZER = BPETokenizer.train(
    tokenizer_texts(1000),
    1500,
    pattern=SINGLE_DIGITS_PATTERN,
    special_tokens=SPECIAL_TOKENS,
)
END = TOKENIZER.vocab[END_OF_TEXT]


def by_heart(texts: list[str]):
    """A model that goes on as the first of its texts that begins like the given one."""
    known = [[END, *TOKENIZER.encode(text), END] for text in texts]

    def model(tokens: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, TOKENIZER.vocab_size)
        for row, given in enumerate(tokens.tolist()):
            for ids in known:
                if len(ids) > len(given) and ids[: len(given)] == given:
                    logits[row, -1, ids[len(given)]] = 9.0
                    break
        return logits

    return model


@pytest.fixture(autouse=True)
def room_for_smaller_tokens(monkeypatch):
    """This vocabulary is smaller than the course's: a word may be several tokens."""
    monkeypatch.setattr(
        skills,
        "write_on",
        lambda *given, **options: write_on(*given, **options | {"max_new_tokens": 130}),
    )


STORIES = held_out_stories(3, seed=5)


def told(language: str) -> list[str]:
    return [story.english if language == "en" else story.russian for story in STORIES]


def test_stories_are_of_held_out_pairs():
    assert all(is_held_out(story.facts.hero, story.facts.object) for story in STORIES)
    assert held_out_stories(3, seed=5) == STORIES != held_out_stories(3, seed=6)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_model_that_knows_the_stories_has_every_skill(language):
    shares = story_skills(by_heart(told(language)), TOKENIZER, language, STORIES)
    assert shares == dict.fromkeys(STORY_SKILLS, 1.0)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_model_that_writes_something_else_has_none(language):
    shares = story_skills(by_heart(["Zzz"]), TOKENIZER, language, STORIES)
    assert shares == dict.fromkeys(STORY_SKILLS, 0.0)


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("slot", STORY_SKILLS.values())
def test_a_prefix_ends_where_its_words_begin(language, slot):
    for story, text in zip(STORIES, told(language), strict=True):
        before, words = story_prefix(story.facts, language, slot)
        assert text.startswith(f"{before} {words}")


def test_another_helper_that_can_do_it_is_right_too():
    """A mouse and a weasel can both squeeze in; a kind weasel is as right as a kind mouse."""
    trace = dataclasses.replace(STORIES[0].facts, hero="elk", spot="crack", helper="mouse")
    story = dataclasses.replace(STORIES[0], english=tell_english(trace), facts=trace)
    for helper, share in (("mouse", 1.0), ("weasel", 1.0), ("badger", 0.0)):
        text = story.english.replace(" mouse.", f" {helper}.", 1)
        assert story_skills(by_heart([text]), TOKENIZER, "en", [story])["helper"] == share


def test_stories_are_written_from_their_first_sentence():
    written = written_stories(by_heart(told("en")), TOKENIZER, "en", STORIES)
    assert [text[:60] for text in written] == [text[:60] for text in told("en")]


def test_facts_told_asked_and_never_asked_are_counted_apart():
    sentences = [tell_fact(fact, "en") for fact in FACTS]
    questions = [write_question(ask_fact(f, "en"), "en") for f in FACTS if f.is_asked]
    assert fact_skills(by_heart(sentences + questions), TOKENIZER, "en") == {
        "facts": 1.0,
        "facts asked": 1.0,
        "facts never asked": 0.0,
    }


@pytest.mark.parametrize("language", ["en", "ru"])
def test_reading_asks_for_the_very_words(language):
    texts = [
        f"{text}\n{write_question(question, language)}"
        for text, story in zip(told(language), STORIES, strict=True)
        for question in ask(story.facts, language)
    ]
    assert reading_skill(by_heart(texts), TOKENIZER, language, STORIES) == 1.0
    more = [f"{text} indeed" for text in texts]
    assert reading_skill(by_heart(more), TOKENIZER, language, STORIES) == 0.0


@pytest.mark.parametrize("reasoning", [True, False])
def test_problems_are_right_by_their_answer(reasoning):
    rng = random.Random("problems")
    problems = [training_problem(rng, held_out=True) for _ in range(3)]
    texts = [
        prompt_problem(each, "en", reasoning=reasoning)
        + complete_problem(each, "en", reasoning=reasoning)
        for each in problems
    ]
    model = by_heart(texts)
    assert problem_skill(model, TOKENIZER, "en", reasoning=reasoning, count=3) == 1.0
    wrong = by_heart([f"{text}1" for text in texts])
    assert problem_skill(wrong, TOKENIZER, "en", reasoning=reasoning, count=3) == 0.0


def test_programs_are_run():
    rng = random.Random("tasks")
    tasks = [make_task(rng, held_out=True) for _ in range(3)]
    prompts = [prompt_task(task, "ru") for task in tasks]
    right = [f"{p} {task.program}" for p, task in zip(prompts, tasks, strict=True)]
    assert program_skill(by_heart(right), TOKENIZER, "ru", count=3) == 1.0
    assert program_skill(by_heart([f"{p} neg" for p in prompts]), TOKENIZER, "ru", count=3) < 1


def test_the_loss_of_a_uniform_model_is_the_number_of_tokens_times_log_of_the_vocabulary():
    def uniform(tokens):
        return torch.zeros(*tokens.shape, TOKENIZER.vocab_size)

    texts = ["abc", "", "жуть"]
    loss = measure_loss(uniform, TOKENIZER, texts, batch_size=2)
    num_tokens = sum(len(TOKENIZER.encode(text)) + 1 for text in texts)
    nats = num_tokens * math.log(TOKENIZER.vocab_size)
    assert loss["nats"] == pytest.approx(nats / 3)
    assert loss["bits_per_byte"] == pytest.approx(nats / math.log(2) / (3 + 8))
