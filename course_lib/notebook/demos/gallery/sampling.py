"""Sampling from a language model: what temperature and top k do to the next word, and to a text."""

from functools import cache
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from course_lib.notebook.demos.framework import Choice, Demo, Slider, TextField

if TYPE_CHECKING:
    from course_lib.model.ngrams import NGramModel

LANGUAGES = {"English": "en", "Russian": "ru"}
NUM_STORIES = 400
NUM_SHOWN = 10
NUM_WRITTEN = 40
ALL_WORDS = 300


def words_of(text: str) -> list[str]:
    """'A hare. It' -> ['A', 'hare', '.', 'It']."""
    import regex

    return regex.findall(r"\w+|[^\w\s]", text)


@cache
def counted(language: str) -> "tuple[NGramModel, list[str]]":
    """A Kneser-Ney model of the stories, one token a word, and the words."""
    from course_lib.model.ngrams import NGramModel
    from course_lib.text.stories import load_stories

    texts = load_stories(NUM_STORIES, language=LANGUAGES[language])["text"]
    told = [word for text in texts for word in words_of(text)]
    words = sorted(set(told))
    numbers = {word: number for number, word in enumerate(words)}
    tokens = [numbers[word] for word in told]
    return NGramModel.fit(tokens, order=4, vocab_size=len(words)), words


def sharpened(probabilities: np.ndarray, temperature: float, top_k: int) -> np.ndarray:
    """p^(1/T) of the `top_k` most likely ones, divided by its sum; 0 for the others."""
    logits = np.log(probabilities) / temperature
    if top_k < len(logits):
        logits[np.argsort(-logits, kind="stable")[top_k:]] = -np.inf
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def next_words(language: str, text: str, temperature: float, top_k: int) -> dict[str, float]:
    """The likeliest next words, at most NUM_SHOWN, with their probabilities."""
    model, words = counted(language)
    shares = sharpened(model.distribution(_tokens(words, text)), temperature, top_k)
    best = np.argsort(-shares, kind="stable")[:NUM_SHOWN]
    return {words[number]: float(shares[number]) for number in best if shares[number] > 0}


def continuation(language: str, text: str, temperature: float, top_k: int, draw: int) -> str:
    """NUM_WRITTEN words drawn one after the other; `draw` is the seed."""
    model, words = counted(language)
    rng, tokens, written = np.random.default_rng(draw), _tokens(words, text), ""
    for _ in range(NUM_WRITTEN):
        shares = sharpened(model.distribution(tokens), temperature, top_k)
        tokens.append(int(rng.choice(len(words), p=shares)))
        word = words[tokens[-1]]
        written += f" {word}" if word[0].isalnum() else word
    return written


def _tokens(words: list[str], text: str) -> list[int]:
    numbers = {word: number for number, word in enumerate(words)}
    return [numbers.get(word, -1) for word in words_of(text)]  # -1 was never seen


def render(*, language: str, text: str, temperature: float, top_k: int, draw: int) -> str:
    """A bar for each likely next word, and below them the text that is drawn."""
    cell = 'style="text-align:right;width:8em;white-space:nowrap"'
    rows = []
    for word, share in next_words(language, text, temperature, top_k).items():
        bar = f'<div style="background:#0072B2;height:1.1em;width:{100 * share:.1f}%"></div>'
        rows.append(
            f'<tr><th scope="row" {cell}>{escape(word)}</th>'
            f"<td {cell}>{100 * share:.1f} %</td><td>{bar}</td></tr>"
        )
    written = continuation(language, text, temperature, top_k, draw)
    return (
        '<table style="font-size:16px;table-layout:fixed;width:40em"><thead><tr>'
        f'<th scope="col" {cell}>next word</th><th scope="col" {cell}>probability</th><th></th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f'<p style="font-size:16px;max-width:40em">{escape(text)}<b>{escape(written)}</b></p>'
    )


def describe(*, language: str, text: str, temperature: float, top_k: int, draw: int) -> str:
    """The likeliest words and the temperature, in words."""
    shares = next_words(language, text, temperature, top_k)
    first = ", ".join(f"{word} {100 * share:.0f} %" for word, share in list(shares.items())[:3])
    return f"Temperature {temperature:g}, the {top_k} likeliest words; after {text!r}: {first}."


def _preset(language: str, text: str, temperature: float, top_k: int) -> dict[str, object]:
    settings = {"language": language, "text": text, "draw": 0}
    return settings | {"temperature": temperature, "top_k": top_k}


DEMO = Demo(
    title="Sampling: the next word under a temperature",
    controls={
        "language": Choice("language", tuple(LANGUAGES)),
        "text": TextField("so far"),
        "temperature": Slider("temperature T", 0.1, 3.0, 0.1),
        "top_k": Slider("top k", 1, ALL_WORDS, 1),
        "draw": Slider("draw", 0, 20, 1),
    },
    presets={
        "temperature 1": _preset("English", "The hare", 1.0, ALL_WORDS),
        "cold: T = 0.1": _preset("English", "The hare", 0.1, ALL_WORDS),
        "hot: T = 3": _preset("English", "The hare", 3.0, ALL_WORDS),
        "hot, but top 3": _preset("English", "The hare", 3.0, 3),
        "Russian": _preset("Russian", "Однажды утром", 1.0, ALL_WORDS),
    },
    render=render,
    describe=describe,
)
