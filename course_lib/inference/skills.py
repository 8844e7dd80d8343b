"""What a model of the story world can do, asked of the world itself: shares of right answers.

In reading order: `write_on` (texts continued), `measure_loss` beside the world's entropy, the
skills within a story, facts, reading, problems and programs, and `measure_skills`, all of them.
Stories are of pairs held out of training, problems and tasks of those never shown.
"""

import dataclasses
import math
import random
from collections.abc import Callable, Iterable, Sequence
from string import Formatter

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from course_lib.inference.generate import generate
from course_lib.model.modes import evaluating
from course_lib.text.curriculum import END_OF_TEXT, training_problem
from course_lib.text.stories import make_story
from course_lib.text.stories.corpus import Story
from course_lib.text.stories.facts import FACTS, QUESTION_WORDS, ask_fact, tell_fact
from course_lib.text.stories.problems import complete_problem, prompt_problem, read_answer
from course_lib.text.stories.programs import make_task, prompt_task
from course_lib.text.stories.questions import ask
from course_lib.text.stories.reading import LANGUAGES, story_mistakes
from course_lib.text.stories.world import HELPERS_OF, Trace
from course_lib.text.tokenizers import Tokenizer

Model = Callable[..., Tensor]

# skill: the place of the story where it shows, in reading order. What stands there follows from
# what was told before, so a right model has no choice (of helpers it has several).
STORY_SKILLS = {
    "object": "object_lost",
    "name": "name_again",
    "obstacle": "obstacle",
    "helper": "helper",
    "ability": "ability",
    "colour": "colour_back",
    "trait": "helper_trait_given",
}


def write_on(
    model: Model,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    stop: str | None = None,
    batch_size: int = 64,
) -> list[str]:
    """Each prompt's most probable continuation, up to the end of the text or before `stop`."""
    end, completions = tokenizer.vocab[END_OF_TEXT], []
    for start in range(0, len(prompts), batch_size):
        ids = [[end, *tokenizer.encode(text)] for text in prompts[start : start + batch_size]]
        stops = [end] if stop is None else [end, *_tokens_with(tokenizer, stop)]
        answers = generate(model, ids, max_new_tokens=max_new_tokens, temperature=0, stop=stops)
        texts = (tokenizer.decode([token for token in a if token != end]) for a in answers)
        completions += [text.split(stop)[0] if stop else text for text in texts]
    return completions


def _tokens_with(tokenizer: Tokenizer, stop: str) -> list[int]:
    return [token for name, token in tokenizer.vocab.items() if stop in tokenizer.decode([token])]


def held_out_stories(count: int, *, seed: int = 0) -> list[Story]:
    """Stories whose hero never lost this thing in training."""
    rng = random.Random(f"held out {seed}")
    return [make_story(rng, split="held_out") for _ in range(count)]


def measure_loss(
    model: Model, tokenizer: Tokenizer, texts: Sequence[str], *, batch_size: int = 32
) -> dict[str, float]:
    """Mean nats of a whole text, its end included, and bits a byte.

    For stories the first has a floor: `stories.trace_entropy()`, 29.78 nats.
    """
    end, nats = tokenizer.vocab[END_OF_TEXT], 0.0
    ids = sorted(([end, *tokenizer.encode(text), end] for text in texts), key=len)
    for start in range(0, len(ids), batch_size):
        rows = [torch.tensor(row) for row in ids[start : start + batch_size]]
        padded = pad_sequence(rows, batch_first=True, padding_value=-100)
        with evaluating(model):
            logits = model(padded[:, :-1].clamp(min=0))
        nats += F.cross_entropy(
            logits.flatten(0, 1), padded[:, 1:].flatten(), ignore_index=-100, reduction="sum"
        ).item()
    num_bytes = sum(len(text.encode()) for text in texts)
    return {"nats": nats / len(texts), "bits_per_byte": nats / math.log(2) / num_bytes}


def story_prefix(trace: Trace, language: str, slot: str) -> tuple[str, str]:
    """The story up to a slot of its template, without the space before, and what stands there."""
    template, slots_of, _ = LANGUAGES[language]
    slots, text = slots_of(trace), ""
    for literal, name, _, _ in Formatter().parse(template):
        text += literal
        if name == slot:
            return text.rstrip(), slots[slot]
        text += slots[name] if name else ""
    raise ValueError(f"slot={slot!r} must be one of {', '.join(slots)}")


def story_skills(
    model: Model, tokenizer: Tokenizer, language: str, stories: Sequence[Story]
) -> dict[str, float]:
    """Shares of stories where the model writes the right words at the place of each skill."""
    shares = {}
    for skill, slot in STORY_SKILLS.items():
        places = [story_prefix(story.facts, language, slot) for story in stories]
        written = write_on(model, tokenizer, [before for before, _ in places], max_new_tokens=10)
        rights = [[words] for _, words in places]
        if skill == "helper":
            rights = [_helper_words(story.facts, language) for story in stories]
        shares[skill] = _share(
            any(_begins_with(text, each) for each in right)
            for text, right in zip(written, rights, strict=True)
        )
    return shares


