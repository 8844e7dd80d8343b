"""Prompts as text: how a problem is put to a model, and how its answer is read back.

In reading order: `Example` and `Wording`; `build_prompt` and `complete_prompt`, what stands before
and behind; `extract_answer`; the words that prompts are made of (`WORDINGS`, `INSTRUCTIONS`).
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from course_lib.text.stories.problems import (
    Language,
    WordProblem,
    ask_problem,
    explain_problem,
)


class Example(NamedTuple):
    """A question, the steps that lead to its answer, and the answer."""

    question: str
    reasoning: str
    answer: int


@dataclass(frozen=True)
class Wording:
    """The words around examples, written without spaces at their ends; "" leaves one out."""

    question: str
    reasoning: str
    answer: str
    instruction: str = ""


WORDINGS: Mapping[Language, tuple[Wording, ...]] = {
    "en": (
        Wording("Question:", "Let us think:", "Answer:"),
        Wording("Q:", "Step by step:", "A:"),
        Wording("Problem:", "Solution:", "Result:"),
        Wording("Exercise:", "Reasoning:", "Number:"),
    ),
    "ru": (
        Wording("Вопрос:", "Давай порассуждаем:", "Ответ:"),
        Wording("В:", "По шагам:", "О:"),
        Wording("Задача:", "Решение:", "Итог:"),
        Wording("Упражнение:", "Рассуждение:", "Число:"),
    ),
}
"""The lecture's words first; each next wording is rarer in the course models' training text."""

INSTRUCTIONS: Mapping[Language, tuple[str, ...]] = {
    "en": ("", "Solve the problems.", "Read each question and count.", "How many are there?"),
    "ru": ("", "Реши задачи.", "Прочитай вопрос и посчитай.", "Сколько получится?"),
}
"""What may stand above the examples; "" for nothing."""


def example_of(problem: WordProblem, language: Language) -> Example:
    """The problem told in a language."""
    return Example(
        ask_problem(problem, language), explain_problem(problem, language), problem.answer
    )


def build_prompt(
    wording: Wording, shots: Sequence[Example], query: Example, *, chain_of_thought: bool = False
) -> str:
    """Instruction, solved examples and the open question, a line each; it ends in a cue.

    The cue is the wording's `answer`, with a chain of thought its `reasoning`; no space follows,
    because a model writes the space with its next word. Zero-shot is `shots=()`. Of the query only
    the question is used.

    Brown et al. 2020, https://arxiv.org/abs/2005.14165, figure 2.1; Wei et al. 2022,
    https://arxiv.org/abs/2201.11903, figure 1. Chapter 03.
    """
    lines = [wording.instruction] if wording.instruction else []
    for example in (*shots, query):
        cue = wording.reasoning if chain_of_thought else wording.answer
        line = " ".join(filter(None, (wording.question, example.question, cue)))
        lines.append(line + complete_prompt(wording, example, chain_of_thought=chain_of_thought))
    lines[-1] = line
    return "\n".join(lines)


def complete_prompt(wording: Wording, query: Example, *, chain_of_thought: bool = False) -> str:
    """What a right model writes after `build_prompt`: a space, the steps if asked, the answer."""
    if not chain_of_thought:
        return f" {query.answer}"
    return " " + " ".join(filter(None, (query.reasoning, wording.answer, str(query.answer))))


def extract_answer(text: str, cue: str) -> int | None:
    """The number behind `cue` in the first line that a model wrote; None if there is none.

    `text` is what follows the prompt. If its first line has no cue, the answer is the number that
    it begins with: the prompt itself ended in the cue. What comes after that line is the model's
    own next question, and its answer is none of ours. Chapter 03.
    """
    line = text.lstrip().partition("\n")[0]
    before, found, after = line.partition(cue)
    number = re.match(r"\s*(-?\d+)", after if found else before)
    return int(number[1]) if number else None


def mix_wordings(language: Language) -> list[Wording]:
    """Every instruction with every question word and every pair of cues: 64 wordings."""
    parts = itertools.product(INSTRUCTIONS[language], WORDINGS[language], WORDINGS[language])
    return [
        Wording(first.question, second.reasoning, second.answer, instruction)
        for instruction, first, second in parts
    ]
