"""Fused operations: RMSNorm and SwiGLU.

Elementwise work is bound by memory: each PyTorch operation reads its input from the GPU's memory
and writes its result back. Fusing them into one kernel reads once and writes once, and the backward
pass recomputes what is cheap instead of having stored it. In reading order: `rms_norm`, `swiglu`,
and what they and the fused loss share. All arithmetic is in fp32, whatever the type in memory. Each
is an operator that PyTorch knows, like flash attention, so that torch.compile takes a model that
calls it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels import IS_INTERPRETED

DTYPES = (torch.float32, torch.float16) + (() if IS_INTERPRETED else (torch.bfloat16,))
MAX_DIM = 8192  # a row must fit the registers of one program, backward: see kernels.gate
ROWS_PER_SUM = 32
BLOCK = 1024


@triton.jit
def rms_norm_kernel(x, weight, output, inverse_rms, eps, DIM: tl.constexpr, COLUMNS: tl.constexpr):
    """One row: x / sqrt(mean(x^2) + eps) * weight, and the factor that the backward pass needs."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, COLUMNS)
    is_inside = columns < DIM
    values = tl.load(x + row * DIM + columns, mask=is_inside, other=0.0).to(tl.float32)
    weights = tl.load(weight + columns, mask=is_inside, other=0.0).to(tl.float32)
    factor = tl.rsqrt(tl.sum(values * values, axis=0) / DIM + eps)
    result = values * factor * weights
    tl.store(output + row * DIM + columns, result.to(output.dtype.element_ty), mask=is_inside)
    tl.store(inverse_rms + row, factor)


