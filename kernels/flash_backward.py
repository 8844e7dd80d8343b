"""Flash attention, backward: gradients of Q, K and V, recomputing the scores block by block.

With P = softmax(S), S = scale * Q K^T, O = P V and the incoming gradient dO:

    dV = P^T dO          dP = dO V^T          dS = P * (dP - delta)
    dQ = scale * dS K    dK = scale * dS^T Q

delta = rowsum(dO * O) is one number per query: the derivative of the softmax's denominator. P is
not stored but recomputed as exp2(S - log_sum_exp), already normalised, so no online softmax here.

Two kernels, so that each sum is owned by one program: keys own dK and dV and walk over the queries;
queries own dQ and walk over the keys. Sharing one walk would save two of the seven products, but
then many programs would add to the same dQ, in an order that changes from run to run: atomic
additions, and gradients that are never twice the same bits.

Dao et al. 2022, https://arxiv.org/abs/2205.14135, algorithm 4; Dao 2023,
https://arxiv.org/abs/2307.08691, algorithm 2. Chapter 15.
"""

import triton
import triton.language as tl

from kernels.blocks import (
    existing_keys,
    first_row,
    head_matrix,
    key_ranges,
    load_block,
    may_look,
    num_blocks,
    query_ranges,
    row_start,
    store_block,
)


@triton.jit
def dot_rounded(left, right, total):
    """total + left @ right, with `left` rounded to the type that the tensor cores take."""
    return tl.dot(left.to(right.dtype), right, total, input_precision="ieee")


@triton.jit
def delta_kernel(
    output,
    grad_output,
    delta,
    output_strides,
    grad_output_strides,
    num_queries,
    DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
):
    """delta = rowsum(dO * O), in fp32; grid (query blocks, heads, batch)."""
    first_query = tl.program_id(0) * BLOCK_QUERIES
    head = tl.program_id(1)
    batch = tl.program_id(2)
    output_matrix = head_matrix(output, output_strides, batch, head, num_queries)
    grad_matrix = head_matrix(grad_output, grad_output_strides, batch, head, num_queries)
    outputs = load_block(output_matrix, first_query, BLOCK_QUERIES, DIM)
    grads = load_block(grad_matrix, first_query, BLOCK_QUERIES, DIM)
    sums = tl.sum(outputs.to(tl.float32) * grads.to(tl.float32), axis=1)
    rows = first_query + tl.arange(0, BLOCK_QUERIES)
    delta = row_start(delta, batch, head, tl.num_programs(1), num_queries)
    tl.store(delta + rows, sums, mask=rows < num_queries)


