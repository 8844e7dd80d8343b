"""A linear layer and its cross-entropy in one, without the logits of all tokens.

The logits of a batch, tokens times vocabulary, are a language model's largest matrix. Here those of
a few rows exist at a time, and are at once turned into their gradient. In reading order: the
kernel, the operator around it, `linear_cross_entropy`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.fused import check_inputs, row_warps

VOCAB_BLOCK = 4096
LOGITS_ROWS = 2048  # at once: products that fill a GPU, and few walks over the weight's gradient


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
    check_inputs(hidden=hidden, weight=weight)
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