@triton.jit
def rms_norm_backward_kernel(
    x,
    weight,
    grad_output,
    inverse_rms,
    grad_x,
    grad_weight_parts,  # (programs, DIM): every program's sum, added up afterwards: no atomics
    num_rows,
    DIM: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """ROWS rows: with n = x / rms, dx = (w dy - n * mean(w dy n)) / rms and dw = sum(dy n)."""
    columns = tl.arange(0, COLUMNS)
    is_inside = columns < DIM
    weights = tl.load(weight + columns, mask=is_inside, other=0.0).to(tl.float32)
    weight_sum = tl.zeros([COLUMNS], tl.float32)
    first_row = tl.program_id(0) * ROWS
    for index in tl.range(first_row, tl.minimum(first_row + ROWS, num_rows)):
        row = tl.cast(index, tl.int64)
        values = tl.load(x + row * DIM + columns, mask=is_inside, other=0.0).to(tl.float32)
        grads = tl.load(grad_output + row * DIM + columns, mask=is_inside, other=0.0)
        grads = grads.to(tl.float32)
        factor = tl.load(inverse_rms + row)
        normed = values * factor
        weighted = grads * weights
        result = (weighted - normed * (tl.sum(weighted * normed, axis=0) / DIM)) * factor
        tl.store(grad_x + row * DIM + columns, result.to(grad_x.dtype.element_ty), mask=is_inside)
        weight_sum += grads * normed
    tl.store(grad_weight_parts + tl.program_id(0) * DIM + columns, weight_sum, mask=is_inside)


def row_warps(columns: int, numbers: int) -> int:
    """How many warps of 32 threads share a row, for so many numbers of each tensor a thread."""
    return max(columns // (32 * numbers), 1)


@torch.library.custom_op("course::rms_norm", mutates_args=())
def _norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The normed rows, and 1 / rms of every row in fp32."""
    dim = x.shape[-1]
    output = torch.empty_like(x, memory_format=torch.contiguous_format)
    inverse_rms = torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)
    columns = triton.next_power_of_2(dim)
    rms_norm_kernel[(inverse_rms.numel(),)](
        x.contiguous(),
        weight.contiguous(),
        output,
        inverse_rms,
        eps,
        dim,
        columns,
        num_warps=row_warps(columns, 32),
    )
    return output, inverse_rms


@_norm.register_fake
def _norm_shapes(x, weight, eps):
    output = torch.empty_like(x, memory_format=torch.contiguous_format)
    return output, torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)


@torch.library.custom_op("course::rms_norm_backward", mutates_args=())
def _norm_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor, inverse_rms: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of x and of the weight."""
    dim, num_rows = x.shape[-1], inverse_rms.numel()
    num_programs = triton.cdiv(num_rows, ROWS_PER_SUM)
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    parts = torch.empty((num_programs, dim), dtype=torch.float32, device=x.device)
    columns = triton.next_power_of_2(dim)
    rms_norm_backward_kernel[(num_programs,)](
        x.contiguous(),
        weight.contiguous(),
        grad_output.contiguous(),
        inverse_rms,
        grad_x,
        parts,
        num_rows,
        dim,
        columns,
        ROWS_PER_SUM,
        num_warps=row_warps(columns, 16),
    )
    return grad_x, parts.sum(dim=0).to(weight.dtype)


@_norm_backward.register_fake
def _norm_backward_shapes(grad_output, x, weight, inverse_rms):
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    return grad_x, torch.empty_like(weight, memory_format=torch.contiguous_format)


def _norm_remember(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:2], output[1])
    ctx.mark_non_differentiable(output[1])


def _norm_gradients(ctx, grad_output, _):
    return *_norm_backward(grad_output, *ctx.saved_tensors), None


_norm.register_autograd(_norm_gradients, setup_context=_norm_remember)


def rms_norm(x: Tensor, weight: Tensor, *, eps: float = 1e-6) -> Tensor:  # (..., dim), (dim,)
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension, in one pass over memory.

    Keeps one fp32 number a row for the backward pass. ValueError for dim > 8192.

    Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467, eq. 4. Chapter 15.
    """
    check_inputs(x=x, weight=weight)
    if x.ndim == 0 or weight.shape != x.shape[-1:] or not 0 < len(weight) <= MAX_DIM:
        raise ValueError(
            f"weight must have shape (dim,) of x, 1 <= dim <= {MAX_DIM}, got "
            f"{tuple(weight.shape)} and {tuple(x.shape)}"
        )
    return _norm(x, weight, eps)[0]


@triton.jit
def swiglu_kernel(gate, up, output, size, BLOCK: tl.constexpr):
    """silu(gate) * up, number by number; silu(g) = g * sigmoid(g)."""
    places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_inside = places < size
    gates = tl.load(gate + places, mask=is_inside, other=0.0).to(tl.float32)
    ups = tl.load(up + places, mask=is_inside, other=0.0).to(tl.float32)
    result = gates * tl.sigmoid(gates) * ups
    tl.store(output + places, result.to(output.dtype.element_ty), mask=is_inside)


@triton.jit
def swiglu_backward_kernel(gate, up, grad_output, grad_gate, grad_up, size, BLOCK: tl.constexpr):
    """d silu(g) = s + g s (1 - s) with s = sigmoid(g), recomputed rather than stored."""
    places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_inside = places < size
    gates = tl.load(gate + places, mask=is_inside, other=0.0).to(tl.float32)
    ups = tl.load(up + places, mask=is_inside, other=0.0).to(tl.float32)
    grads = tl.load(grad_output + places, mask=is_inside, other=0.0).to(tl.float32)
    s = tl.sigmoid(gates)
    for_gate = grads * ups * (s + gates * s * (1.0 - s))
    tl.store(grad_gate + places, for_gate.to(grad_gate.dtype.element_ty), mask=is_inside)
    for_up = grads * gates * s
    tl.store(grad_up + places, for_up.to(grad_up.dtype.element_ty), mask=is_inside)


@torch.library.custom_op("course::swiglu", mutates_args=())
def _gate(gate: Tensor, up: Tensor) -> Tensor:
    output = torch.empty_like(gate, memory_format=torch.contiguous_format)
    swiglu_kernel[(triton.cdiv(gate.numel(), BLOCK),)](
        gate.contiguous(), up.contiguous(), output, gate.numel(), BLOCK
    )
    return output


@_gate.register_fake
def _gate_shapes(gate, up):
    return torch.empty_like(gate, memory_format=torch.contiguous_format)


@torch.library.custom_op("course::swiglu_backward", mutates_args=())
def _gate_backward(grad_output: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    grad_gate, grad_up = (
        torch.empty_like(each, memory_format=torch.contiguous_format) for each in (gate, up)
    )
    swiglu_backward_kernel[(triton.cdiv(gate.numel(), BLOCK),)](
        gate.contiguous(),
        up.contiguous(),
        grad_output.contiguous(),
        grad_gate,
        grad_up,
        gate.numel(),
        BLOCK,
    )
    return grad_gate, grad_up


@_gate_backward.register_fake
def _gate_backward_shapes(grad_output, gate, up):
    return _gate_shapes(gate, up), _gate_shapes(up, gate)


def _gate_remember(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs)


def _gate_gradients(ctx, grad_output):
    return _gate_backward(grad_output, *ctx.saved_tensors)


_gate.register_autograd(_gate_gradients, setup_context=_gate_remember)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up: the gated activation between the feed-forward layer's two products.

    Keeps only its two inputs for the backward pass, where PyTorch keeps silu(gate) too.

    Shazeer 2020, https://arxiv.org/abs/2002.05202, eq. 6. Chapter 15.
    """
    check_inputs(gate=gate, up=up)
    if gate.shape != up.shape:
        raise ValueError(
            f"gate and up must have one shape, got {tuple(gate.shape)} and {tuple(up.shape)}"
        )
    return _gate(gate, up)


def check_inputs(**tensors: Tensor) -> None:
    """Whether the kernels can take these; ValueError names the one they cannot."""
    first = next(iter(tensors.values()))
    for name, each in tensors.items():
        if each.dtype not in DTYPES or each.dtype != first.dtype:
            raise ValueError(f"{name}.dtype={each.dtype} must be one of {DTYPES}, and the others'")
        if each.device != first.device or not (IS_INTERPRETED or each.is_cuda):
            raise ValueError(f"{name}.device={each.device} must be a GPU, and the others'")
