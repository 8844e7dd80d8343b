"""The text that the course's model is trained on: the story world and its neighbours.

In reading order: the kinds of document (`DOMAINS`), `make_document`, `load_curriculum`, and what
the tokenizer is trained on, which is the text of all stages of training, not of the first alone.
"""

import itertools
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib.text.stories.corpus import make_story
from course_lib.text.stories.facts import write_facts, write_question
from course_lib.text.stories.problems import (
    WordProblem,
    complete_problem,
    make_problem,
    prompt_problem,
)
from course_lib.text.stories.programs import write_tasks
from course_lib.text.stories.questions import ask, request_story

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

NUM_SHARDS = 8
END_OF_TEXT = "<|endoftext|>"
"""Stands before every document and after it: what a model is given to begin one."""

SPECIAL_TOKENS = (
    *(END_OF_TEXT, "<|pad|>", "<|im_start|>", "<|im_end|>"),
    *("<|image|>", "<|audio|>", "<|signal|>"),
)
CHAT_WORDS = (
    "system user assistant Instruction Input Response User Assistant Human USER ASSISTANT "
    "You are a helpful, honest and polite storyteller. Explain your answer step by step. "
    "Ты вежливый, честный и полезный рассказчик. Объясни свой ответ по шагам. Choose one: A B C D "
    "Hello! Thank you, please. Sorry, I do not know. Привет! Спасибо, пожалуйста. Я не знаю. "
    "Below is an instruction that describes a task. Write a response that completes the request. "
    "Good Bad Yes No Да Нет Хорошо Плохо rating score оценка"
)


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its language, and the domain that it is drawn from."""

    text: str
    domain: str
    language: str


def write_story(rng: random.Random, language: str) -> str:
    """One story."""
    story = make_story(rng)
    return story.english if language == "en" else story.russian


def write_reading(rng: random.Random, language: str) -> str:
    """A story and one to three questions about it, with their answers."""
    story = make_story(rng)
    asked = rng.sample(ask(story.facts, language), rng.randint(1, 3))
    told = story.english if language == "en" else story.russian
    return "\n".join([told, *(write_question(question, language) for question in asked)])


def write_problems(rng: random.Random, language: str) -> str:
    """One to three word problems, all with a chain of thought or all with the bare answer."""
    reasoning = rng.random() < 0.6
    problems = (training_problem(rng) for _ in range(rng.randint(1, 3)))
    return "\n".join(
        prompt_problem(problem, language, reasoning=reasoning)
        + complete_problem(problem, language, reasoning=reasoning)
        for problem in problems
    )


def training_problem(rng: random.Random, *, held_out: bool = False) -> WordProblem:
    """A word problem of those that training shows, or of the tenth that is kept from it."""
    while True:
        problem = make_problem(rng)
        text = prompt_problem(problem, "en", reasoning=False)
        if (zlib.crc32(text.encode()) % 10 == 0) == held_out:
            return problem


# domain -> (its share of the documents, how one is written)
DOMAINS: dict[str, tuple[float, Callable[[random.Random, str], str]]] = {
    "stories": (0.44, write_story),
    "reading": (0.20, write_reading),
    "problems": (0.18, write_problems),
    "facts": (0.10, write_facts),
    "code": (0.08, write_tasks),
}


def make_document(seed: int, index: int) -> Document:
    """Document `index` of a seed: the domain by its share, the language by a fair coin."""
    rng = random.Random(f"curriculum {seed} {index}")
    shares = [share for share, _ in DOMAINS.values()]
    domain = rng.choices(list(DOMAINS), shares)[0]
    language = rng.choice(("en", "ru"))
    return Document(DOMAINS[domain][1](rng, language), domain, language)


def load_curriculum(
    num_documents: int, *, seed: int = 0, streaming: bool = False
) -> "Dataset | IterableDataset":
    """`num_documents` documents as a Hugging Face dataset: text, domain, language.

    Document i depends on the seed and i alone. A stream is made while it is read, in 8 shards.
    """
    if num_documents < 0:
        raise ValueError(f"num_documents={num_documents} must not be negative")
    from datasets import Dataset, Features, IterableDataset, Value

    features = Features({name: Value("string") for name in ("text", "domain", "language")})
    if not streaming:
        rows = list(_rows([range(num_documents)], seed))
        columns = {name: [row[name] for row in rows] for name in features}
        return Dataset.from_dict(columns, features=features)
    edges = [num_documents * shard // NUM_SHARDS for shard in range(NUM_SHARDS + 1)]
    shards = [range(*pair) for pair in itertools.pairwise(edges) if pair[0] < pair[1]]
    return IterableDataset.from_generator(
        _rows, features=features, gen_kwargs={"shards": shards, "seed": seed}
    )


def _rows(shards: list[range], seed: int) -> Iterator[dict[str, str]]:
    for index in itertools.chain.from_iterable(shards):
        document = make_document(seed, index)
        yield {
            "text": document.text,
            "domain": document.domain,
            "language": document.language,
        }


def tokenizer_texts(num_documents: int, *, seed: int = 0) -> Iterator[str]:
    """Documents, requests for stories and the words of chats: the text of every stage.

    A word that only a later stage uses would otherwise be cut into bytes, for which the model has
    no use yet when it meets them.
    """
    for index in range(num_documents):
        yield make_document(seed, index).text
        rng = random.Random(f"requests {seed} {index}")
        if index % 4 == 0:
            facts = make_story(rng).facts
            yield "\n".join(request_story(facts, language) for language in ("en", "ru"))
        if index % 16 == 0:
            yield CHAT_WORDS
