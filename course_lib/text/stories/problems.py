"""The lecture's word problems about apples and pears, with and without a chain of thought.

In reading order: counted nouns, the four kinds of problem, drawing one, and the texts: the prompt,
the completion, and the answer read back from what a model wrote.
"""

import random
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from course_lib.text.stories import russian_words, world
from course_lib.text.stories.morphology import Cases, past_tense, plain

Language = Literal["en", "ru"]
Kind = Literal["halves", "hands", "more", "bags"]


class Item(NamedTuple):
    """What is counted: English singular and plural, Russian after 1, 2 and 5, and its gender."""

    english: tuple[str, str]
    russian: tuple[str, str, str]
    gender: str


FRUIT = (
    Item(("apple", "apples"), ("яблоко", "яблока", "яблок"), "n"),
    Item(("pear", "pears"), ("груша", "груши", "груш"), "f"),
    Item(("plum", "plums"), ("слива", "сливы", "слив"), "f"),
    Item(("apricot", "apricots"), ("абрикос", "абрикоса", "абрикосов"), "m"),
)
ITEMS = (
    *FRUIT,
    Item(("candy", "candies"), ("конфета", "конфеты", "конфет"), "f"),
    Item(("nut", "nuts"), ("орех", "ореха", "орехов"), "m"),
)
BAG = Item(("bag", "bags"), ("пакет", "пакета", "пакетов"), "m")

# Kind -> language -> question and reasoning. x, y, z are given; s is the first step's result.
TEMPLATES = {
    "halves": {
        "en": (
            "{a} has {x_items} and {b} has {y_others}. Each of them ate half of their fruit. "
            "How many pieces of fruit are left?",
            "half of {x} is {half_x}, half of {y} is {half_y}. {half_x} + {half_y} = {answer}.",
        ),
        "ru": (
            "У {a_genitive} {x_items}, у {b_genitive} {y_others}. {each} из них {each_ate} "
            "половину своих фруктов. Сколько всего фруктов осталось?",
            "половина от {x} равна {half_x}, половина от {y} равна {half_y}. "
            "{half_x} + {half_y} = {answer}.",
        ),
    },
    "hands": {
        "en": (
            "{a} had {x_items} in one hand and {y} in the other. {She} gave {z} of them to {b}. "
            "How many {items} does {a} have left?",
            "{a} had {x} + {y} = {s_items} in all. {s} - {z} = {answer}.",
        ),
        "ru": (
            "У {a_genitive} {x_was} {x_items} в одной руке и {y} в другой. {z} из них {she} {gave} "
            "{b_dative}. Сколько {items} осталось у {a_genitive}?",
            "всего у {a_genitive} {s_was} {x} + {y} = {s_items}. {s} - {z} = {answer}.",
        ),
    },
    "more": {
        "en": (
            "{a} has {x_items}, and {b} has {y} more. How many {items} do they have together?",
            "{b} has {x} + {y} = {s_items}. {x} + {s} = {answer}.",
        ),
        "ru": (
            "У {a_genitive} {x_items}, а у {b_genitive} на {y} больше. "
            "Сколько {items} у них вместе?",
            "у {b_genitive} {x} + {y} = {s_items}. {x} + {s} = {answer}.",
        ),
    },
    "bags": {
        "en": (
            "{a} has {x_bags} with {y_items} in each. {She} ate {z} of them. "
            "How many {items} are left?",
            "{a} had {x} × {y} = {s_items}. {s} - {z} = {answer}.",
        ),
        "ru": (
            "У {a_genitive} {x_bags}, и в каждом {y_items}. {z} из них {she} {ate}. "
            "Сколько {items} осталось?",
            "у {a_genitive} {s_was} {x} × {y} = {s_items}. {s} - {z} = {answer}.",
        ),
    },
}
WORDS = {
    "en": ("Question: ", "Let us think: ", "Answer: "),
    "ru": ("Вопрос: ", "Давай порассуждаем: ", "Ответ: "),
}