def _helper_words(trace: Trace, language: str) -> list[str]:
    """Every helper that could do it and whose gender fits the trait told before."""
    slots_of = LANGUAGES[language][1]
    told = slots_of(trace)["helper_trait"]
    possible = (
        slots_of(dataclasses.replace(trace, helper=each)) for each in HELPERS_OF[trace.spot]
    )
    return [slots["helper"] for slots in possible if slots["helper_trait"] == told]


def _begins_with(text: str, words: str) -> bool:
    text = text.lstrip()
    return text.startswith(words) and not text[len(words) :][:1].isalpha()


def written_stories(
    model: Model, tokenizer: Tokenizer, language: str, stories: Sequence[Story]
) -> list[str]:
    """The stories' first sentences, and what the model makes of them."""
    texts = [story.english if language == "en" else story.russian for story in stories]
    openings = [text[: text.index(".") + 1] for text in texts]
    written = write_on(model, tokenizer, openings, max_new_tokens=100)
    return [opening + rest for opening, rest in zip(openings, written, strict=True)]


def fact_skills(model: Model, tokenizer: Tokenizer, language: str) -> dict[str, float]:
    """Facts that the model finishes right, and questions about them, asked before and never."""
    told = [tell_fact(fact, language) for fact in FACTS]
    asked = [ask_fact(fact, language) for fact in FACTS]
    ask_word, answer_word = QUESTION_WORDS[language]
    values = [question.answer for question in asked]
    begun = [text.removesuffix(f" {v}.") for text, v in zip(told, values, strict=True)]
    finished = write_on(model, tokenizer, begun, max_new_tokens=12)
    questions = [f"{ask_word} {each.question}\n{answer_word}" for each in asked]
    answers = write_on(model, tokenizer, questions, max_new_tokens=12, stop="\n")
    right = [answer.strip() == value for answer, value in zip(answers, values, strict=True)]
    return {
        "facts": _share(map(_begins_with, finished, values)),
        "facts asked": _share(r for r, fact in zip(right, FACTS, strict=True) if fact.is_asked),
        "facts never asked": _share(
            r for r, fact in zip(right, FACTS, strict=True) if not fact.is_asked
        ),
    }


def reading_skill(
    model: Model, tokenizer: Tokenizer, language: str, stories: Sequence[Story]
) -> float:
    """Share of questions about a story, one a story, answered in the world's very words."""
    ask_word, answer_word = QUESTION_WORDS[language]
    rng, prompts, answers = random.Random("reading"), [], []
    for story in stories:
        question = rng.choice(ask(story.facts, language))
        text = story.english if language == "en" else story.russian
        prompts.append(f"{text}\n{ask_word} {question.question}\n{answer_word}")
        answers.append(question.answer)
    written = write_on(model, tokenizer, prompts, max_new_tokens=20, stop="\n")
    return _share(text.strip() == answer for text, answer in zip(written, answers, strict=True))


def problem_skill(
    model: Model, tokenizer: Tokenizer, language: str, *, reasoning: bool, count: int
) -> float:
    """Share of word problems never shown whose answer is right."""
    rng = random.Random("problems")
    problems = [training_problem(rng, held_out=True) for _ in range(count)]
    prompts = [prompt_problem(each, language, reasoning=reasoning) for each in problems]
    longest = max(
        len(tokenizer.encode(complete_problem(each, language, reasoning=reasoning)))
        for each in problems
    )
    written = write_on(model, tokenizer, prompts, max_new_tokens=longest + 4, stop="\n")
    return _share(
        read_answer(text, language) == problem.answer
        for text, problem in zip(written, problems, strict=True)
    )


def program_skill(model: Model, tokenizer: Tokenizer, language: str, *, count: int) -> float:
    """pass@1: the share of tasks never shown whose first program passes all tests."""
    rng = random.Random("tasks")
    tasks = [make_task(rng, held_out=True) for _ in range(count)]
    prompts = [prompt_task(task, language) for task in tasks]
    written = write_on(model, tokenizer, prompts, max_new_tokens=24, stop="\n")
    return _share(task.is_solved_by(text) for task, text in zip(tasks, written, strict=True))


def measure_skills(
    model: Model, tokenizer: Tokenizer, *, count: int = 40, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Everything above, by language: {"en": {"story nats": ..., "helper": ..., ...}, "ru": ...}.

    "flawless" are stories written from their first sentence in which the world finds no mistake.
    """
    stories = held_out_stories(count, seed=seed)
    rng = random.Random(f"validation {seed}")
    seen = [make_story(rng) for _ in range(4 * count)]
    skills = {}
    for language in QUESTION_WORDS:
        texts = [story.english if language == "en" else story.russian for story in seen]
        loss = measure_loss(model, tokenizer, texts)
        written = written_stories(model, tokenizer, language, stories)
        skills[language] = {
            "story nats": loss["nats"],
            "bits per byte": loss["bits_per_byte"],
            **story_skills(model, tokenizer, language, stories),
            "flawless": _share(not story_mistakes(text, language) for text in written),
            **fact_skills(model, tokenizer, language),
            "reading": reading_skill(model, tokenizer, language, stories),
            **{
                name: problem_skill(model, tokenizer, language, reasoning=reasoning, count=count)
                for name, reasoning in (("problems", False), ("problems, reasoned", True))
            },
            "programs": program_skill(model, tokenizer, language, count=count),
        }
    return skills


def _share(right: Iterable[bool]) -> float:
    counted = list(right)
    return sum(counted) / len(counted)
