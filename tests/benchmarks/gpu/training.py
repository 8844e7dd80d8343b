"""A training step of the course's decoder, in tokens a second: our kernels against PyTorch's."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.flash_attention import flash_attention
from kernels.fused_loss import linear_cross_entropy

from .plans import Plan, TrainingCase
from .stopwatch import LEFT_OUT, Measurement, measure, time_is_up

OURS = "flash_attention"
CONTESTANTS = {  # name -> (our kernels, compiled)
    "SDPA": (False, False),
    OURS: (True, False),
    "SDPA, torch.compile": (False, True),
    f"{OURS}, torch.compile": (True, True),
}


def rows(plan: Plan, device: str, deadline: float) -> Iterator[dict[str, object]]:
    """One row a case and contestant, as soon as it is measured."""
    for case in plan.training:
        for name, (is_ours, is_compiled) in CONTESTANTS.items():
            torch.compiler.reset()
            if time_is_up(deadline):
                yield _row(case, name, LEFT_OUT)
                continue
            try:
                step = step_of(case, device, is_ours, plan.compiler if is_compiled else None)
            except ImportError as error:  # make gpu also runs where the course is not installed
                yield _row(
                    case, name, Measurement(reason=f"the course cannot be imported: {error}")
                )
            else:
                yield _row(case, name, measure(step), token_flops(case))


def step_of(
    case: TrainingCase, device: str, is_ours: bool, compiler: str | None
) -> Callable[[], object]:
    """Forward, backward, clipping and fused AdamW on one batch of random tokens.

    With our kernels the loss is `linear_cross_entropy` of the vectors before the head. Compiled are
    the blocks, one graph for all of them, and the loss.
    """
    from course_lib.model.fused_attention import fused_attention
    from course_lib.model.transformer import Transformer
    from course_lib.text.batches import Batch
    from course_lib.training import adamw
    from course_lib.training.updates import update

    model = Transformer(_config(case), attention=flash_attention if is_ours else fused_attention)
    model.to(device)
    loss_of = fused_loss if is_ours else plain_loss
    if compiler is not None:
        for block in model.decoder.blocks:
            block.compile(backend=compiler, fullgraph=True, dynamic=False)
        loss_of = torch.compile(loss_of, backend=compiler, fullgraph=True, dynamic=False)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        hidden = model.hidden(batch.tokens).flatten(0, 1)
        return loss_of(hidden, model.embedding.weight, batch.targets.flatten())

    generator = torch.Generator(device).manual_seed(0)
    shape = (case.rows, case.context_length + 1)
    ids = torch.randint(case.vocab_size, shape, generator=generator, device=device)
    batch = Batch(ids[:, :-1], ids[:, 1:])
    return partial(update, model, batch, adamw(model), loss, dtype=getattr(torch, case.dtype))


def plain_loss(hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
    """The mean loss, with a logit for every token and every entry of the vocabulary."""
    return F.cross_entropy(F.linear(hidden, embedding).float(), targets)


def fused_loss(hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
    """The same from our kernel; autocast does not know it, so the types are set here."""
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    return linear_cross_entropy(hidden.to(dtype), embedding.to(dtype), targets)


def token_flops(case: TrainingCase) -> float:
    """FLOPs a token of a step, as the course counts them."""
    from course_lib.training import training_flops

    return training_flops(_config(case))


def _config(case: TrainingCase):
    from course_lib.training.sizes import find_size

    return find_size(case.size).config()


def _row(case: TrainingCase, name: str, step: Measurement, flops: float = 0.0) -> dict[str, object]:
    per_second = None
    if step.milliseconds is not None:
        per_second = 1e3 * case.rows * case.context_length / step.milliseconds
    return asdict(case) | {
        "contestant": name,
        "step_ms": step.milliseconds,
        "tokens_per_second": per_second,
        "tflops": None if per_second is None else per_second * flops / 1e12,
        "step_mib": step.mebibytes,
        "reason": step.reason,
    }
