"""Tasks in words and the programs that solve them, in a stack language of ten words.

In reading order: the language (`run_program`), the operations that a task is made of, `Task`, and
its text. A program takes one number, the top of the stack, and leaves one. The tests of a task are
known without running anybody's solution, so what a model writes can be graded.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from course_lib.text.stories import world

Language = Literal["en", "ru"]
MAX_WORDS = 64
INPUTS = (-7, -2, 0, 1, 3, 4, 10)

# word -> (numbers taken from the stack, what is put back)
WORDS: dict[str, tuple[int, Callable[..., tuple[int, ...]]]] = {
    "dup": (1, lambda a: (a, a)),
    "drop": (1, lambda a: ()),
    "swap": (2, lambda a, b: (b, a)),
    "over": (2, lambda a, b: (a, b, a)),
    "add": (2, lambda a, b: (a + b,)),
    "sub": (2, lambda a, b: (a - b,)),
    "mul": (2, lambda a, b: (a * b,)),
    "max": (2, lambda a, b: (max(a, b),)),
    "min": (2, lambda a, b: (min(a, b),)),
    "neg": (1, lambda a: (-a,)),
}


def run_program(program: str, number: int) -> int:
    """What the program makes of a number: run_program("dup add 3 add", 5) is 13.

    ValueError for an unknown word, an empty stack, more than one number left, or a program of more
    than 64 words, so whatever a model writes ends at once and safely.
    """
    words, stack = program.split(), [number]
    if len(words) > MAX_WORDS:
        raise ValueError(f"the program has {len(words)} words: at most {MAX_WORDS} are run")
    for word in words:
        if word.isascii() and word.isdigit() and len(word) <= 9:
            stack.append(int(word))
            continue
        if word not in WORDS:
            raise ValueError(f"{word[:20]!r} is no word: there are numbers, {', '.join(WORDS)}")
        count, action = WORDS[word]
        if len(stack) < count:
            raise ValueError(f"{word} takes {count} numbers and the stack holds {len(stack)}")
        taken = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        stack += action(*taken)
    if len(stack) != 1:
        raise ValueError(f"the program leaves {len(stack)} numbers: it must leave one")
    return stack[0]


class Operation(NamedTuple):
    """A step of a task: its words in two languages, its program, and what it does to a number."""

    english: str
    russian: str
    program: str
    apply: Callable[[int, int], int]


OPERATIONS = (
    Operation("add {n}", "прибавь {n}", "{n} add", lambda a, n: a + n),
    Operation("subtract {n}", "вычти {n}", "{n} sub", lambda a, n: a - n),
    Operation("subtract it from {n}", "вычти его из {n}", "{n} swap sub", lambda a, n: n - a),
    Operation("multiply by {n}", "умножь на {n}", "{n} mul", lambda a, n: a * n),
    Operation("raise it to at least {n}", "подними до {n}", "{n} max", lambda a, n: max(a, n)),
    Operation("cut it to at most {n}", "обрежь до {n}", "{n} min", lambda a, n: min(a, n)),
    Operation("double", "удвой", "dup add", lambda a, n: 2 * a),
    Operation("square", "возведи в квадрат", "dup mul", lambda a, n: a * a),
    Operation("change the sign", "смени знак", "neg", lambda a, n: -a),
)
TASK_WORDS = {
    "en": ("Task:", ", then ", "Program:"),
    "ru": ("Задача:", ", затем ", "Программа:"),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One to three operations in a row, each with its number (unused where it takes none)."""

    steps: tuple[tuple[Operation, int], ...]

    @property
    def program(self) -> str:
        """The program that the task's words spell; others may do as well."""
        return " ".join(operation.program.format(n=n) for operation, n in self.steps)

    @property
    def tests(self) -> list[tuple[int, int]]:
        """(input, output) pairs, by plain arithmetic."""
        pairs = []
        for given in INPUTS:
            value = given
            for operation, n in self.steps:
                value = operation.apply(value, n)
            pairs.append((given, value))
        return pairs

    @property
    def is_held_out(self) -> bool:
        """One task in ten is kept from training."""
        return zlib.crc32(self.program.encode()) % 10 == 0

    def is_solved_by(self, program: str) -> bool:
        """Whether a program passes every test; one that cannot be run does not."""
        try:
            return all(run_program(program, given) == result for given, result in self.tests)
        except ValueError:
            return False


def make_task(rng: random.Random, *, held_out: bool = False) -> Task:
    """Draw a task, of those that training shows or of those kept from it."""
    while True:
        count = rng.randint(1, 3)
        task = Task(tuple((rng.choice(OPERATIONS), rng.randint(1, 9)) for _ in range(count)))
        if task.is_held_out == held_out:
            return task


def prompt_task(task: Task, language: Language) -> str:
    """*Task: double, then add 3.* and on the next line *Program:*."""
    world.require("language", language, TASK_WORDS)
    ask, then, program = TASK_WORDS[language]
    words = (
        (operation.english if language == "en" else operation.russian).format(n=n)
        for operation, n in task.steps
    )
    return f"{ask} {then.join(words)}.\n{program}"


def write_tasks(rng: random.Random, language: Language) -> str:
    """A document: one to four tasks of training, each with its program."""
    tasks = (make_task(rng) for _ in range(rng.randint(1, 4)))
    return "\n".join(f"{prompt_task(task, language)} {task.program}" for task in tasks)
