"""Generated stand-ins for the packaged corpora: the same columns, made of the story world.

In reading order: stories, long texts, paragraphs, dialogues, then questions with known answers.
Everything follows from the number of the row, so every machine has the same rows.
"""

import random
import re
from collections.abc import Iterator

from course_lib.text.readers import (
    Row,
    complete_chat,
    complete_gsm8k,
    complete_humaneval,
    complete_mmlu,
)
from course_lib.text.stories import make_story
from course_lib.text.stories.world import ANIMALS

NUM_STORIES = 2_000
STORIES_A_PLAY = 200
NUM_ROWS = 200


def generate_english() -> Iterator[Row]:
    """2,000 English stories: text."""
    yield from ({"text": make_story(number).english} for number in range(NUM_STORIES))


def generate_russian() -> Iterator[Row]:
    """The same 2,000 stories in Russian: text."""
    yield from ({"text": make_story(number).russian} for number in range(NUM_STORIES))


def generate_plays() -> Iterator[Row]:
    """38 long texts: title, genre, text."""
    for number in range(38):
        first = number * STORIES_A_PLAY
        stories = (make_story(first + i).english for i in range(STORIES_A_PLAY))
        yield {"title": f"Play {number + 1}", "genre": "stories", "text": "\n\n".join(stories)}


def generate_articles() -> Iterator[Row]:
    """Stories as articles: text, title, markup (the hero bold, the lost thing a link), url."""
    for number in range(NUM_ROWS):
        story = make_story(number)
        markup = re.sub(rf"\b{story.facts.name}\b", r"'''\g<0>'''", story.english, count=1)
        markup = re.sub(rf"\b{story.facts.object}\b", r"[[\g<0>]]", markup)
        title = f"{story.facts.name} and the {story.facts.object}"
        yield {"text": story.english, "title": title, "markup": markup, "url": ""}


def generate_paragraphs() -> Iterator[Row]:
    """The same stories in Russian and in English: text, language, paragraph."""
    for language in ("ru", "en"):
        for number in range(NUM_ROWS):
            story = make_story(number)
            text = story.russian if language == "ru" else story.english
            yield {"text": text, "language": language, "paragraph": number}


def generate_dialogues() -> Iterator[Row]:
    """A request and a story: text, language, category, turns."""
    requests = {"en": "Tell me a story.", "ru": "Расскажи историю."}
    for row in generate_paragraphs():
        language = row["language"]
        turns = [requests[language], row["text"]]
        text = "\n".join(turns)
        yield {"text": text, "language": language, "category": "stories", "turns": turns}


def generate_messages() -> Iterator[Row]:
    """The dialogues as a chat: messages with role and content, text."""
    for row in generate_dialogues():
        roles = zip(("user", "assistant"), row["turns"], strict=True)
        yield complete_chat({"messages": [{"role": r, "content": c} for r, c in roles]})


def generate_choices() -> Iterator[Row]:
    """Who helped, of four animals: subject, question, choices, answer, reasoning, text."""
    from course_lib.text.stories import make_story

    for number in range(NUM_ROWS):
        story, rng = make_story(number), random.Random(number)
        helper = story.facts.helper
        others = [animal for animal in ANIMALS if animal not in (helper, story.facts.hero)]
        choices = rng.sample([helper, *rng.sample(others, 3)], 4)
        yield complete_mmlu(
            {
                "subject": "stories",
                "question": f"{story.english}\nWho brought the {story.facts.object} back?",
                "choices": choices,
                "answer": choices.index(helper),
                "reasoning": f"The {helper} can {story.facts.ability}.",
            }
        )


def generate_word_problems() -> Iterator[Row]:
    """Sums with their steps: question, answer, number, text."""
    for number in range(NUM_ROWS):
        rng = random.Random(number)
        name, thing = rng.choice(["Anya", "Petya"]), rng.choice(["apples", "nuts", "pears"])
        had, bags, each = rng.randint(2, 30), rng.randint(2, 9), rng.randint(2, 9)
        question = (
            f"{name} has {had} {thing}. A friend brings {bags} bags with {each} {thing} each. "
            f"How many {thing} does {name} have now?"
        )
        steps = f"The bags hold {bags} * {each} = {bags * each} {thing}. "
        steps += f"{had} + {bags * each} = {had + bags * each}."
        answer = f"{steps} The answer is {had + bags * each}."
        yield complete_gsm8k({"question": question, "answer": answer})


def generate_programs() -> Iterator[Row]:
    """Short functions with tests: task_id, prompt, entry_point, canonical_solution, test, text."""
    operations = {"add": "+", "subtract": "-", "multiply": "*"}
    for number in range(NUM_ROWS):
        rng = random.Random(number)
        verb, constant = rng.choice(list(operations)), rng.randint(2, 99)
        name = f"{verb}_{constant}"
        body = f"number {operations[verb]} {constant}"
        value = eval(body, {"number": 7})
        doc = f"{verb.title()} {constant}: {name}(7) is {value}."
        yield complete_humaneval(
            {
                "task_id": f"Generated/{number}",
                "prompt": f'def {name}(number: int) -> int:\n    """{doc}"""\n',
                "entry_point": name,
                "canonical_solution": f"    return {body}\n",
                "test": "def check(candidate):\n"
                f"    assert all(candidate(number) == {body} for number in range(-9, 10))\n",
            }
        )
