"""The loop on many processes: `run_plan`, from a plan and its data to a record of the run.

In reading order: `run_plan`, then its parts: beginning or going on, one update, saving.
"""

import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from tqdm.auto import tqdm

from course_lib.model.fused_attention import fused_attention
from course_lib.model.modes import in_mode
from course_lib.model.parameters import count_parameters
from course_lib.text.tokenizers import Tokenizer
from course_lib.training.accounting import matmul_peak, training_flops
from course_lib.training.interruption import noted_interruption
from course_lib.training.optimizers import adamw
from course_lib.training.plan import SCHEDULES, Plan
from course_lib.training.records import Record
from course_lib.training.sharded import (
    AgreedError,
    Ranks,
    agreed,
    shard_model,
    sharded_update,
)
from course_lib.training.sharded_checkpoints import (
    export_model,
    load_sharded,
    newest_checkpoint,
    not_whole,
    read_run,
    save_sharded,
)
from course_lib.training.streams import Position, RankRows

if TYPE_CHECKING:
    from datasets import IterableDataset


def run_plan(plan: Plan, ranks: Ranks, tokenizer: Tokenizer, dataset: "IterableDataset") -> Record:
    """Train as planned, on all ranks together; every rank returns the same record.

    Where the plan's folder has a checkpoint the run goes on from it, on any number of ranks: with
    the losses, to rounding, of a run that was never interrupted. Ctrl-C or SIGTERM on any rank ends
    all of them after the running update, with a checkpoint, for which torchrun leaves 30 seconds.
    At the end the whole model is exported. ValueError where loss or gradient is not finite.
    """
    num_steps = plan.steps(count_parameters(plan.config))
    run = _begin(plan, ranks, tokenizer, dataset)
    start, record = run.record.num_steps, run.record
    bar = tqdm(total=num_steps, initial=start, unit="step", disable=not ranks.is_first)
    signals = noted_interruption((signal.SIGINT, signal.SIGTERM), may_insist=ranks.world_size == 1)
    with in_mode(run.model, training=True), signals as interrupted, bar:
        for step in range(start, num_steps):
            is_interrupted = _advance(run, step, num_steps, is_interrupted=interrupted())
            if step + 1 == num_steps or is_interrupted:
                record.state = "finished" if step + 1 == num_steps else "interrupted"
            if record.state != "running" or (step + 1) % plan.checkpoint_every == 0:
                _save(run)
            bar.set_postfix_str(record.summary, refresh=False)
            bar.update()
            if record.state == "interrupted":
                bar.write(_how_to_go_on(plan, step + 1, num_steps))
                break
    if start >= num_steps:
        record.state = "finished"
    if record.state == "finished" and plan.checkpoint is not None:
        export_model(plan.checkpoint, run.model, plan.config, tokenizer)
    return record


@dataclass(frozen=True)
class _Run:
    plan: Plan
    ranks: Ranks
    identity: dict
    model: nn.Module
    optimizer: torch.optim.Optimizer
    rows: RankRows
    record: Record


def _begin(plan: Plan, ranks: Ranks, tokenizer: Tokenizer, dataset: "IterableDataset") -> _Run:
    """A new run, or the one of the newest checkpoint."""
    identity = plan.identity(tokenizer)
    record, positions = Record(), {}
    checkpoint = None if plan.checkpoint is None else newest_checkpoint(plan.checkpoint)
    if checkpoint is not None:
        with agreed(ranks):
            record, positions = _stored(checkpoint, identity)
    model = shard_model(
        plan.config,
        ranks,
        sharding=plan.sharding,
        seed=plan.seed if checkpoint is None else None,
        attention=fused_attention,
    )
    optimizer = adamw(model, learning_rate=plan.learning_rate)
    if checkpoint is not None:
        load_sharded(checkpoint, model, optimizer)
    record.token_flops = training_flops(plan.config)
    record.peak_flops = ranks.world_size * matmul_peak(ranks.compute_dtype, ranks.device)
    return _Run(
        plan,
        ranks,
        identity,
        model,
        optimizer,
        _make_rows(plan, ranks, tokenizer, dataset, record.num_steps, positions),
        record,
    )


def _make_rows(
    plan: Plan,
    ranks: Ranks,
    tokenizer: Tokenizer,
    dataset: "IterableDataset",
    step: int,
    positions: dict[int, Position],
) -> RankRows:
    return RankRows(
        dataset,
        tokenizer,
        context_length=plan.config.context_length,
        batch_rows=plan.batch_rows,
        num_streams=plan.num_streams,
        rank=ranks.rank,
        world_size=ranks.world_size,
        seed=plan.seed,
        step=step,
        positions=positions,
    )


def _advance(run: _Run, step: int, num_steps: int, *, is_interrupted: bool) -> bool:
    """One update, noted in the record; returns whether any rank was interrupted."""
    plan, record, start = run.plan, run.record, time.perf_counter()
    rate = SCHEDULES[plan.schedule](step, num_steps) * plan.learning_rate
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    pieces = run.rows().split(plan.pieces(run.ranks.world_size))
    done = sharded_update(run.model, pieces, run.optimizer, is_interrupted=is_interrupted)
    if not (math.isfinite(done.loss) and math.isfinite(done.norm)):
        raise AgreedError(
            f"loss = {done.loss:g}, gradient norm = {done.norm:g} at update {step + 1}: training "
            "stopped there. Lower the learning rate, and go on from the last checkpoint"
        )
    record.losses.append(done.loss)
    record.learning_rates.append(rate)
    record.gradient_norms.append(done.norm)
    record.num_tokens += done.num_tokens
    record.seconds += time.perf_counter() - start
    return done.is_interrupted


def _save(run: _Run) -> None:
    if run.plan.checkpoint is not None:
        save_sharded(
            run.plan.checkpoint,
            run.model,
            run.optimizer,
            step=run.record.num_steps,
            run={"identity": run.identity, "record": run.record.to_json()},
            positions=run.rows.positions,
        )


def _stored(checkpoint: Path, identity: dict) -> tuple[Record, dict[int, Position]]:
    """A checkpoint's record and positions, if it is of this model and this data."""
    run, positions = read_run(checkpoint)
    try:
        stored, record = run["identity"], Record(**{**run["record"], "state": "running"})
        differing = {name: stored[name] for name in identity if stored[name] != identity[name]}
    except (KeyError, TypeError) as error:
        raise ValueError(not_whole(checkpoint, repr(error))) from None
    for name, value in differing.items():
        raise ValueError(
            f"{checkpoint} is of a run with {name} = {value}, not {identity[name]}: go on with the "
            "same, or give another folder"
        )
    return record, positions


def _how_to_go_on(plan: Plan, done: int, num_steps: int) -> str:
    where = "nothing is saved: give a --checkpoint folder to be able to go on"
    if plan.checkpoint is not None:
        where = f"the same command goes on from {plan.checkpoint}, on any number of processes"
    return f"Interrupted after update {done:,} of {num_steps:,}; {where}."