@dataclass(frozen=True, slots=True)
class WordProblem:
    """A problem as facts: who (a, b), what is counted, and the numbers (z only where used)."""

    kind: Kind
    a: str
    b: str
    item: Item
    other: Item
    x: int
    y: int
    z: int

    @property
    def step(self) -> int:
        """The result of the first step of the reasoning (for "halves": half of x)."""
        first = {"halves": self.x // 2, "bags": self.x * self.y}
        return first.get(self.kind, self.x + self.y)

    @property
    def answer(self) -> int:
        """The one right answer."""
        if self.kind == "halves":
            return self.x // 2 + self.y // 2
        return self.x + self.step if self.kind == "more" else self.step - self.z


def make_problem(
    rng: random.Random, *, kind: Kind | None = None, max_number: int = 10
) -> WordProblem:
    """Draw a problem whose given numbers are 2 to `max_number`; a kind at random if None."""
    if max_number < 4:
        raise ValueError(
            f"max_number={max_number} must be at least 4: halves need two even numbers"
        )
    if kind is not None:
        world.require("kind", kind, TEMPLATES)
    kind = kind or rng.choice(list(TEMPLATES))
    gender = rng.choice("fm")
    a, b = rng.sample(world.NAMES[gender] if rng.random() < 0.5 else _all_names(), 2)
    item, other = rng.sample(FRUIT if kind == "halves" else ITEMS, 2)
    step = 2 if kind == "halves" else 1
    x, y = (rng.randrange(2, max_number + 1, step) for _ in range(2))
    most = min(max_number, (x * y if kind == "bags" else x + y) - 1)
    return WordProblem(kind, a, b, item, other, x, y, rng.randint(2, most))


def _all_names() -> tuple[str, ...]:
    return world.NAMES["f"] + world.NAMES["m"]


def count_form(number: int) -> int:
    """0, 1 or 2: the Russian form for 1 (21, 31), for 2-4 (22, 33) or for the rest (5, 11-14)."""
    if number % 10 == 1 and number % 100 != 11:
        return 0
    return 1 if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14) else 2


def counted(number: int, item: Item, language: Language) -> str:
    """*1 apple, 2 apples; 1 яблоко, 2 яблока, 5 яблок*."""
    if language == "en":
        return f"{number} {item.english[number != 1]}"
    return f"{number} {item.russian[count_form(number)]}"


def _slots(problem: WordProblem, language: Language) -> dict[str, object]:
    world.require("language", language, WORDS)
    x, y, z, step, item = problem.x, problem.y, problem.z, problem.step, problem.item
    female = problem.a in world.NAMES["f"]
    slots = {
        "x": x,
        "y": y,
        "z": z,
        "s": step,
        "answer": problem.answer,
        "half_x": x // 2,
        "half_y": y // 2,
        "x_items": counted(x, item, language),
        "y_items": counted(y, item, language),
        "s_items": counted(step, item, language),
        "y_others": counted(y, problem.other, language),
        "x_bags": counted(x, BAG, language),
    }
    if language == "en":
        names = {"a": problem.a, "b": problem.b, "She": "She" if female else "He"}
        return slots | names | {"items": item.english[1]}
    a, b = (Cases(*map(plain, russian_words.NAMES[name].cases)) for name in (problem.a, problem.b))
    gender = "f" if female else "m"
    both = "f" if female and problem.b in world.NAMES["f"] else "m"
    return slots | {
        "a_genitive": a.genitive,
        "b_genitive": b.genitive,
        "b_dative": b.dative,
        "items": item.russian[2],
        "x_was": _was(x, item),
        "s_was": _was(step, item),
        "she": plain(russian_words.PRONOUNS[gender]),
        "gave": plain(past_tense("отдал", gender)),
        "ate": plain(past_tense("съел", gender)),
        "each": {"f": "Каждая", "m": "Каждый"}[both],
        "each_ate": plain(past_tense("съел", both)),
    }


def _was(number: int, item: Item) -> str:
    # было 5 яблок, but была 21 груша: one agrees with its noun.
    return plain(past_tense("был", item.gender if count_form(number) == 0 else "n"))


def ask_problem(problem: WordProblem, language: Language) -> str:
    """The question alone: *Anna has 4 apples and Boris has 8 pears. ... are left?*."""
    slots = _slots(problem, language)  # refuses an unknown language
    return TEMPLATES[problem.kind][language][0].format_map(slots)


def explain_problem(problem: WordProblem, language: Language) -> str:
    """The two steps alone: *half of 4 is 2, half of 8 is 4. 2 + 4 = 6.*."""
    slots = _slots(problem, language)
    return TEMPLATES[problem.kind][language][1].format_map(slots)


def prompt_problem(problem: WordProblem, language: Language, *, reasoning: bool) -> str:
    """What a model is given: the question, ending in *Answer:* or *Let us think:*."""
    text = ask_problem(problem, language)
    question, think, answer = WORDS[language]
    return f"{question}{text} {(think if reasoning else answer).rstrip()}"


def complete_problem(problem: WordProblem, language: Language, *, reasoning: bool) -> str:
    """What a right model writes after the prompt: a space, the steps if asked, the answer."""
    if not reasoning:
        return f" {problem.answer}"
    return f" {explain_problem(problem, language)} {WORDS[language][2]}{problem.answer}"


def read_answer(text: str, language: Language) -> int | None:
    """The number after the last *Answer:* (for a prompt that ends with it, the first number)."""
    found = re.findall(re.escape(WORDS[language][2].strip()) + r"\s*(-?\d+)", text)
    if not found:
        found = re.findall(r"^\s*(-?\d+)", text)
    return int(found[-1]) if found else None
