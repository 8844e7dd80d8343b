"""Two kernels to learn Triton by, step by step: a fused softmax, and flash attention forward.

They do one thing each and nothing else: contiguous fp32 or fp16 input, one head. The kernels that
ship (flash_forward, flash_backward, fused) add what real models ask for. In reading order:
`fused_softmax` and its launch, `launch_softmax`; `flash_kernel` and its launch, `launch_flash`.

A kernel is written for one *program*, which works on whole blocks of numbers; the launch starts a
grid of programs, and `tl.program_id(0)` says which one this is. A tensor arrives as a pointer, the
address of its first number: pointer + offsets is a block of addresses. Block sizes are
`tl.constexpr`, known when the kernel is compiled, and powers of two: a mask leaves out what sticks
out over the edge.
"""

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def fused_softmax(x, output, x_stride, num_columns, COLUMNS: tl.constexpr):
    """softmax of one row of x, read once and written once; grid (rows,).

    Numbers beyond the row's end are taken as -inf: e^-inf = 0 adds nothing to the sum.

    Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867, algorithm 2. Chapter 15.
    """
    row = tl.program_id(0)
    columns = tl.arange(0, COLUMNS)
    is_inside = columns < num_columns
    scores = tl.load(x + row * x_stride + columns, mask=is_inside, other=float("-inf"))
    scores = scores.to(tl.float32)
    weights = tl.exp(scores - tl.max(scores, axis=0))
    weights = weights / tl.sum(weights, axis=0)
    tl.store(output + row * num_columns + columns, weights, mask=is_inside)


def launch_softmax(kernel: object, x: Tensor) -> Tensor:  # (rows, columns), rows may be strided
    """Start one program a row, each with a block that holds the whole row."""
    rows, columns = x.shape
    output = x.new_empty(rows, columns)
    kernel[(rows,)](x, output, x.stride(0), columns, COLUMNS=triton.next_power_of_2(columns))
    return output


@triton.jit
def flash_kernel(
    query,
    key,
    value,
    output,
    num_queries,
    num_keys,
    scale,
    IS_CAUSAL: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """softmax(scale * Q K^T) V of BLOCK_QUERIES queries; grid (blocks of queries,).

    Query i stands at i + num_keys - num_queries, and every query sees a key. Rows beyond the end
    are read as zeros, keys beyond it get the score -inf, and no row beyond it is written.

    Dao 2023, https://arxiv.org/abs/2307.08691, algorithm 1. Chapter 15.
    """
    rows = tl.program_id(0) * BLOCK_QUERIES + tl.arange(0, BLOCK_QUERIES)
    dims = tl.arange(0, DIM)
    query_places = rows[:, None] * DIM + dims[None, :]
    queries = tl.load(query + query_places, mask=rows[:, None] < num_queries, other=0.0)
    maximum = tl.full([BLOCK_QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_QUERIES], tl.float32)
    mixture = tl.zeros([BLOCK_QUERIES, DIM], tl.float32)
    for first_key in range(0, num_keys, BLOCK_KEYS):
        columns = first_key + tl.arange(0, BLOCK_KEYS)
        key_places = columns[:, None] * DIM + dims[None, :]
        keys = tl.load(key + key_places, mask=columns[:, None] < num_keys, other=0.0)
        values = tl.load(value + key_places, mask=columns[:, None] < num_keys, other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
        visible = columns[None, :] < num_keys
        if IS_CAUSAL:
            visible = visible & (columns[None, :] <= rows[:, None] + num_keys - num_queries)
        scores = tl.where(visible, scores, float("-inf"))
        new_maximum = tl.maximum(maximum, tl.max(scores, axis=1))
        weights = tl.exp(scores - new_maximum[:, None])
        correction = tl.exp(maximum - new_maximum)
        total = total * correction + tl.sum(weights, axis=1)
        mixture = mixture * correction[:, None]
        mixture = tl.dot(weights.to(values.dtype), values, mixture, input_precision="ieee")
        maximum = new_maximum
    mixture = (mixture / total[:, None]).to(output.dtype.element_ty)
    tl.store(output + query_places, mixture, mask=rows[:, None] < num_queries)


def launch_flash(
    kernel: object,
    query: Tensor,  # (queries, dim), contiguous; dim is a power of two, 16 or more
    key: Tensor,  # (keys, dim), keys >= queries if causal
    value: Tensor,  # (keys, dim)
    *,
    is_causal: bool = False,
    block_queries: int = 32,
    block_keys: int = 32,
) -> Tensor:
    """Start one program a block of queries."""
    (num_queries, dim), num_keys = query.shape, len(key)
    output = query.new_empty(num_queries, dim)
    kernel[(triton.cdiv(num_queries, block_queries),)](
        query,
        key,
        value,
        output,
        num_queries,
        num_keys,
        dim**-0.5,
        IS_CAUSAL=is_causal,
        DIM=dim,
        BLOCK_QUERIES=block_queries,
        BLOCK_KEYS=block_keys,
    )
    return output
