"""Chapter 03's two models: `plain` has read answers only, `reasoning` half of them with the steps.

In reading order: which problems are held out; the documents; the tokenizer, the configuration and
the stream of tokens; `train_prompting_model`. Both are written by `recipes.laboratory`.
"""

import functools
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib.model.config import TransformerConfig, llama_config
from course_lib.model.fused_attention import fused_attention
from course_lib.model.transformer import Transformer
from course_lib.text.batches import ShuffledBatches
from course_lib.text.curriculum import END_OF_TEXT
from course_lib.text.prompting import (
    INSTRUCTIONS,
    WORDINGS,
    Example,
    Wording,
    build_prompt,
    complete_prompt,
    example_of,
)
from course_lib.text.stories.problems import TEMPLATES, Language, WordProblem, make_problem
from course_lib.text.tokenizers import BPETokenizer, Tokenizer
from course_lib.text.tokenizers.pre_tokenizers import SINGLE_DIGITS_PATTERN
from course_lib.training import Record, muon, train, warmup_cosine

VOCAB_SIZE = 768
CONTEXT_LENGTH = 256
BATCH_SIZE = 4
NUM_STEPS = 3000
LEARNING_RATE = 8e-3
SHARES = (8, 4, 2, 1)
"""How often each wording of `WORDINGS` is drawn, of 15 times."""
MOST_SHOTS = 5
HELD_OUT = 5
"""One set of given numbers in this many is never trained on."""


def is_held_out(problem: WordProblem) -> bool:
    """Whether the numbers of this problem, for its kind, are kept out of training.

    By the numbers, not by the names: the same sum told of somebody else was not held out.
    """
    z = problem.z if problem.kind in ("hands", "bags") else ""
    return zlib.crc32(f"{problem.kind} {problem.x} {problem.y} {z}".encode()) % HELD_OUT == 0


def draw_problem(rng: random.Random, *, held_out: bool) -> WordProblem:
    """A problem of a random kind; numbers to 10, to 20 where they are halved."""
    kind = rng.choice(list(TEMPLATES))
    while True:
        problem = make_problem(rng, kind=kind, max_number=20 if kind == "halves" else 10)
        if is_held_out(problem) == held_out:
            return problem


def draw_examples(
    rng: random.Random, count: int, language: Language, *, held_out: bool
) -> list[Example]:
    """Several problems told in a language."""
    return [example_of(draw_problem(rng, held_out=held_out), language) for _ in range(count)]


def make_document(rng: random.Random, *, reasoning: bool) -> str:
    """One to six solved problems in one language and wording, with or without an instruction.

    With `reasoning` every second document has the steps, in all its problems.
    """
    language: Language = rng.choice(("en", "ru"))
    wording = rng.choices(WORDINGS[language], SHARES)[0]
    instruction = rng.choice(("", *INSTRUCTIONS[language]))
    wording = Wording(wording.question, wording.reasoning, wording.answer, instruction)
    *shots, last = draw_examples(rng, rng.randint(1, MOST_SHOTS + 1), language, held_out=False)
    steps = {"chain_of_thought": reasoning and rng.random() < 0.5}
    return build_prompt(wording, shots, last, **steps) + complete_prompt(wording, last, **steps)


def documents(seed: int, *, reasoning: bool) -> Iterator[str]:
    """Documents without end."""
    rng = random.Random(f"prompting {seed}")
    while True:
        yield make_document(rng, reasoning=reasoning)


def train_prompting_tokenizer(*, num_documents: int = 3000) -> Tokenizer:
    """Byte-level BPE on documents with steps, every digit a token; one for both models."""
    source = documents(0, reasoning=True)
    texts = [next(source) for _ in range(num_documents)]
    return BPETokenizer.train(
        texts, VOCAB_SIZE, pattern=SINGLE_DIGITS_PATTERN, special_tokens=[END_OF_TEXT]
    )


def prompting_config(tokenizer: Tokenizer) -> TransformerConfig:
    """Four layers of 128."""
    return llama_config(
        vocab_size=tokenizer.vocab_size,
        context_length=CONTEXT_LENGTH,
        model_dim=128,
        num_layers=4,
        num_heads=4,
    )


def draw_tokens(
    tokenizer: Tokenizer, num_tokens: int, *, reasoning: bool, seed: int = 0
) -> Int[Tensor, "stream"]:
    """Documents one after the other, each behind `<|endoftext|>`, cut after `num_tokens`."""
    start, stream = tokenizer.vocab[END_OF_TEXT], []
    for document in documents(seed + 1, reasoning=reasoning):
        stream += [start, *tokenizer.encode(document)]
        if len(stream) >= num_tokens:
            return torch.tensor(stream[:num_tokens])
    raise AssertionError("documents() ended")


def train_prompting_model(
    tokenizer: Tokenizer,
    *,
    reasoning: bool,
    num_steps: int = NUM_STEPS,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> tuple[Transformer, Record]:
    """One model; both read num_steps * 4 * 256 tokens, none twice: 3.1 million."""
    num_tokens = num_steps * BATCH_SIZE * CONTEXT_LENGTH + 1
    tokens = draw_tokens(tokenizer, num_tokens, reasoning=reasoning, seed=seed)
    model = Transformer(prompting_config(tokenizer), attention=fused_attention, seed=seed)
    record = train(
        model,
        ShuffledBatches(tokens, BATCH_SIZE, CONTEXT_LENGTH, seed=seed),
        num_steps=num_steps,
        optimizer=functools.partial(muon, learning_rate=LEARNING_RATE),
        schedule=functools.partial(warmup_cosine, final=0.02),
        seed=seed,
        checkpoint=checkpoint,
        checkpoint_every=500,
        progress=progress,
    )
    return model, record
