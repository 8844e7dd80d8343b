"""Flash attention: exact attention in memory linear in the length, forward and backward.

`flash_attention` has the signature of every attention in the course. It checks its input and calls
an operator that PyTorch knows (so that autograd and torch.compile take it); the operator launches
the kernels of `flash_forward` and `flash_backward`, which share `blocks`. Read them in this order:
blocks, flash_forward, flash_backward, and this module last.
"""

import math

import torch
import triton
from torch import Tensor

from kernels import IS_INTERPRETED
from kernels.flash_backward import delta_kernel, key_gradients_kernel, query_gradients_kernel
from kernels.flash_forward import forward_kernel
from kernels.tiles import choose_tile

DTYPES = (
    (torch.float32, torch.float16)
    if IS_INTERPRETED
    else (torch.float32, torch.float16, torch.bfloat16)
)
DELTA_ROWS = 64


def flash_attention(
    query: Tensor,  # (batch, heads, queries, head_dim)
    key: Tensor,  # (batch, kv_heads, keys, head_dim)
    value: Tensor,  # (batch, kv_heads, keys, head_dim)
    *,
    mask: None = None,
    bias: None = None,
    is_causal: bool = False,
    window: int | None = None,
    lengths: Tensor | None = None,  # (batch,)
    documents: Tensor | None = None,  # (batch, keys)
    scale: float | None = None,
) -> Tensor:  # (batch, heads, queries, head_dim)
    """softmax(scale * Q K^T) V, exactly, without a matrix of queries * keys.

    Meanings are those of course_lib.model.attention.attention; rows that see nothing give zeros.
    Extra memory is one fp32 number a query forward, two backward. The same input gives the same
    bits. ValueError for what it cannot do: mask, bias, head_dim outside 16 ... 256, scale <= 0.

    Dao et al. 2022, https://arxiv.org/abs/2205.14135. Chapter 15.
    """
    for name, refused in (("mask", mask), ("bias", bias)):
        if refused is not None:
            raise ValueError(
                f"{name} is not supported by flash_attention: it would have queries * keys numbers;"
                " use is_causal, window, lengths or documents, or course_lib.model.attention"
            )
    _check_tensors(query, key, value)
    _check_restrictions(key, window, lengths, documents)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if not 0 < scale < math.inf:
        raise ValueError(f"scale={scale} must be positive: flash_attention keeps a running maximum")
    return _attend(query, key, value, lengths, documents, is_causal, window, scale)[0]


def _check_tensors(query: Tensor, key: Tensor, value: Tensor) -> None:
    """Whether the kernels can take these; ValueError names what they cannot."""
    for name, each in (("query", query), ("key", key), ("value", value)):
        if each.ndim != 4:
            raise ValueError(
                f"{name} must be (batch, heads, time, head_dim), got {tuple(each.shape)}"
            )
        if each.dtype not in DTYPES or each.dtype != query.dtype:
            reason = "; bf16 needs a GPU" if IS_INTERPRETED else ""
            raise ValueError(
                f"{name}.dtype={each.dtype} must be the query's and one of {DTYPES}{reason}"
            )
        if each.device != query.device or not (IS_INTERPRETED or each.is_cuda):
            raise ValueError(f"{name}.device={each.device} must be the query's and a GPU")
    if key.shape != value.shape:
        raise ValueError(
            f"key and value must have one shape, got {tuple(key.shape)} and {tuple(value.shape)}"
        )
    if query.shape[0] != key.shape[0] or query.shape[3] != key.shape[3]:
        raise ValueError(
            "batch and head_dim of query and key must agree, got "
            f"{tuple(query.shape)} and {tuple(key.shape)}"
        )
    if key.shape[1] == 0 or query.shape[1] % key.shape[1]:
        raise ValueError(
            f"num_heads={query.shape[1]} of the query must be a multiple of the key's "
            f"{key.shape[1]}"
        )
    if not 16 <= query.shape[3] <= 256:
        raise ValueError(f"head_dim={query.shape[3]} must be between 16 and 256")


def _check_restrictions(
    key: Tensor, window: int | None, lengths: Tensor | None, documents: Tensor | None
) -> None:
    """Whether window, lengths and documents fit the keys."""
    if window is not None and window < 1:
        raise ValueError(f"window={window} must be at least 1, which shows a query its own key")
    expected = (("lengths", lengths, key.shape[:1]), ("documents", documents, key.shape[::2][:2]))
    for name, each, shape in expected:
        if each is None:
            continue
        if each.shape != shape:
            raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(each.shape)}")
        if each.is_floating_point() or each.is_complex() or each.dtype is torch.bool:
            raise ValueError(f"{name}.dtype={each.dtype} must be an integer type")
        if each.device != key.device:
            raise ValueError(f"{name}.device={each.device} must be the key's, {key.device}")


