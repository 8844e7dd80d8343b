"""The training loop: `train`, from a model and its batches to a record of the run.

In reading order: `next_token_loss` and `mean_loss`, what is minimised and how it is evaluated;
`train`; then what happens between updates. One update is `course_lib.training.updates.update`.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.model.modes import device_of, evaluating, in_mode
from course_lib.model.transformer import Transformer
from course_lib.text.batches import IGNORED, Batch, mixed_seed
from course_lib.training.accounting import matmul_peak, training_flops
from course_lib.training.checkpoints import load_checkpoint, read_extra, save_checkpoint
from course_lib.training.interruption import noted_interruption
from course_lib.training.optimizers import adamw
from course_lib.training.precision import Precision, choose_dtype
from course_lib.training.records import Record
from course_lib.training.schedules import warmup_cosine
from course_lib.training.updates import update


def next_token_loss(model: Callable[..., Tensor], batch: Batch) -> Float[Tensor, ""]:
    """`cross_entropy` of the batch's counted targets, in nats and fp32, on the model's device.

    In PyTorch's fused form (tested equal), a quarter faster; its mean over no target would be nan.
    """
    batch = batch.to(device_of(model))
    logits = model(batch.tokens, **batch.restrictions).flatten(0, 1).float()
    targets = batch.targets.flatten()
    total = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def mean_loss(model: Callable[..., Tensor], batches: Iterable[Batch]) -> float:
    """-log p in nats a token over all batches together: exact where batches differ in size.

    Without gradients and in evaluation mode. `lambda model: mean_loss(model, held_out)` is an
    `evaluate` for `train`; `held_out` a list, since an iterator serves once. Chapter 07.
    """
    total, count = 0.0, 0
    with evaluating(model):
        for batch in batches:
            total += float(next_token_loss(model, batch)) * batch.num_tokens
            count += batch.num_tokens
    if not count:
        raise ValueError("there is no target to evaluate: give a list of batches, not a used one")
    return total / count


def train(
    model: nn.Module,
    batches: Callable[[int], Any],
    *,
    num_steps: int,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] = adamw,
    schedule: Callable[[int, int], float] = warmup_cosine,
    loss: Callable[[nn.Module, Any], Tensor] = next_token_loss,
    max_norm: float | int = 1.0,
    accumulation: int = 1,
    dtype: Precision = "float32",
    seed: int = 0,
    evaluate: Callable[[nn.Module], float | dict[str, float]] | None = None,
    evaluate_every: int = 100,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    plot: Callable[[Record], None] | None = None,
    progress: bool = True,
) -> Record:
    """Minimise loss(model, batches(step)) for num_steps updates; returns the record of the run.

    Where `checkpoint` exists the run goes on from it, bitwise as if never interrupted: batches and
    dropout depend on (seed, step) only. Ctrl-C ends after the running update, saves and returns.
    `accumulation` computes each batch in so many pieces: the same update in less memory. `dtype` is
    that of the products, "auto" the faster one here; weights and loss are fp32. `plot(record)` is
    called after every update. ValueError where loss or gradient is not finite.

    Radford et al. 2019, "Language models are unsupervised multitask learners". Chapter 07.
    """
    _check_counts(
        num_steps=num_steps,
        accumulation=accumulation,
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
    )
    chosen_dtype = choose_dtype(dtype, device_of(model))
    updater = optimizer(model)
    peaks = [group["lr"] for group in updater.param_groups]
    record = _resumed(checkpoint, model, updater, seed)
    if loss is next_token_loss:
        _check_vocabulary(model, batches)
    if record.num_steps >= num_steps:
        record.state = "finished"
    start_step = record.num_steps
    bar = tqdm(total=num_steps, initial=start_step, unit="step", disable=not progress)

    with _training(model), noted_interruption() as interrupted, bar:
        for step in range(start_step, num_steps):
            torch.manual_seed(mixed_seed(seed, step))
            start = time.perf_counter()
            share = schedule(step, num_steps)
            for group, peak in zip(updater.param_groups, peaks, strict=True):
                group["lr"] = share * peak
            batch = batches(step)
            value, norm = update(
                model,
                batch,
                updater,
                loss,
                max_norm=max_norm,
                accumulation=accumulation,
                dtype=chosen_dtype,
            )
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise ValueError(_not_finite(value, norm, step, checkpoint))
            record.losses.append(value)
            record.learning_rates.append(share * peaks[0])
            record.gradient_norms.append(norm)
            record.num_tokens += getattr(batch, "num_tokens", 0)
            record.seconds += time.perf_counter() - start
            if step == start_step:
                _account(record, model, batch, chosen_dtype)

            done = step + 1
            if evaluate is not None and (done % evaluate_every == 0 or done == num_steps):
                record.evaluations.append({"step": done, **_evaluated(evaluate, model)})
            if done == num_steps or interrupted():
                record.state = "finished" if done == num_steps else "interrupted"
            saves = done % checkpoint_every == 0 or record.state != "running"
            if checkpoint is not None and saves:
                extra = {"seed": seed, "record": record.to_json()}
                save_checkpoint(checkpoint, model, updater, extra=extra)
            bar.set_postfix_str(record.summary, refresh=False)
            bar.update()
            if plot is not None:
                plot(record)
            if record.state == "interrupted":
                bar.write(_how_to_go_on(done, num_steps, checkpoint))
                break
    return record


def _account(record: Record, model: nn.Module, batch: Any, dtype: torch.dtype) -> None:
    """What the record needs to tell MFU: for the course's decoders and encoders, else nothing."""
    if not (isinstance(model, Transformer) and isinstance(batch, Batch)):
        return
    with contextlib.suppress(ValueError):  # a model that the formula does not know
        record.token_flops = training_flops(model.config, context_length=batch.tokens.shape[1])
        record.peak_flops = matmul_peak(dtype, device_of(model))


