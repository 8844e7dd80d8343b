"""Stories as data: one story, a stream of them, and a Hugging Face dataset of any size."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from course_lib.text.stories.english import tell_english
from course_lib.text.stories.russian import tell_russian
from course_lib.text.stories.world import Split, Trace, make_trace, require

if TYPE_CHECKING:
    from datasets import Dataset, Features, IterableDataset

Language = Literal["en", "ru", "both"]
NUM_SHARDS = 8


@dataclass(frozen=True, slots=True)
class Story:
    """One event told twice, and what is true in it."""

    english: str
    russian: str
    facts: Trace


def make_story(source: int | random.Random, *, split: Split = "train") -> Story:
    """A story from a seed or a generator; the same seed gives the same story in any process."""
    rng = source if isinstance(source, random.Random) else _generator(split, 0, source)
    trace = make_trace(rng, split=split)
    return Story(tell_english(trace), tell_russian(trace), trace)


def _generator(split: str, seed: int, index: int) -> random.Random:
    # Strings are seeded through SHA-512: neighbouring seeds are unrelated, hash() plays no part.
    return random.Random(f"{split} {seed} {index}")


def load_stories(
    num_stories: int,
    *,
    language: Language = "en",
    split: Split = "train",
    seed: int = 0,
    streaming: bool = False,
) -> "Dataset | IterableDataset":
    """`num_stories` stories as a Hugging Face dataset, in memory or made while it is read.

    Columns: `text` ("en" or "ru") or `english` and `russian` ("both"), and `facts`. Story i depends
    on split, seed and i alone, so a longer dataset begins with the shorter one. Nothing is written
    to disk; a stream has up to 8 shards, for the workers of a DataLoader.
    """
    require("language", language, get_args(Language))
    require("split", split, get_args(Split))
    if num_stories < 0:
        raise ValueError(f"num_stories={num_stories} must not be negative")
    from datasets import Dataset, IterableDataset

    if not streaming:
        rows = list(story_rows([range(num_stories)], language=language, split=split, seed=seed))
        columns = {name: [row[name] for row in rows] for name in _features(language)}
        return Dataset.from_dict(columns, features=_features(language))
    edges = [num_stories * shard // NUM_SHARDS for shard in range(NUM_SHARDS + 1)]
    shards = [range(*pair) for pair in itertools.pairwise(edges) if pair[0] < pair[1]]
    arguments = {"shards": shards, "language": language, "split": split, "seed": seed}
    return IterableDataset.from_generator(
        story_rows, features=_features(language), gen_kwargs=arguments
    )


def story_rows(
    shards: list[range], *, language: Language, split: Split, seed: int
) -> Iterator[dict[str, object]]:
    """The rows of `load_stories` for these ranges of story numbers."""
    for numbers in shards:
        for index in numbers:
            trace = make_trace(_generator(split, seed, index), split=split)
            row: dict[str, object] = {}
            if language != "ru":
                row["english" if language == "both" else "text"] = tell_english(trace)
            if language != "en":
                row["russian" if language == "both" else "text"] = tell_russian(trace)
            row["facts"] = story_facts(trace)
            yield row


def story_facts(trace: Trace) -> dict[str, str]:
    """Every choice of a story, and the ability, obstacle and gender that follow from them."""
    derived = {"ability": trace.ability, "obstacle": trace.obstacle, "gender": trace.gender}
    return {name: getattr(trace, name) for name in Trace.__dataclass_fields__} | derived


def _features(language: Language) -> "Features":
    from datasets import Features, Value

    columns = ["english", "russian"] if language == "both" else ["text"]
    names = [*Trace.__dataclass_fields__, "ability", "obstacle", "gender"]
    facts = {name: Value("string") for name in names}
    return Features({**{column: Value("string") for column in columns}, "facts": facts})
