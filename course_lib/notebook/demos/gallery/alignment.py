"""Where attention looks while a number or a date is put into words, in English or in Russian."""

from html import escape

from course_lib.notebook.demos.framework import Choice, Demo, TextField
from course_lib.recipes.speaker import load_speaker, spoken_truth
from course_lib.text.numbers import joined

LANGUAGES = {"English": "en", "Russian": "ru"}
CELL = "min-width:1.9em;height:1.7em;text-align:center;padding:0"


def render(*, written: str, language: str) -> str:
    """A table: a row a word, a column a character, the darker the more attention."""
    written = tidied(written)
    try:
        spoken_truth(written, LANGUAGES[language])
    except ValueError as error:
        return f'<p style="font-size:16px">{escape(str(error))}</p>'
    words, weights = load_speaker().say(written, LANGUAGES[language])
    head = "".join(f'<th scope="col" style="{CELL}">{_visible(each)}</th>' for each in written)
    rows = [f"<tr><th></th>{head}</tr>"]
    for word, row in zip(words, weights.tolist(), strict=True):
        cells = "".join(_cell(weight) for weight in row)
        name = f'<th scope="row" style="text-align:right;padding:0 0.6em">{escape(word)}</th>'
        rows.append(f"<tr>{name}{cells}</tr>")
    return f'<table style="font-size:16px;border-collapse:collapse">{"".join(rows)}</table>'


def describe(*, written: str, language: str) -> str:
    """What was said, if it is right, and how often attention stood on the word's own digits."""
    written = tidied(written)
    try:
        truth = spoken_truth(written, LANGUAGES[language])
    except ValueError as error:
        return str(error)
    words, weights = load_speaker().say(written, LANGUAGES[language])
    if joined(words) != joined(truth):
        return f"{written}: {joined(words)}. Wrong; right is: {joined(truth)}."
    places = weights.argmax(dim=-1).tolist()
    own = [
        each.start <= at <= each.end
        for each, at in zip(truth, places, strict=True)
        if each.start < each.end
    ]
    return (
        f"{written}: {joined(words)}. Right; {sum(own)} of {len(own)} words that speak digits look "
        "most at one of them or right behind."
    )


def tidied(written: str) -> str:
    """427318 -> 427 318: what the model was taught to read."""
    written = written.strip()
    plain = len(written) <= 12 and written.isascii() and written.isdigit() and written[0] != "0"
    return f"{int(written):,}".replace(",", " ") if plain else written


def _cell(weight: float) -> str:
    """One weight: its colour over the page's own, its number where there is much of it."""
    ink = "white" if weight > 0.7 else "inherit"
    number = f"{100 * weight:.0f}" if weight >= 0.1 else ""
    return f'<td style="{CELL};background:rgba(0,114,178,{weight:.2f});color:{ink}">{number}</td>'


def _visible(character: str) -> str:
    return "␣" if character == " " else escape(character)


def _preset(written: str, language: str) -> dict[str, str]:
    return {"written": written, "language": language}


DEMO = Demo(
    title="Attention while speaking: which digits does each word look at? (percent)",
    controls={
        "written": TextField("number or date"),
        "language": Choice("language", tuple(LANGUAGES)),
    },
    presets={
        "the date, Russian": _preset("2026-11-24", "Russian"),
        "the date, English": _preset("2026-11-24", "English"),
        "the number, Russian": _preset("21 002 318", "Russian"),
        "the number, English": _preset("21 002 318", "English"),
        "twelve digits": _preset("427 318 905 112", "Russian"),
    },
    render=render,
    describe=describe,
)
