"""The small translator behind the alignment demo: it says numbers and dates in two languages.

In reading order: `Speaker`, `load_speaker` (the shipped weights), and how they were made:
`train_speaker` and `save_speaker`, which `make weights` runs.
"""

import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from course_lib.files import write_atomically
from course_lib.hub import shipped
from course_lib.model.sequence_to_sequence import (
    END,
    PADDING,
    START,
    SequenceToSequence,
    alignment,
    encode_decode,
    translate,
)
from course_lib.text.numbers import (
    LANGUAGES,
    MAX_DIGITS,
    Spoken,
    random_date,
    random_number,
    say_date,
    say_number,
)
from course_lib.training.loop import train

SYMBOLS = ("<padding>", "<start>", "<end>", *LANGUAGES, *"0123456789 -")
DIM = 48
MAX_WORDS = 30


@dataclass(frozen=True)
class Speaker:
    """A trained model and its words; its source is the language and then the characters."""

    model: SequenceToSequence
    words: tuple[str, ...]

    def say(
        self, written: str, language: str
    ) -> tuple[list[str], Float[Tensor, "words characters"]]:
        """The words that the model chooses, and how strongly each looked at each character."""
        source = torch.tensor([source_ids(written, language)])
        said = translate(self.model, source, max_tokens=MAX_WORDS)[0]
        weights = alignment(self.model, source, torch.tensor([[START, *said, END]]))[0]
        return [self.words[word] for word in said], weights[: len(said), 1:]


@cache
def load_speaker() -> Speaker:
    """The shipped speaker; ValueError if its file is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    path = shipped.WEIGHTS / "speaker.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            words = tuple(json.loads(file.metadata()["words"]))
            model = new_model(len(words))
            model.load_state_dict(
                {name: file.get_tensor(name).float() for name in model.state_dict()}
            )
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f"weights/{path.name} cannot be read ({error}): git restores it") from None
    return Speaker(model.requires_grad_(False), words)


def spoken_truth(written: str, language: str) -> list[Spoken]:
    """What should be said for a number or a date; ValueError if it is neither."""
    is_date = "-" in written or "." in written
    return say_date(written, language) if is_date else say_number(written, language)


def source_ids(written: str, language: str) -> list[int]:
    """The language's id, then the characters'."""
    return [SYMBOLS.index(symbol) for symbol in (language, *written)]


def new_model(num_words: int) -> SequenceToSequence:
    """The untrained model."""
    return SequenceToSequence(len(SYMBOLS), num_words, dim=DIM, attention="dot")


def all_words() -> list[str]:
    """Every word that a number or a date can need, in both languages."""
    scales = (1, 10**3, 10**6, 10**9)
    written = [str(count * scale) for count in range(1000) for scale in scales]
    written += [f"{year}-{year % 12 + 1:02}-{year % 28 + 1:02}" for year in range(1000, 3000)]
    written += [f"2000-01-{day}" for day in (29, 30, 31)]
    spoken = [spoken_truth(each, language) for each in written for language in LANGUAGES]
    return sorted({each.word for words in spoken for each in words})


def train_speaker(*, num_steps: int = 4000, batch_size: int = 64, seed: int = 0) -> Speaker:
    """Half numbers of 1 to 12 digits, half dates, in both languages; about two minutes."""
    words = ("<padding>", "<start>", "<end>", *all_words())
    numbers = {word: number for number, word in enumerate(words)}

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = random.Random(f"{seed} {step}")
        drawn = [_draw(rng) for _ in range(batch_size)]
        rows = [[START, *(numbers[each.word] for each in spoken), END] for _, spoken in drawn]
        source = pad_sequence([torch.tensor(ids) for ids, _ in drawn], batch_first=True)
        return source, pad_sequence([torch.tensor(row) for row in rows], batch_first=True)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = new_model(len(words))
    train(
        model,
        batch,
        num_steps=num_steps,
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=0.01),
        loss=_loss,
        seed=seed,
        progress=False,
    )
    return Speaker(model.requires_grad_(False), words)


def _loss(model: SequenceToSequence, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Nats a word, padding left out."""
    source, target = batch
    logits, following = encode_decode(model, source, target), target[:, 1:]
    return F.cross_entropy(logits.flatten(0, 1), following.flatten(), ignore_index=PADDING)


def save_speaker(speaker: Speaker, folder: Path) -> None:
    """Write speaker.safetensors in fp16 into the folder, the words in its header."""
    from safetensors.torch import save

    tensors = {name: each.half() for name, each in speaker.model.state_dict().items()}
    metadata = {
        "words": json.dumps(speaker.words, ensure_ascii=False),
        "about": "Says numbers and dates in English and Russian; trained on generated examples "
        "only, by course_lib.recipes.speaker. MIT.",
    }
    write_atomically(folder / "speaker.safetensors", save(tensors, metadata))


def _draw(rng: random.Random) -> tuple[list[int], list[Spoken]]:
    """One example: the source's ids and what is to be said."""
    language = rng.choice(LANGUAGES)
    if rng.random() < 0.5:
        written = random_number(rng, rng.randint(1, MAX_DIGITS))
    else:
        written = random_date(rng, first_year=1000, last_year=2999)
    return source_ids(written, language), spoken_truth(written, language)