@triton.jit
def key_gradients_kernel(
    query,
    key,
    value,
    grad_output,
    log_sum_exp,
    delta,
    grad_key,
    grad_value,
    query_strides,
    key_strides,
    value_strides,
    grad_output_strides,
    grad_key_strides,
    grad_value_strides,
    lengths,
    documents,
    num_heads,
    num_queries,
    num_keys,
    group_size,
    window,
    scale,
    scale_log2,
    IS_CAUSAL: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """dK and dV of BLOCK_KEYS keys of one key head; grid (key blocks, key heads, batch).

    All matrices are transposed here, (keys, queries): then weights and their gradients enter the
    products from the left as they are. A query outside the matrix has log_sum_exp = inf and so
    weight 0.
    """
    first_key = tl.program_id(0) * BLOCK_KEYS
    key_head = tl.program_id(1)
    batch = tl.program_id(2)
    key_indices = (first_key + tl.arange(0, BLOCK_KEYS))[:, None]
    length = existing_keys(batch, num_keys, lengths)
    if documents is not None:
        documents += batch.to(tl.int64) * num_keys
    band = (num_queries, num_keys, length, window, documents)
    ranges = query_ranges(first_key, band, IS_CAUSAL, BLOCK_QUERIES, BLOCK_KEYS)

    key_matrix = head_matrix(key, key_strides, batch, key_head, num_keys)
    value_matrix = head_matrix(value, value_strides, batch, key_head, num_keys)
    keys = load_block(key_matrix, first_key, BLOCK_KEYS, DIM)
    values = load_block(value_matrix, first_key, BLOCK_KEYS, DIM)
    key_sum = tl.zeros([BLOCK_KEYS, triton.next_power_of_2(DIM)], tl.float32)
    value_sum = tl.zeros([BLOCK_KEYS, triton.next_power_of_2(DIM)], tl.float32)
    for member in tl.range(0, group_size):
        head = key_head * group_size + member
        query_matrix = head_matrix(query, query_strides, batch, head, num_queries)
        grad_matrix = head_matrix(grad_output, grad_output_strides, batch, head, num_queries)
        log_sums_row = row_start(log_sum_exp, batch, head, num_heads, num_queries)
        delta_row = row_start(delta, batch, head, num_heads, num_queries)
        for IS_EDGE in tl.static_range(2):  # blocks that need no mask, then the others
            for step in tl.range(0, num_blocks(ranges, IS_EDGE, BLOCK_QUERIES)):
                first_query = first_row(ranges, step, IS_EDGE, BLOCK_QUERIES)
                rows = first_query + tl.arange(0, BLOCK_QUERIES)
                queries = load_block(query_matrix, first_query, BLOCK_QUERIES, DIM, not IS_EDGE)
                grads = load_block(grad_matrix, first_query, BLOCK_QUERIES, DIM, not IS_EDGE)
                is_query = (rows < num_queries) | (not IS_EDGE)
                log_sums = tl.load(log_sums_row + rows, mask=is_query, other=float("inf"))
                scores = tl.dot(keys, tl.trans(queries), input_precision="ieee")
                if IS_EDGE:
                    positions = (rows + num_keys - num_queries)[None, :]
                    visible = may_look(positions, key_indices, band, IS_CAUSAL)
                    scores = tl.where(visible, scores, float("-inf"))
                weights = tl.exp2(scores * scale_log2 - log_sums[None, :])
                value_sum = dot_rounded(weights, grads, value_sum)
                grad_weights = tl.dot(values, tl.trans(grads), input_precision="ieee")
                deltas = tl.load(delta_row + rows, mask=is_query, other=0.0)
                grad_scores = weights * (grad_weights - deltas[None, :])
                key_sum = dot_rounded(grad_scores, queries, key_sum)
    grad_key_matrix = head_matrix(grad_key, grad_key_strides, batch, key_head, num_keys)
    store_block(grad_key_matrix, first_key, key_sum * scale, BLOCK_KEYS, DIM)
    grad_value_matrix = head_matrix(grad_value, grad_value_strides, batch, key_head, num_keys)
    store_block(grad_value_matrix, first_key, value_sum, BLOCK_KEYS, DIM)


@triton.jit
def query_gradients_kernel(
    query,
    key,
    value,
    grad_output,
    log_sum_exp,
    delta,
    grad_query,
    query_strides,
    key_strides,
    value_strides,
    grad_output_strides,
    grad_query_strides,
    lengths,
    documents,
    num_queries,
    num_keys,
    group_size,
    window,
    scale,
    scale_log2,
    IS_CAUSAL: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """dQ of BLOCK_QUERIES queries of one head; grid (query blocks, heads, batch).

    The forward kernel's walk once more.
    """
    block = tl.program_id(0)
    if IS_CAUSAL:
        block = tl.num_programs(0) - 1 - block
    head = tl.program_id(1)
    batch = tl.program_id(2)
    first_query = block * BLOCK_QUERIES
    rows = first_query + tl.arange(0, BLOCK_QUERIES)
    positions = (rows + num_keys - num_queries)[:, None]
    length = existing_keys(batch, num_keys, lengths)
    if documents is not None:
        documents += batch.to(tl.int64) * num_keys
    band = (num_queries, num_keys, length, window, documents)
    ranges = key_ranges(first_query, band, IS_CAUSAL, BLOCK_QUERIES, BLOCK_KEYS)

    query_matrix = head_matrix(query, query_strides, batch, head, num_queries)
    grad_matrix = head_matrix(grad_output, grad_output_strides, batch, head, num_queries)
    key_matrix = head_matrix(key, key_strides, batch, head // group_size, num_keys)
    value_matrix = head_matrix(value, value_strides, batch, head // group_size, num_keys)
    queries = load_block(query_matrix, first_query, BLOCK_QUERIES, DIM)
    grads = load_block(grad_matrix, first_query, BLOCK_QUERIES, DIM)
    log_sums_row = row_start(log_sum_exp, batch, head, tl.num_programs(1), num_queries)
    delta_row = row_start(delta, batch, head, tl.num_programs(1), num_queries)
    log_sums = tl.load(log_sums_row + rows, mask=rows < num_queries, other=float("inf"))
    deltas = tl.load(delta_row + rows, mask=rows < num_queries, other=0.0)
    query_sum = tl.zeros([BLOCK_QUERIES, triton.next_power_of_2(DIM)], tl.float32)
    for IS_EDGE in tl.static_range(2):  # blocks that need no mask, then the others
        for step in tl.range(0, num_blocks(ranges, IS_EDGE, BLOCK_KEYS)):
            first_key = first_row(ranges, step, IS_EDGE, BLOCK_KEYS)
            keys = load_block(key_matrix, first_key, BLOCK_KEYS, DIM, not IS_EDGE)
            values = load_block(value_matrix, first_key, BLOCK_KEYS, DIM, not IS_EDGE)
            scores = tl.dot(queries, tl.trans(keys), input_precision="ieee")
            if IS_EDGE:
                key_indices = (first_key + tl.arange(0, BLOCK_KEYS))[None, :]
                visible = may_look(positions, key_indices, band, IS_CAUSAL)
                scores = tl.where(visible, scores, float("-inf"))
            weights = tl.exp2(scores * scale_log2 - log_sums[:, None])
            grad_weights = tl.dot(grads, tl.trans(values), input_precision="ieee")
            grad_scores = weights * (grad_weights - deltas[:, None])
            query_sum = dot_rounded(grad_scores, keys, query_sum)
    grad_query_matrix = head_matrix(grad_query, grad_query_strides, batch, head, num_queries)
    store_block(grad_query_matrix, first_query, query_sum * scale, BLOCK_QUERIES, DIM)
