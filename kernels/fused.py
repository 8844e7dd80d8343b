"""Fused operations: RMSNorm, SwiGLU, and a linear layer with its cross-entropy.

Elementwise work is bound by memory: each PyTorch operation reads its input from the GPU's memory
and writes its result back. Fusing them into one kernel reads once and writes once, and the backward
pass recomputes what is cheap instead of having stored it. In reading order: `rms_norm`, `swiglu`,
`linear_cross_entropy`. All arithmetic is in fp32, whatever the type in memory. Each is an operator
that PyTorch knows, like flash attention, so that torch.compile takes a model that calls it.
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
VOCAB_BLOCK = 4096
LOGITS_ROWS = 2048  # at once: products that fill a GPU, and few walks over the weight's gradient


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
    _check(x=x, weight=weight)
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
    _check(gate=gate, up=up)
    if gate.shape != up.shape:
        raise ValueError(
            f"gate and up must have one shape, got {tuple(gate.shape)} and {tuple(up.shape)}"
        )
    return _gate(gate, up)


@triton.jit
def cross_entropy_kernel(
    logits, targets, losses, ignored, VOCAB_SIZE: tl.constexpr, BLOCK: tl.constexpr
):
    """One row: its loss, and in place of its logits their gradient, softmax - onehot(target).

    The first loop is the online softmax of flash attention; the second overwrites.
    """
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(targets + row)
    logits += row * VOCAB_SIZE
    maximum = tl.full([], float("-inf"), tl.float32)
    total = tl.full([], 0.0, tl.float32)
    for first in tl.range(0, VOCAB_SIZE, BLOCK):
        places = first + tl.arange(0, BLOCK)
        scores = tl.load(logits + places, mask=places < VOCAB_SIZE, other=float("-inf"))
        scores = scores.to(tl.float32)
        new_maximum = tl.maximum(maximum, tl.max(scores, axis=0))
        total = total * tl.exp(maximum - new_maximum) + tl.sum(tl.exp(scores - new_maximum), axis=0)
        maximum = new_maximum
    is_counted = target != ignored
    is_id = (target >= 0) & (target < VOCAB_SIZE)  # an id that is none gives nan, not a wild read
    target_logit = tl.load(logits + target, mask=is_id, other=float("nan")).to(tl.float32)
    tl.store(losses + row, tl.where(is_counted, tl.log(total) + (maximum - target_logit), 0.0))
    tl.debug_barrier()  # every thread has read the target's logit before one overwrites it
    for first in tl.range(0, VOCAB_SIZE, BLOCK):
        places = first + tl.arange(0, BLOCK)
        scores = tl.load(logits + places, mask=places < VOCAB_SIZE, other=float("-inf"))
        # The maximum is one of the scores, so the difference is exact where it matters; log(total)
        # + maximum would be rounded, and at logits of 100 that costs two digits.
        gradient = tl.exp(scores.to(tl.float32) - maximum) / total
        gradient -= tl.where(places == target, 1.0, 0.0)
        gradient = tl.where(is_counted, gradient, 0.0).to(logits.dtype.element_ty)
        tl.store(logits + places, gradient, mask=places < VOCAB_SIZE)


@torch.library.custom_op("course::linear_cross_entropy", mutates_args=())
def _lose(
    hidden: Tensor, weight: Tensor, targets: Tensor, ignored: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss, the gradients of the *sum* of the losses, and how many targets are counted.

    The gradients come with the loss: its own gradient is one number, a factor of both.
    """
    hidden, targets = hidden.contiguous(), targets.contiguous()
    num_tokens, vocab_size = len(hidden), len(weight)
    losses = torch.empty(num_tokens, dtype=torch.float32, device=hidden.device)
    grad_hidden = torch.empty_like(hidden)
    grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
    buffer_shape = (min(num_tokens, LOGITS_ROWS), vocab_size)
    buffer = torch.empty(buffer_shape, dtype=hidden.dtype, device=hidden.device)
    block = min(VOCAB_BLOCK, triton.next_power_of_2(vocab_size))
    for first in range(0, num_tokens, LOGITS_ROWS):
        rows = slice(first, first + LOGITS_ROWS)
        logits = torch.mm(hidden[rows], weight.T, out=buffer[: len(hidden[rows])])
        cross_entropy_kernel[(len(logits),)](
            logits,
            targets[rows],
            losses[rows],
            ignored,
            vocab_size,
            block,
            num_warps=row_warps(block, 16),
        )
        torch.mm(logits, weight, out=grad_hidden[rows])
        _add_product(grad_weight, logits.T, hidden[rows])
    num_counted = (targets != ignored).sum()
    return losses.sum() / num_counted, grad_hidden, grad_weight, num_counted


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right in fp32, without a rounded product on the way."""
    if total.is_cuda and left.dtype != torch.float32:
        torch.addmm(total, left, right, out_dtype=torch.float32, out=total)
    else:
        total.addmm_(left.float(), right.float())


@_lose.register_fake
def _loss_shapes(hidden, weight, targets, ignored):
    loss = torch.empty((), dtype=torch.float32, device=hidden.device)
    grad_hidden = torch.empty_like(hidden, memory_format=torch.contiguous_format)
    grad_weight = torch.empty(weight.shape, dtype=torch.float32, device=weight.device)
    return loss, grad_hidden, grad_weight, torch.empty((), dtype=torch.int64, device=hidden.device)


def _loss_remember(ctx, inputs, output) -> None:
    _, *gradients_and_count = output
    ctx.save_for_backward(*gradients_and_count)
    ctx.mark_non_differentiable(*gradients_and_count)
    ctx.dtype = inputs[1].dtype


def _loss_gradients(ctx, grad_loss, *_):
    grad_hidden, grad_weight, num_counted = ctx.saved_tensors
    factor = grad_loss / num_counted
    for_weight = torch.empty_like(grad_weight, dtype=ctx.dtype)  # rounded as it is written
    torch.mul(grad_weight, factor, out=for_weight)
    return (grad_hidden * factor).to(grad_hidden.dtype), for_weight, None, None


_lose.register_autograd(_loss_gradients, setup_context=_loss_remember)


def linear_cross_entropy(
    hidden: Tensor,  # (tokens, dim)
    weight: Tensor,  # (vocab_size, dim)
    targets: Tensor,  # (tokens,)
    *,
    ignore_index: int = -100,
) -> Tensor:
    """mean(-log softmax(hidden weight^T)[target]) without the (tokens, vocab_size) logits.

    They exist for 2,048 tokens at a time; the kernel turns them into their own gradient in place.
    Targets equal to `ignore_index` are not counted; all ignored gives nan, as in PyTorch, and so
    does a target that is no id below vocab_size.

    Hsu et al. 2024 (Liger kernels), https://arxiv.org/abs/2410.10989, section 3.2. Chapter 15.
    """
    _check(hidden=hidden, weight=weight)
    if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
        raise ValueError(
            "hidden and weight must be (tokens, dim) and (vocab_size, dim), got "
            f"{tuple(hidden.shape)} and {tuple(weight.shape)}"
        )
    if targets.shape != hidden.shape[:1] or targets.dtype is not torch.int64:
        raise ValueError(
            f"targets must be int64 of shape {tuple(hidden.shape[:1])}, got {targets.dtype} of "
            f"shape {tuple(targets.shape)}"
        )
    return _lose(hidden, weight, targets, ignore_index)[0]


def _check(**tensors: Tensor) -> None:
    """Whether the kernels can take these; ValueError names the one they cannot."""
    first = next(iter(tensors.values()))
    for name, each in tensors.items():
        if each.dtype not in DTYPES or each.dtype != first.dtype:
            raise ValueError(f"{name}.dtype={each.dtype} must be one of {DTYPES}, and the others'")
        if each.device != first.device or not (IS_INTERPRETED or each.is_cuda):
            raise ValueError(f"{name}.device={each.device} must be a GPU, and the others'")
