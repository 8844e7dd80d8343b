"""`torchrun --nproc-per-node N -m course_lib.training`: one run on one process or on many.

In reading order: `main`, the options, what they stand for. Prints what the run will cost, then
trains; --dry-run only prints. Exit code 2 for what cannot be, 130 after an interruption.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from course_lib.text.tokenizers import BPETokenizer, Tokenizer, load_tokenizer
from course_lib.training.cost import describe_cost
from course_lib.training.plan import SCHEDULES, Plan
from course_lib.training.sharded import SHARDINGS, Ranks, joined_ranks
from course_lib.training.sharded_run import run_plan
from course_lib.training.sizes import SIZES, find_size
from course_lib.training.streams import END_OF_TEXT, open_corpus

if TYPE_CHECKING:
    from datasets import IterableDataset

TOKENIZER_SIZE = 2048
TOKENIZER_DOCUMENTS = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = build_parser().parse_args(arguments)
    with joined_ranks() as ranks:
        try:
            return _run(options, ranks)
        except (ValueError, OSError) as error:
            if ranks.is_first:  # what is wrong with the options is wrong on every rank
                print(f"error: {error}", file=sys.stderr)
            return 2


def _run(options: argparse.Namespace, ranks: Ranks) -> int:
    tokenizer = dataset = None
    if options.tokenizer is not None:
        tokenizer = load_tokenizer(options.tokenizer)
    if not options.dry_run:
        dataset = open_corpus(options.corpus, seed=options.seed, online=options.online)
        tokenizer = tokenizer or train_tokenizer(dataset)
    plan = make_plan(options, tokenizer)
    plan.pieces(ranks.world_size)  # refuses before anything is computed
    cost = describe_cost(plan, ranks)
    if ranks.is_first:
        print(cost, flush=True)
    if options.dry_run:
        return 0
    record = run_plan(plan, ranks, tokenizer, dataset)
    return 130 if record.state == "interrupted" else 0


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = _FirstRankParser(
        prog="python -m course_lib.training",
        description="Train the course's decoder on one process, or on many: "
        "torchrun --nproc-per-node N -m course_lib.training ...",
    )
    add = parser.add_argument
    add("--size", default="1m", metavar="NAME", help=f"{', '.join(SIZES)} (default: 1m)")
    add("--tokenizer", metavar="FOLDER", help="with a tokenizer.json (default: trained here)")
    add("--corpus", default="stories-en", metavar="NAME", help="default: stories-en")
    add("--online", action="store_true", help="stream the corpus from huggingface.co")
    add("--tokens", type=int, metavar="N", help="default: 20 a parameter")
    add("--steps", type=int, metavar="N", help="updates, instead of tokens")
    add("--batch-tokens", type=int, metavar="N", help="of one update (default: the size's)")
    add("--learning-rate", type=float, metavar="X", help="at its peak (default: the size's)")
    add("--schedule", default="cosine", metavar="NAME", help=", ".join(SCHEDULES))
    add("--accumulate", type=int, metavar="N", help="pieces in which a rank computes its rows")
    add("--shard", default="full", metavar="HOW", help=", ".join(SHARDINGS))
    add("--streams", type=int, default=8, metavar="N", help="of documents: as many as ranks, or 8")
    add("--checkpoint", type=Path, metavar="FOLDER", help="where to save, and to go on from")
    add("--checkpoint-every", type=int, default=1000, metavar="N", help="updates (default: 1000)")
    add("--seed", type=int, default=0, metavar="N", help="of weights and data (default: 0)")
    add("--dry-run", action="store_true", help="only print what the run would cost")
    return parser


class _FirstRankParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if int(os.environ.get("RANK", "0")):
            sys.exit(2)
        self.exit(2, f"error: {message}; --help lists the options\n")


def make_plan(options: argparse.Namespace, tokenizer: Tokenizer | None) -> Plan:
    """What the options say; without a tokenizer with the vocabulary the size is named for."""
    size = find_size(options.size)
    return Plan(
        size,
        vocab_size=size.vocab_size if tokenizer is None else tokenizer.vocab_size,
        corpus=options.corpus,
        online=options.online,
        num_tokens=options.tokens,
        num_steps=options.steps,
        batch_tokens=options.batch_tokens,
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        accumulation=options.accumulate,
        sharding=options.shard,
        num_streams=options.streams,
        seed=options.seed,
        checkpoint=options.checkpoint,
        checkpoint_every=options.checkpoint_every,
    )


def train_tokenizer(dataset: "IterableDataset") -> BPETokenizer:
    """BPE of at most 2,048 tokens from the first 2,000 documents: the same on every rank."""
    texts = (row["text"] for row in itertools.islice(dataset, TOKENIZER_DOCUMENTS))
    return BPETokenizer.train(texts, TOKENIZER_SIZE, special_tokens=[END_OF_TEXT])


if __name__ == "__main__":
    sys.exit(main())
