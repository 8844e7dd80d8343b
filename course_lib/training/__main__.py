"""`torchrun --nproc-per-node N -m course_lib.training`: one run on one process or on many.

In reading order: `main`, the options, what they stand for. Prints what the run will cost, then
trains; --dry-run only prints. Exit code 2 for what cannot be, 130 after an interruption.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch.distributed as dist

from course_lib.text.tokenizers import Tokenizer, load_tokenizer
from course_lib.training.cost import describe_cost
from course_lib.training.plan import SCHEDULES, Plan
from course_lib.training.sharded import SHARDINGS, AgreedError, Ranks, agreed, joined_ranks
from course_lib.training.sharded_run import run_plan
from course_lib.training.sizes import SIZES, find_size
from course_lib.training.streams import open_corpus

COURSE_TOKENIZER = Path(__file__).parents[2] / "weights" / "course"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = build_parser().parse_args(arguments)
    with joined_ranks() as ranks:
        try:
            return _run(options, ranks)
        except AgreedError as error:
            if ranks.is_first:
                print(f"error: {error}", file=sys.stderr, flush=True)
            dist.barrier()  # torchrun ends all when one has ended: not before it is said
        except (ValueError, OSError) as error:
            print(f"error on rank {ranks.rank}: {error}", file=sys.stderr)
    return 2


def _run(options: argparse.Namespace, ranks: Ranks) -> int:
    with agreed(ranks):
        tokenizer = load_tokenizer(options.tokenizer)
        plan = make_plan(options, tokenizer)
        plan.pieces(ranks.world_size)  # refuses what the ranks cannot share
        dataset = None
        if not options.dry_run:
            dataset = open_corpus(plan.corpus, seed=plan.seed, online=plan.online)
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
    add(
        "--tokenizer",
        default=COURSE_TOKENIZER,
        type=Path,
        metavar="FOLDER",
        help="with a tokenizer.json (default: the course's)",
    )
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


def make_plan(options: argparse.Namespace, tokenizer: Tokenizer) -> Plan:
    """What the options say, with the tokenizer's vocabulary."""
    return Plan(
        find_size(options.size),
        vocab_size=tokenizer.vocab_size,
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


if __name__ == "__main__":
    sys.exit(main())
