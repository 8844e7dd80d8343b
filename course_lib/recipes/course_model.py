"""The course's own model: a LLaMA of 1.6 million parameters that tells stories in two languages.

In reading order: its sizes, the tokenizer, the rows it is trained on, `train_course_model` (one run
with three ends, after about 1, 5 and 15 minutes on two cores), and what is written to `weights/`.
"""

import copy
import functools
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_lib.files import write_atomically
from course_lib.hub.checkpoint import load_pretrained, save_pretrained, write_json
from course_lib.hub.shipped import WEIGHTS
from course_lib.inference.skills import held_out_stories, measure_skills, written_stories
from course_lib.model.fused_attention import fused_attention
from course_lib.model.config import TransformerConfig, llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import Batch, pack_documents
from course_lib.text.curriculum import (
    END_OF_TEXT,
    SPECIAL_TOKENS,
    make_document,
    tokenizer_texts,
)
from course_lib.text.tokenizers import BPETokenizer, Tokenizer
from course_lib.text.tokenizers.pre_tokenizers import GPT4_PATTERN
from course_lib.training import Record, train, warmup_stable_decay

VOCAB_SIZE = 2048
CONTEXT_LENGTH = 256
ROWS_A_STEP = 4
LEARNING_RATE = 8e-3
WARMUP_STEPS = 100
ENDS = {"course-1-minute": 420, "course-5-minutes": 2100, "course": 6300}
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
    """Byte-level BPE on the text of all stages, with every digit a token of its own.

    With whole numbers as tokens a model learns the form of a sum and not the sum.
    """
    pattern = GPT4_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
    return BPETokenizer.train(
        tokenizer_texts(8000), VOCAB_SIZE, pattern=pattern, special_tokens=SPECIAL_TOKENS
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
    each end a copy decays, and the steady run goes on from before the decay.
    """
    tokenizer = train_course_tokenizer()
    batches = Rows(draw_rows(tokenizer, max(ends.values()) * ROWS_A_STEP, seed=seed))
    steady = work / "steady.safetensors"
    for name, num_steps in ends.items():
        decay = num_steps // 5
        run(batches, steady, num_steps=num_steps - decay, seed=seed)
        branch = work / f"{name}.safetensors"
        shutil.copyfile(steady, branch)
        model, record = run(batches, branch, num_steps=num_steps, decay_steps=decay, seed=seed)
        yield name, model, tokenizer, record


def run(
    batches: Rows, checkpoint: Path, *, num_steps: int, decay_steps: int = 0, seed: int
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
        checkpoint=checkpoint,
        checkpoint_every=500,
    )
    return model, record


def make_course_model(folder: Path = WEIGHTS, *, ends: dict[str, int] = ENDS) -> None:
    """Train all ends and write each as a folder that `transformers` opens; about 20 minutes.

    Beside the weights, in fp16, stand a card and `record.json`: the losses, and for each end its
    tokens, seconds, skills and stories. The figures are those of the weights as they are shipped.
    """
    points, record = [], Record()
    with tempfile.TemporaryDirectory() as work:
        for name, model, tokenizer, record in train_course_model(Path(work), ends=ends):
            save_shipped(model, tokenizer, folder / name)
            shipped, _ = load_pretrained(folder / name)
            points.append(measured(name, shipped, tokenizer, record))
            print(json.dumps(points[-1]["skills"]), flush=True)
    write_json(folder / "course" / "record.json", {"points": points, "losses": thinned(record)})
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


def measured(
    name: str, model: Transformer, tokenizer: Tokenizer, record: Record
) -> dict[str, Any]:
    """What the record says of an end: how much training it had, its skills, four stories of it."""
    stories = held_out_stories(2, seed=1)
    return {
        "name": name,
        "step": record.num_steps,
        "tokens": record.num_tokens,
        "seconds": round(record.seconds),
        "skills": measure_skills(model, tokenizer, count=200),
        "stories": {
            language: written_stories(model, tokenizer, language, stories)
            for language in ("en", "ru")
        },
    }


def thinned(record: Record, *, every: int = 20) -> list[float]:
    """Mean training loss of every 20 updates."""
    chunks = (record.losses[n : n + every] for n in range(0, record.num_steps, every))
    return [round(sum(chunk) / len(chunk), 4) for chunk in chunks]