def _evaluated(evaluate: Callable[[nn.Module], Any], model: nn.Module) -> dict[str, float]:
    with evaluating(model):
        value = evaluate(model)
    return value if isinstance(value, dict) else {"loss": float(value)}


@contextlib.contextmanager
def _training(model: nn.Module) -> Iterator[None]:
    """Dropout on; afterwards the model's mode and PyTorch's generators are as they were."""
    device = device_of(model)
    forked = [device.index] if device.type == "cuda" else []
    with in_mode(model, training=True), torch.random.fork_rng(forked):
        yield


def _resumed(
    checkpoint: str | Path | None,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    seed: int,
) -> Record:
    """The record to go on with, its weights and optimizer state loaded; or an empty one."""
    if checkpoint is None or not Path(checkpoint).exists():
        return Record()
    extra = read_extra(checkpoint)
    if not (isinstance(extra, dict) and extra.keys() == {"seed", "record"}):
        raise ValueError(f"{checkpoint} was not written by train(): give another path")
    if extra["seed"] != seed:
        raise ValueError(
            f"{checkpoint} is of a run with seed = {extra['seed']}, not {seed}: go on with that "
            "seed, or give another path"
        )
    load_checkpoint(checkpoint, model, optimizer)
    return Record(**{**extra["record"], "state": "running"})


def _check_vocabulary(model: nn.Module, batches: Callable[[int], Batch]) -> None:
    """The model's output has a place for every token of the data.

    An id beyond an embedding is an IndexError without a number, and on a GPU the end of the
    process's use of it.
    """
    batch = batches(0)
    stream = getattr(batches, "tokens", batch.targets)
    largest = max(int(each.max()) for each in (stream, batch.tokens, batch.targets))
    row = Batch(batch.tokens[:1] * 0, batch.targets[:1]).to(device_of(model))
    with evaluating(model):
        shape = tuple(model(row.tokens).shape)
    if len(shape) != 3 or shape[:2] != tuple(row.tokens.shape):
        raise ValueError(
            f"model(tokens) gave shape {shape} for tokens of {tuple(row.tokens.shape)}: it must "
            "give logits (batch, time, vocab_size); or pass a loss that knows better"
        )
    if largest >= shape[2]:
        raise ValueError(
            f"the data's largest token is {largest} and the model's vocab_size = {shape[2]}: it "
            f"must be at least {largest + 1}, the size of the tokenizer's vocabulary"
        )


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} = {value} must be at least 1")


def _not_finite(value: float, norm: float, step: int, checkpoint: str | Path | None) -> str:
    saved = checkpoint is not None and Path(checkpoint).exists()
    return (
        f"loss = {value:g}, gradient norm = {norm:g} at update {step + 1}: training stopped there, "
        f"with the weights of update {step}. Lower the learning rate or lengthen the warm-up"
        + (f"; the last checkpoint is {checkpoint}" if saved else "")
    )


def _how_to_go_on(done: int, num_steps: int, checkpoint: str | Path | None) -> str:
    where = "nothing is saved: give train() a checkpoint to be able to go on"
    if checkpoint is not None:
        where = f"the same call goes on from {checkpoint}"
    return f"Interrupted after update {done} of {num_steps}; {where}."