@torch.library.custom_op("course::flash_attention", mutates_args=())
def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Tensor | None,
    documents: Tensor | None,
    is_causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """The output, and the base-2 log-sum-exp of every query's scores, (batch, heads, queries)."""
    batch, num_heads, num_queries, head_dim = query.shape
    output = torch.empty_like(query)
    log_sum_exp = torch.empty(query.shape[:3], dtype=torch.float32, device=query.device)
    tile = choose_tile("forward", head_dim, query.dtype)
    forward_kernel[(triton.cdiv(num_queries, tile.queries), num_heads, batch)](
        query,
        key,
        value,
        output,
        log_sum_exp,
        query.stride(),
        key.stride(),
        value.stride(),
        output.stride(),
        **_shared_arguments(query, key, lengths, documents, is_causal, window),
        scale_log2=scale * math.log2(math.e),
        BLOCK_QUERIES=tile.queries,
        BLOCK_KEYS=tile.keys,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return output, log_sum_exp


@_attend.register_fake
def _attend_shapes(query, key, value, lengths, documents, is_causal, window, scale):
    return torch.empty_like(query), torch.empty(
        query.shape[:3], dtype=torch.float32, device=query.device
    )


@torch.library.custom_op("course::flash_attention_backward", mutates_args=())
def _attend_backward(
    grad_output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    log_sum_exp: Tensor,
    lengths: Tensor | None,
    documents: Tensor | None,
    is_causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of query, key and value."""
    batch, num_heads, num_queries, head_dim = query.shape
    delta = torch.empty_like(log_sum_exp)
    delta_kernel[(triton.cdiv(num_queries, DELTA_ROWS), num_heads, batch)](
        output,
        grad_output,
        delta,
        output.stride(),
        grad_output.stride(),
        num_queries,
        DIM=head_dim,
        BLOCK_QUERIES=DELTA_ROWS,
    )
    inputs = (query, key, value, grad_output, log_sum_exp, delta)
    strides = tuple(each.stride() for each in inputs[:4])
    shared = _shared_arguments(query, key, lengths, documents, is_causal, window) | {
        "scale": scale,
        "scale_log2": scale * math.log2(math.e),
    }
    grad_key, grad_value = torch.empty_like(key), torch.empty_like(value)
    tile = choose_tile("key_gradients", head_dim, query.dtype)
    key_gradients_kernel[(triton.cdiv(key.shape[2], tile.keys), key.shape[1], batch)](
        *inputs,
        grad_key,
        grad_value,
        *strides,
        grad_key.stride(),
        grad_value.stride(),
        **shared,
        num_heads=num_heads,
        BLOCK_QUERIES=tile.queries,
        BLOCK_KEYS=tile.keys,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    grad_query = torch.empty_like(query)
    tile = choose_tile("query_gradients", head_dim, query.dtype)
    query_gradients_kernel[(triton.cdiv(num_queries, tile.queries), num_heads, batch)](
        *inputs,
        grad_query,
        *strides,
        grad_query.stride(),
        **shared,
        BLOCK_QUERIES=tile.queries,
        BLOCK_KEYS=tile.keys,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return grad_query, grad_key, grad_value


@_attend_backward.register_fake
def _attend_backward_shapes(grad_output, query, key, value, *rest):
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _shared_arguments(
    query: Tensor,
    key: Tensor,
    lengths: Tensor | None,
    documents: Tensor | None,
    is_causal: bool,
    window: int | None,
) -> dict[str, object]:
    """What every kernel is told about sizes and about who sees whom."""
    return {
        "lengths": None if lengths is None else lengths.contiguous(),
        "documents": None if documents is None else documents.contiguous(),
        "num_queries": query.shape[2],
        "num_keys": key.shape[2],
        "group_size": query.shape[1] // key.shape[1],
        "window": window,
        "IS_CAUSAL": is_causal,
        "DIM": query.shape[3],
    }


def _remember(ctx, inputs, output) -> None:
    """Keep what the backward pass needs: the inputs and two results, all linear in the length."""
    query, key, value, lengths, documents, ctx.is_causal, ctx.window, ctx.scale = inputs
    ctx.save_for_backward(query, key, value, *output, lengths, documents)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx, grad_output, _):
    gradients = _attend_backward(
        grad_output, *ctx.saved_tensors, ctx.is_causal, ctx.window, ctx.scale
    )
    return *gradients, None, None, None, None, None


_attend.register_autograd(_backward, setup_context=_remember)
