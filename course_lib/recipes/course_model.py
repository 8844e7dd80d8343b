"""The course's own model: a LLaMA of 1.6 million parameters that tells stories in two languages.

In reading order: its sizes, the tokenizer, the rows it is trained on, `train_course_model` (one run
with three ends, after about 1, 5 and 15 minutes on two cores), and what is written to `weights/`.
"""

import copy
import functools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_lib.files import write_atomically
from course_lib.hub.checkpoint import load_pretrained, save_pretrained, write_json
from course_lib.inference.skills import held_out_stories, measure_skills, written_stories
from course_lib.model.config import TransformerConfig, llama_config
from course_lib.model.fused_attention import fused_attention
from course_lib.model.parameters import count_parameters
from course_lib.model.transformer import Transformer
from course_lib.text.batches import Batch, pack_documents
from course_lib.text.curriculum import (
    END_OF_TEXT,
    SPECIAL_TOKENS,
    make_document,
    tokenizer_texts,
)
from course_lib.text.stories import trace_entropy
from course_lib.text.tokenizers import BPETokenizer, Tokenizer
from course_lib.text.tokenizers.pre_tokenizers import SINGLE_DIGITS_PATTERN
from course_lib.training import Record, mean_loss, muon, train, warmup_stable_decay

VOCAB_SIZE = 2048
CONTEXT_LENGTH = 256
ROWS_A_STEP = 8
LEARNING_RATE = 1e-2
WARMUP_STEPS = 60
VALIDATION_STEPS = 8
ENDS = {"course-1-minute": 200, "course-5-minutes": 1000, "course": 2800}
"""Name -> updates. The three share their steady part; each decays over its own last fifth."""


def course_config() -> TransformerConfig:
    """Four layers of 160: RoPE, RMSNorm, SwiGLU, tied embeddings."""
    return llama_config(
        vocab_size=VOCAB_SIZE,
        context_length=CONTEXT_LENGTH,
        model_dim=160,
        num_layers=4,
        num_heads=5,
    )


def train_course_tokenizer() -> Tokenizer:
    """Byte-level BPE on the text of all stages, with every digit a token of its own."""
    return BPETokenizer.train(
        tokenizer_texts(8000),
        VOCAB_SIZE,
        pattern=SINGLE_DIGITS_PATTERN,
        special_tokens=SPECIAL_TOKENS,
    )


@dataclass(frozen=True)
class Rows:
    """Step n -> its rows of packed documents, in the order they were drawn, none twice."""

    packed: Batch

    def __call__(self, step: int) -> Batch:
        rows = slice(step * ROWS_A_STEP, (step + 1) * ROWS_A_STEP)
        restrictions = {name: each[rows] for name, each in self.packed.restrictions.items()}
        return Batch(self.packed.tokens[rows], self.packed.targets[rows], **restrictions)


def draw_rows(tokenizer: Tokenizer, num_rows: int, *, seed: int = 0) -> Batch:
    """Documents of the curriculum packed into rows and shuffled: no row crosses into a neighbour.

    Packing sorts by length, so rows are shuffled, or early steps would see long documents only.
    """
    end = tokenizer.vocab[END_OF_TEXT]
    documents, num_tokens, index = [], 0, 0
    while num_tokens < 1.02 * num_rows * CONTEXT_LENGTH:
        ids = tokenizer.encode(make_document(seed, index).text)
        documents.append([end, *ids, end])
        num_tokens, index = num_tokens + len(ids) + 1, index + 1
    packed = pack_documents(documents, CONTEXT_LENGTH)
    order = torch.randperm(len(packed.tokens), generator=torch.Generator().manual_seed(seed))
    order = order[:num_rows]
    restrictions = {name: each[order] for name, each in packed.restrictions.items()}
    return Batch(packed.tokens[order], packed.targets[order], **restrictions)


def train_course_model(
    work: Path, *, ends: dict[str, int] = ENDS, seed: int = 0
) -> Iterator[tuple[str, Transformer, Tokenizer, Record]]:
    """(name, model, tokenizer, record) at each of `ends`, in order; `work` holds checkpoints.

    The steady part of the schedule does not know where the run will end, so it is trained once: at
    each end a copy decays, and the steady run goes on from before the decay. Where the run was
    interrupted, the same call goes on.
    """
    tokenizer = train_course_tokenizer()
    rows = draw_rows(tokenizer, max(ends.values()) * ROWS_A_STEP, seed=seed)
    validation = Rows(draw_rows(tokenizer, VALIDATION_STEPS * ROWS_A_STEP, seed=seed + 1))
    held_out = [validation(step) for step in range(VALIDATION_STEPS)]
    steady = work / "steady.safetensors"
    for name, num_steps in ends.items():
        decay, branch = num_steps // 5, work / f"{name}.safetensors"
        if not branch.exists():
            run(Rows(rows), held_out, steady, num_steps=num_steps - decay, seed=seed)
            shutil.copyfile(steady, branch)
        model, record = run(
            Rows(rows), held_out, branch, num_steps=num_steps, decay_steps=decay, seed=seed
        )
        yield name, model, tokenizer, record


