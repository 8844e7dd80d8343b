"""The prompts of chapter 03's laboratory, and how well each does: measured with the models.

In reading order: what can be chosen (`WORDS`, `SHOTS`, `MODES`), `laboratory_prompt`,
`measure_laboratory`, and `make_prompting_models`, which trains both models and writes all down.
"""

import functools
import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from course_lib.files import write_atomically
from course_lib.hub.checkpoint import load_pretrained, save_pretrained
from course_lib.inference.prompt_search import answer_prompts
from course_lib.model.transformer import Transformer
from course_lib.recipes.prompting import (
    NUM_STEPS,
    draw_examples,
    train_prompting_model,
    train_prompting_tokenizer,
)
from course_lib.text.curriculum import END_OF_TEXT
from course_lib.text.prompting import WORDINGS, Example, Wording, build_prompt, extract_answer
from course_lib.text.tokenizers import Tokenizer

NAMES = ("plain", "reasoning")
RECORD = "laboratory.json"
NUM_PROBLEMS = 40
WORDS: Mapping[str, Mapping[str, Wording]] = {
    "en": {
        "Question / Answer": WORDINGS["en"][0],
        "Problem / Result": WORDINGS["en"][2],
        "Task / Total": Wording("Task:", "Explain:", "Total:"),
        "no words": Wording("", "", ""),
    },
    "ru": {
        "Question / Answer": WORDINGS["ru"][0],
        "Problem / Result": WORDINGS["ru"][2],
        "Task / Total": Wording("Задание:", "Объясни:", "Всего:"),
        "no words": Wording("", "", ""),
    },
}
"""Two wordings of the training texts, one of other words, and the bare question."""
SHOTS = (0, 1, 3)
MODES = ("answer", "steps")


def laboratory_prompt(
    language: str, words: str, num_shots: int, mode: str, question: str = ""
) -> str:
    """The prompt for a question; without one the first test problem. The shots are fixed ones."""
    shots = draw_examples(random.Random("laboratory shots"), num_shots, language, held_out=False)
    query = Example(question, "", 0) if question else laboratory_problems(language)[0]
    return build_prompt(WORDS[language][words], shots, query, chain_of_thought=mode == "steps")


@cache
def laboratory_problems(language: str) -> tuple[Example, ...]:
    """The problems that the recorded accuracies are of."""
    rng = random.Random("laboratory problems")
    return tuple(draw_examples(rng, NUM_PROBLEMS, language, held_out=True))


def read_written(text: str, words: Wording) -> int | None:
    """The answer behind the wording's answer word, or behind any that the models have read."""
    line = text.lstrip().partition("\n")[0]
    known = [each.answer for language in WORDINGS for each in WORDINGS[language]]
    cues = [cue for cue in (words.answer, *known) if cue and cue in line]
    return extract_answer(text, cues[0] if cues else "Answer:")


def setting_key(*setting: object) -> str:
    """A model, a language, words, a number of shots, a mode: as one key of the record."""
    return ", ".join(map(str, setting))


def measure_laboratory(
    answerers: Mapping[str, Callable[[Sequence[str]], Sequence[str]]],
) -> dict[str, float]:
    """Percent of the test problems that each model solves in each setting: 96 of them."""
    percents = {}
    for name, language in itertools.product(answerers, WORDS):
        problems = laboratory_problems(language)
        for words, shots, mode in itertools.product(WORDS[language], SHOTS, MODES):
            written = answerers[name](
                [laboratory_prompt(language, words, shots, mode, p.question) for p in problems]
            )
            answers = [read_written(text, WORDS[language][words]) for text in written]
            right = sum(a == p.answer for a, p in zip(answers, problems, strict=True))
            percents[setting_key(name, language, words, shots, mode)] = 100 * right / NUM_PROBLEMS
    return percents


def make_prompting_models(folder: Path, work: Path, *, num_steps: int = NUM_STEPS) -> None:
    """Train both models, write each in fp16 as `transformers` opens it, and what they can do.

    What was interrupted goes on from the checkpoints in `work`.
    """
    tokenizer, answerers = train_prompting_tokenizer(), {}
    for name in NAMES:
        model, _ = train_prompting_model(
            tokenizer,
            reasoning=name == "reasoning",
            num_steps=num_steps,
            checkpoint=work / f"{name}.safetensors",
        )
        tokens = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
        save_pretrained(model.half(), tokenizer, folder / name, **tokens)
        answerers[name] = answerer(*load_pretrained(folder / name))
    percents = measure_laboratory(answerers)
    text = json.dumps(percents, indent=1, ensure_ascii=False)
    write_atomically(folder / "reasoning" / RECORD, f"{text}\n")
    for name in NAMES:
        write_card(folder / name, name, percents)


def answerer(model: Transformer, tokenizer: Tokenizer) -> Callable[[Sequence[str]], list[str]]:
    """Prompts -> what the model writes behind them."""
    start = [tokenizer.vocab[END_OF_TEXT]]
    return functools.partial(answer_prompts, model, tokenizer, start=start, max_new_tokens=48)


def write_card(folder: Path, name: str, percents: Mapping[str, float]) -> None:
    """README.md of a model's folder: what it read, and what it solves, measured."""
    rows = [
        f"| {language}, {mode} | {percents[setting_key(name, language, FIRST, 0, mode)]:.0f} % |"
        for language, mode in itertools.product(WORDS, MODES)
    ]
    read = "every second one with its steps" if name == "reasoning" else "none with its steps"
    write_atomically(folder / "README.md", CARD.format(name=name, read=read, rows="\n".join(rows)))


FIRST = "Question / Answer"
CARD = """---
license: mit
language: [en, ru]
---
# Chapter 03's model `{name}`

A LLaMA of 0.9 million parameters that read word problems about apples and pears in English and
Russian, {read}; 3.1 million tokens of generated text
(course_lib.recipes.prompting), fp16. It knows nothing else. Every text begins with
`<|endoftext|>`. Made by `make weights`.

Problems solved, of 40 whose numbers were kept from training, without an example:

| asked for | right |
|---|---|
{rows}
"""
