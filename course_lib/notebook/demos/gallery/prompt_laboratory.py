"""The prompt laboratory: choose the words, see the exact prompt, the answer, and the accuracy."""

import json
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING

from course_lib.notebook.demos.framework import Choice, Demo, TextField
from course_lib.notebook.places import ROOT
from course_lib.notebook.plots import OKABE_ITO

if TYPE_CHECKING:
    from course_lib.model.transformer import Transformer
    from course_lib.text.tokenizers import Tokenizer

LANGUAGES = {"English": "en", "Russian": "ru"}
MODELS = ("plain", "reasoning")
WORDS = ("Question / Answer", "Problem / Result", "Task / Total", "no words")
MOST_CHARACTERS = 300
MISSING = "the models are not here: git restores weights/, `make weights` makes them anew"


@cache
def load_model(name: str) -> "tuple[Transformer, Tokenizer] | None":
    """One of chapter 03's two models; None where it is missing."""
    from course_lib.hub import load_course_model

    try:
        return load_course_model(name)
    except ValueError:
        return None


@cache
def record() -> dict[str, float]:
    """The recorded accuracies; empty where they are missing."""
    path = ROOT / "weights" / "reasoning" / "laboratory.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@lru_cache(maxsize=256)
def written_behind(name: str, prompt: str) -> str | None:
    """What the model writes behind a prompt, up to the end of the line."""
    from course_lib.inference.prompt_search import answer_prompts

    loaded = load_model(name)
    if loaded is None:
        return None
    model, tokenizer = loaded
    start = tokenizer.encode("<|endoftext|>", special=True)
    return answer_prompts(model, tokenizer, [prompt], start=start, max_new_tokens=48)[0]


def accuracy(model: str, language: str, words: str, shots: str, mode: str) -> float | None:
    """Percent of the test problems solved in this setting, as recorded."""
    from course_lib.recipes.laboratory import setting_key

    return record().get(setting_key(model, LANGUAGES[language], words, shots, mode))


def full_prompt(language: str, words: str, shots: str, mode: str, problem: str) -> str:
    """The prompt with the typed problem, or with the first test problem if nothing is typed."""
    from course_lib.recipes.laboratory import laboratory_prompt

    question = " ".join(problem.split())[:MOST_CHARACTERS]
    return laboratory_prompt(LANGUAGES[language], words, int(shots), mode, question)


def render(*, model: str, language: str, words: str, shots: str, mode: str, problem: str) -> str:
    """The prompt in plain type, what the model wrote behind it in colour, a bar below."""
    prompt = full_prompt(language, words, shots, mode, problem)
    written = written_behind(model, prompt)
    percent = accuracy(model, language, words, shots, mode)
    box = (
        "white-space:pre-wrap;font-family:monospace;font-size:15px;line-height:1.5;"
        "border:1px solid #8888;border-radius:6px;padding:10px;max-width:720px"
    )
    mark = f"background:{OKABE_ITO[0]};color:white;border-radius:3px;padding:1px 2px"
    answer = "" if written is None else f'<span style="{mark}">{escape(written.rstrip())}</span>'
    return (
        f'<div style="min-width:340px"><div style="{box}">{escape(prompt)}{answer}</div>'
        f"{bar(percent)}</div>"
    )


def bar(percent: float | None) -> str:
    """The accuracy as a bar with its number."""
    if percent is None:
        return f'<p style="font-size:15px">Accuracy: {MISSING}.</p>'
    outer = "display:flex;align-items:center;gap:8px;font-size:16px;margin-top:8px;max-width:720px"
    fill = f"width:{percent:.0f}%;background:{OKABE_ITO[2]};height:18px;border-radius:3px"
    return (
        f'<div style="{outer}"><b style="white-space:nowrap">{percent:.0f} % of 40 right</b>'
        f'<div style="flex:1;background:#8884;border-radius:3px"><div style="{fill}"></div></div>'
        "</div>"
    )


def describe(*, model: str, language: str, words: str, shots: str, mode: str, problem: str) -> str:
    """The setting, what was written, and the accuracy, in words."""
    written = written_behind(model, full_prompt(language, words, shots, mode, problem))
    percent = accuracy(model, language, words, shots, mode)
    told = f"{model}, {language}, {words}, solved examples: {shots}, asked for: {mode}; "
    if written is None or percent is None:
        return f"{told}{MISSING}."
    return f"{told}it writes {written.strip()!r}; {percent:.0f} % of 40 test problems are right."


def _preset(model: str, words: str, shots: str, mode: str, **other: str) -> dict[str, str]:
    setting = {"model": model, "language": "English", "words": words, "shots": shots}
    return setting | {"mode": mode, "problem": ""} | other


DEMO = Demo(
    title="The prompt laboratory",
    controls={
        "model": Choice("model", MODELS),
        "language": Choice("language", tuple(LANGUAGES)),
        "words": Choice("words", WORDS),
        "shots": Choice("examples", ("0", "1", "3")),
        "mode": Choice("ask for", ("answer", "steps")),
        "problem": TextField("problem"),
    },
    presets={
        "answer at once": _preset("reasoning", "Question / Answer", "0", "answer"),
        "step by step": _preset("reasoning", "Question / Answer", "0", "steps"),
        "steps it never read": _preset("plain", "Question / Answer", "3", "steps"),
        "other words": _preset("reasoning", "Task / Total", "0", "answer"),
        "one example, no words": _preset("reasoning", "no words", "1", "steps"),
        "the lecture's, Russian": _preset(
            "reasoning",
            "Question / Answer",
            "1",
            "steps",
            language="Russian",
            problem="У Васи 4 яблока, у Пети 8 груш. Каждый из них съел половину своих фруктов. "
            "Сколько всего фруктов осталось?",
        ),
    },
    render=render,
    describe=describe,
)
