"""Six small domains of text that differ in what there is to learn: a mixture for DoReMi."""

import random
from collections.abc import Callable

from course_lib.text.stories.corpus import make_story
from course_lib.text.stories.crawl import DIRT
from course_lib.text.stories.problems import complete_problem, make_problem, prompt_problem
from course_lib.text.stories.world import require

SUMS_A_DOCUMENT = 8


def _problem(rng: random.Random) -> str:
    problem = make_problem(rng)
    prompt, complete = (
        part(problem, "en", reasoning=True) for part in (prompt_problem, complete_problem)
    )
    return prompt + complete


def _sums(rng: random.Random) -> str:
    pairs = [(rng.randint(0, 12), rng.randint(0, 12)) for _ in range(SUMS_A_DOCUMENT)]
    return " ".join(f"{a} + {b} = {a + b}." for a, b in pairs)


def _dirt(kind: str) -> Callable[[random.Random], str]:
    return lambda rng: DIRT[kind](rng, make_story(rng).english, "en")


DOMAINS: dict[str, Callable[[random.Random], str]] = {
    "english": lambda rng: make_story(rng).english,
    "russian": lambda rng: make_story(rng).russian,
    "problems": _problem,
    "sums": _sums,
    "menus": _dirt("menu"),
    "gibberish": _dirt("gibberish"),
}
"""Much to learn in stories and problems, a table in sums, ten links in menus, noise at the end."""


def domain_documents(domain: str, num_documents: int, *, seed: int = 0) -> list[str]:
    """`num_documents` documents of a domain; the same seed gives the same in any process."""
    require("domain", domain, DOMAINS)
    rng = random.Random(f"domain {domain} {seed}")
    return [DOMAINS[domain](rng) for _ in range(num_documents)]
