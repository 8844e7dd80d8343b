"""The fused operations against the same formula in PyTorch, eager and compiled."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.fused import rms_norm, swiglu
from kernels.fused_loss import linear_cross_entropy

from .plans import FusedCase, Plan
from .stopwatch import LEFT_OUT, Measurement, measure, time_is_up

OURS = "fused"
EAGER = "eager"
COMPILED = "torch.compile"


def rows(plan: Plan, device: str, deadline: float) -> Iterator[dict[str, object]]:
    """One row a case and contestant, as soon as it is measured."""
    for case in plan.fused:
        torch.compiler.reset()
        ours, theirs, given = problem(case, device)
        compiled = torch.compile(theirs, fullgraph=True, dynamic=False, backend=plan.compiler)
        for name, call in {OURS: ours, EAGER: theirs, COMPILED: compiled}.items():
            if time_is_up(deadline):
                yield _row(case, name, LEFT_OUT, LEFT_OUT)
            else:
                yield _row(case, name, *forward_and_step(call, given))


def problem(case: FusedCase, device: str) -> tuple[Callable, Callable, list[Tensor]]:
    """Our operation, PyTorch's, and the tensors both are called with."""
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        dtype = getattr(torch, case.dtype)
        drawn = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        return drawn.requires_grad_()

    x = normal(case.rows, case.dim)
    if case.operation == "rms_norm":
        return (
            rms_norm,
            lambda x, weight: F.rms_norm(x, weight.shape, weight, eps=1e-6),
            [x, normal(case.dim)],
        )
    if case.operation == "swiglu":
        return swiglu, lambda gate, up: F.silu(gate) * up, [x, normal(case.rows, case.dim)]
    targets = torch.randint(case.vocab_size, (case.rows,), generator=generator, device=device)
    return (
        lambda hidden, weight: linear_cross_entropy(hidden, weight, targets),
        lambda hidden, weight: F.cross_entropy(F.linear(hidden, weight), targets),
        [x, normal(case.vocab_size, case.dim)],
    )


def forward_and_step(call: Callable, given: list[Tensor]) -> tuple[Measurement, Measurement]:
    """The forward pass as in training, and forward and backward together."""

    def step() -> tuple[Tensor, ...]:
        output = call(*given)
        return torch.autograd.grad(output, given, torch.ones_like(output))

    measured = measure(lambda: call(*given))
    return measured, measured if measured.reason else measure(step)


def _row(case: FusedCase, name: str, forward: Measurement, step: Measurement) -> dict[str, object]:
    """The loss makes its gradients in the forward pass, so the two together are what compares."""
    return asdict(case) | {
        "contestant": name,
        "forward_ms": forward.milliseconds,
        "step_ms": step.milliseconds,
        "forward_mib": forward.mebibytes,
        "step_mib": step.mebibytes,
        "reason": step.reason,
    }