def run(
    batches: Rows,
    held_out: list[Batch],
    checkpoint: Path,
    *,
    num_steps: int,
    decay_steps: int = 0,
    seed: int,
) -> tuple[Transformer, Record]:
    """Train up to `num_steps` updates from the checkpoint, or from the beginning."""
    model = Transformer(course_config(), attention=fused_attention, seed=seed)
    schedule = functools.partial(
        warmup_stable_decay, warmup_steps=WARMUP_STEPS, decay_steps=decay_steps
    )
    record = train(
        model,
        batches,
        num_steps=num_steps,
        optimizer=functools.partial(muon, learning_rate=LEARNING_RATE),
        schedule=schedule,
        seed=seed,
        evaluate=lambda model: mean_loss(model, held_out),
        evaluate_every=110,
        checkpoint=checkpoint,
        checkpoint_every=500,
    )
    return model, record


def make_course_model(folder: Path, work: Path, *, ends: dict[str, int] = ENDS) -> None:
    """Train all ends and write each as a folder that `transformers` opens; about 15 minutes.

    Beside the weights, in fp16, stand a card and `record.json`: the losses, and for each end its
    tokens, seconds, skills and stories. The figures are those of the weights as they are shipped.
    """
    points = []
    for name, model, tokenizer, record in train_course_model(work, ends=ends):
        save_shipped(model, tokenizer, folder / name)
        model.load_state_dict(load_pretrained(folder / name)[0].state_dict())
        points.append(measured(name, model, tokenizer, record))
    losses = {"training": thinned(record), "validation": record.evaluations}
    write_json(folder / "course" / "record.json", {"points": points, "losses": losses})
    write_card(folder / "course", points[-1])


def save_shipped(model: Transformer, tokenizer: Tokenizer, folder: Path) -> None:
    """A model in fp16 with its tokenizer; texts begin and end with the same token."""
    half = copy.deepcopy(model).half()
    save_pretrained(
        half,
        tokenizer,
        folder,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token="<|pad|>",
    )


def measured(name: str, model: Transformer, tokenizer: Tokenizer, record: Record) -> dict[str, Any]:
    """What the record says of an end: how much training it had, its skills, four stories of it."""
    stories = held_out_stories(2, seed=1)
    return {
        "name": name,
        "step": record.num_steps,
        "tokens": record.num_tokens,
        "seconds": round(record.seconds),
        "threads": torch.get_num_threads(),
        "skills": measure_skills(model, tokenizer, count=100),
        "stories": {
            language: written_stories(model, tokenizer, language, stories)
            for language in ("en", "ru")
        },
    }


def thinned(record: Record, *, every: int = 20) -> list[float]:
    """Mean training loss of every 20 updates."""
    chunks = (record.losses[n : n + every] for n in range(0, record.num_steps, every))
    return [round(sum(chunk) / len(chunk), 4) for chunk in chunks]


def write_card(folder: Path, point: dict[str, Any]) -> None:
    """README.md of the folder: what the model is, and what it can and cannot do, measured."""
    shares = {
        name: "{:.0%} | {:.0%}".format(*(point["skills"][each][name] for each in ("en", "ru")))
        for name in point["skills"]["en"]
        if name not in ("story nats", "bits per byte")
    }
    english, russian = (point["skills"][language] for language in ("en", "ru"))
    rows = "\n".join(f"| {name} | {share} |" for name, share in shares.items())
    write_atomically(
        folder / "README.md",
        CARD.format(
            parameters=count_parameters(course_config()) / 1e6,
            tokens=point["tokens"] / 1e6,
            minutes=point["seconds"] / 60,
            cores="one core" if point["threads"] == 1 else f"{point['threads']} cores",
            floor=trace_entropy(),
            rows=rows,
            english=english,
            russian=russian,
        ),
    )


CARD = """---
license: mit
language: [en, ru]
---
# The course's model

A LLaMA of {parameters:.2f} million parameters (RoPE, RMSNorm, SwiGLU, tied embeddings, context 256)
that tells stories of a small generated world in English and Russian, answers questions about them,
knows facts of that world, solves word problems and writes programs in a small stack
language.

Trained from nothing by `make weights` on {tokens:.1f} million tokens of generated text
(course_lib.text.curriculum), {minutes:.0f} minutes
on {cores}; fp16. It has seen no other text:
it knows nothing of the real world, and it is no assistant. Every text begins with `<|endoftext|>`.

Validation loss of a story: {english[story nats]:.2f} nats in English, {russian[story nats]:.2f} in
Russian; the world's entropy, {floor:.2f}, is the least possible. Bits a byte:
{english[bits per byte]:.3f} and {russian[bits per byte]:.3f}.

Shares of right answers, on stories whose hero never lost that thing in training, and on problems
and tasks kept from training:

| | English | Russian |
|---|---|---|
{rows}

MIT, as the course.
"""
