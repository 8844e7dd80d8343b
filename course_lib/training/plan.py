"""`Plan`: all that decides a run past one machine, and what of it must stay so to go on."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.model.config import TransformerConfig
from course_lib.text.tokenizers import Tokenizer
from course_lib.text.tokenizers.tokenizer_json import tokenizer_to_json
from course_lib.training.schedules import constant, warmup_cosine, warmup_stable_decay
from course_lib.training.sharded import SHARDINGS
from course_lib.training.sizes import Size

SCHEDULES = {"cosine": warmup_cosine, "stable-decay": warmup_stable_decay, "constant": constant}
TOKENS_PER_PARAMETER = 20
PIECE_TOKENS = 2**13
VOCAB_MULTIPLE = 64  # what matrix units like, and what more ranks divide


@dataclass(frozen=True)
class Plan:
    """A run, the same for any number of ranks but for its `pieces`; ValueError for what cannot be.

    Left None are the size's learning rate and batch, 20 tokens a parameter, and pieces of at most
    8,192 tokens on a rank.

    20 tokens: Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556, section 3.4. Chapter 11.
    """

    size: Size
    vocab_size: int
    corpus: str = "stories-en"
    online: bool = False
    num_tokens: int | None = None
    num_steps: int | None = None
    batch_tokens: int | None = None
    learning_rate: float | None = None
    schedule: str = "cosine"
    accumulation: int | None = None
    sharding: str = "full"
    num_streams: int = 8
    seed: int = 0
    checkpoint: Path | None = None
    checkpoint_every: int = 1000

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", self.size.learning_rate)
        if self.batch_tokens is None:
            object.__setattr__(self, "batch_tokens", self.size.batch_tokens)
        if self.num_tokens is not None and self.num_steps is not None:
            raise ValueError("give tokens or steps, not both: one follows from the other")
        for name in ("num_tokens", "num_steps", "accumulation", "num_streams", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} = {value} must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate = {self.learning_rate} must be more than 0")
        for name, there_are in (("schedule", SCHEDULES), ("sharding", SHARDINGS)):
            if getattr(self, name) not in there_are:
                value = getattr(self, name)
                raise ValueError(f"{name} = {value!r} must be one of {', '.join(there_are)}")
        if self.batch_tokens < self.size.context_length:
            raise ValueError(
                f"batch_tokens = {self.batch_tokens} must be at least {self.size.context_length}, "
                f"one row of size {self.size.name}"
            )

    @property
    def config(self) -> TransformerConfig:
        """The model; its vocabulary is rounded up to a multiple of 64."""
        return self.size.config(-(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE)

    @property
    def batch_rows(self) -> int:
        """Rows of one update, over all ranks."""
        return self.batch_tokens // self.size.context_length

    def steps(self, num_parameters: int) -> int:
        """Updates of the whole run."""
        if self.num_steps is not None:
            return self.num_steps
        num_tokens = self.num_tokens or TOKENS_PER_PARAMETER * num_parameters
        return -(-num_tokens // (self.batch_rows * self.size.context_length))

    def tokens(self, num_parameters: int) -> int:
        """Places for tokens in all the rows; packing leaves a few of them empty."""
        return self.steps(num_parameters) * self.batch_rows * self.size.context_length

    def fits(self, world_size: int) -> bool:
        """True where so many ranks can share the rows of a batch and each has enough for pieces."""
        rows, left = divmod(self.batch_rows, world_size)
        return not left and rows >= (self.accumulation or 1)

    def pieces(self, world_size: int) -> int:
        """In how many pieces each rank computes its rows, one after the other."""
        rows = self.batch_rows // world_size
        if self.batch_rows % world_size:
            raise ValueError(
                f"batch_tokens = {self.batch_tokens} are {self.batch_rows} rows of "
                f"{self.size.context_length}, which {world_size} ranks do not divide: take a "
                f"multiple of {world_size * self.size.context_length}"
            )
        if self.accumulation is None:
            return min(rows, -(-rows * self.size.context_length // PIECE_TOKENS))
        if self.accumulation > rows:
            raise ValueError(
                f"accumulate = {self.accumulation} must not exceed a rank's {rows} rows of a batch"
            )
        return self.accumulation

    def identity(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """What decides model and data: with another one a checkpoint cannot be gone on from."""
        text = json.dumps(tokenizer_to_json(tokenizer), sort_keys=True)
        return {
            "size": self.size.name,
            "config": dataclasses.asdict(self.config),
            "tokenizer": hashlib.sha256(text.encode()).hexdigest()[:16],
            "corpus": self.corpus,
            "online": self.online,
            "batch rows": self.batch_rows,
            "streams": self.num_streams,
            "seed": self.seed,
        }
