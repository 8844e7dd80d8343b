"""flash_attention against every backend of PyTorch's attention, and FlexAttention."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from kernels.flash_attention import flash_attention

from .plans import AttentionCase, Plan
from .stopwatch import LEFT_OUT, Measurement, measure, time_is_up

OURS = "flash_attention"
SDPA_BACKENDS = {
    "SDPA math": SDPBackend.MATH,
    "SDPA flash": SDPBackend.FLASH_ATTENTION,
    "SDPA efficient": SDPBackend.EFFICIENT_ATTENTION,
    "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION,
}
FLEX = "FlexAttention"
BACKWARD_PER_FORWARD = 2.5  # five products against two

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def rows(plan: Plan, device: str, deadline: float) -> Iterator[dict[str, object]]:
    """One row a case and contestant, as soon as it is measured."""
    for case in plan.attention:
        torch.compiler.reset()  # else the ninth shape would run FlexAttention uncompiled
        for name, prepare in contestants(case, device, plan.compiler).items():
            if time_is_up(deadline):
                yield _row(case, name, LEFT_OUT, LEFT_OUT)
            else:
                yield _row(case, name, *forward_and_step(prepare, inputs(case, device)))


def inputs(case: AttentionCase, device: str) -> list[Tensor]:
    """Query, key, value and the output's gradient, laid out as a model's projections give them."""
    batch, heads, length, head_dim = case.shape
    generator = torch.Generator(device).manual_seed(0)
    dtype = getattr(torch, case.dtype)
    shape = (batch, length, heads, head_dim)
    drawn = [
        torch.randn(shape, generator=generator, device=device, dtype=dtype).transpose(1, 2)
        for _ in range(4)
    ]
    return [each.requires_grad_() for each in drawn[:3]] + drawn[3:]


def contestants(case: AttentionCase, device: str, compiler: str) -> dict[str, Callable[[], Attend]]:
    """name -> what makes its attention; making and refusing count as the contestant's own."""
    found = {OURS: lambda: partial(flash_attention, is_causal=case.is_causal)}
    for name, backend in SDPA_BACKENDS.items():
        found[name] = partial(_sdpa, backend, case.is_causal)
    found[FLEX] = partial(_flex, case, device, compiler)
    return found


def _sdpa(backend: SDPBackend, is_causal: bool) -> Attend:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(query, key, value, is_causal=is_causal)

    return attend


def _flex(case: AttentionCase, device: str, compiler: str) -> Attend:
    def is_visible(batch, head, query_index, key_index):
        return query_index >= key_index

    block_mask = None
    if case.is_causal:
        block_mask = create_block_mask(
            is_visible, None, None, case.length, case.length, device=device
        )
    compiled = torch.compile(flex_attention, fullgraph=True, dynamic=False, backend=compiler)
    return partial(compiled, block_mask=block_mask)


def forward_and_step(
    prepare: Callable[[], Attend], given: list[Tensor]
) -> tuple[Measurement, Measurement]:
    """The forward pass as in training, and forward and backward together."""
    *leaves, grad_output = given
    made: list[Attend] = []

    def forward() -> Tensor:
        if not made:
            made.append(prepare())
        return made[0](*leaves)

    def step() -> tuple[Tensor, ...]:
        return torch.autograd.grad(forward(), leaves, grad_output)

    measured = measure(forward)
    return measured, measured if measured.reason else measure(step)


def _row(
    case: AttentionCase, name: str, forward: Measurement, step: Measurement
) -> dict[str, object]:
    """Backward is the difference: compiled graphs do not let their forward pass be kept."""
    backward_ms = None
    if step.milliseconds is not None:
        backward_ms = max(step.milliseconds - forward.milliseconds, 1e-6)
    return asdict(case) | {
        "contestant": name,
        "forward_ms": forward.milliseconds,
        "backward_ms": backward_ms,
        "forward_tflops": _tflops(case.forward_flops, forward.milliseconds),
        "backward_tflops": _tflops(BACKWARD_PER_FORWARD * case.forward_flops, backward_ms),
        "forward_mib": forward.mebibytes,
        "step_mib": step.mebibytes,
        "reason": step.reason,
    }


def _tflops(flops: float, milliseconds: float | None) -> float | None:
    return None if milliseconds is None else flops / milliseconds / 1e9
