"""Flash attention, forward: softmax(scale * Q K^T) V without ever storing a matrix of scores.

One program owns BLOCK_QUERIES queries of one head. It walks over the keys in blocks and keeps, for
every query, three running values that are enough to undo a softmax begun too early:

    maximum   the largest score so far
    total     the sum of exp(score - maximum) so far
    output    the sum of exp(score - maximum) * value so far

When a block brings a larger maximum, total and output are multiplied by
exp(old maximum - new maximum); this is the online softmax. At the end output / total is the
attention. The scores live in registers, block by block, so the memory read and written is that of
Q, K, V and the output, not queries * keys.

Two habits of GPU code. exp(x) = exp2(x * log2 e), and the hardware computes exp2: log2 e is folded
into the scale once, and all logarithms here have base 2. Products run on the tensor cores in the
inputs' precision and are summed in fp32.

Dao et al. 2022, https://arxiv.org/abs/2205.14135, algorithm 1; the loop order is that of
FlashAttention-2, Dao 2023, https://arxiv.org/abs/2307.08691, algorithm 1. Chapter 15.
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
    row_start,
    store_block,
)


@triton.jit
def update(maximum, total, output, scores, value, scale_log2, IS_MASKED: tl.constexpr):
    """One step of the online softmax: take in a block of scores (hidden ones are -inf) and values.

    `scores` are unscaled. The scale is positive, so the largest score stays the largest, and one
    fused multiply-add scales and subtracts.
    """
    new_maximum = tl.maximum(maximum, tl.max(scores, axis=1) * scale_log2)
    reference = new_maximum
    if IS_MASKED:  # a query that has seen nothing yet: -inf - (-inf) would be nan
        reference = tl.where(new_maximum == float("-inf"), 0.0, new_maximum)
    weights = tl.exp2(scores * scale_log2 - reference[:, None])
    correction = tl.exp2(maximum - reference)
    total = total * correction + tl.sum(weights, axis=1)
    output = output * correction[:, None]
    output = tl.dot(weights.to(value.dtype), value, output, input_precision="ieee")
    return new_maximum, total, output


@triton.jit
def forward_kernel(
    query,
    key,
    value,
    output,
    log_sum_exp,  # (batch, heads, queries): all that the backward pass needs of the softmax
    query_strides,
    key_strides,
    value_strides,
    output_strides,
    lengths,
    documents,
    num_queries,
    num_keys,
    group_size,  # how many query heads share a key head
    window,
    scale_log2,
    IS_CAUSAL: tl.constexpr,
    DIM: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """The attention of BLOCK_QUERIES queries of one head; grid (query blocks, heads, batch)."""
    block = tl.program_id(0)
    if IS_CAUSAL:  # the last queries see most keys: they start first, so that none is left alone
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
    key_matrix = head_matrix(key, key_strides, batch, head // group_size, num_keys)
    value_matrix = head_matrix(value, value_strides, batch, head // group_size, num_keys)
    queries = load_block(query_matrix, first_query, BLOCK_QUERIES, DIM)
    maximum = tl.full([BLOCK_QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_QUERIES], tl.float32)
    mixture = tl.zeros([BLOCK_QUERIES, triton.next_power_of_2(DIM)], tl.float32)
    for IS_EDGE in tl.static_range(2):  # blocks that need no mask, then the others
        for step in tl.range(0, num_blocks(ranges, IS_EDGE, BLOCK_KEYS)):
            first_key = first_row(ranges, step, IS_EDGE, BLOCK_KEYS)
            keys = load_block(key_matrix, first_key, BLOCK_KEYS, DIM, not IS_EDGE)
            scores = tl.dot(queries, tl.trans(keys), input_precision="ieee")
            if IS_EDGE:
                key_indices = (first_key + tl.arange(0, BLOCK_KEYS))[None, :]
                visible = may_look(positions, key_indices, band, IS_CAUSAL)
                scores = tl.where(visible, scores, float("-inf"))
            values = load_block(value_matrix, first_key, BLOCK_KEYS, DIM, not IS_EDGE)
            maximum, total, mixture = update(
                maximum, total, mixture, scores, values, scale_log2, IS_EDGE
            )

    # A query that saw nothing: total = 0, and its output is the mixture's zeros. Its log-sum-exp is
    # +inf, so that the backward pass finds exp2(score - inf) = 0 everywhere.
    is_blind = total == 0.0
    total_or_1 = tl.where(is_blind, 1.0, total)
    mixture = mixture / total_or_1[:, None]
    output_matrix = head_matrix(output, output_strides, batch, head, num_queries)
    store_block(output_matrix, first_query, mixture, BLOCK_QUERIES, DIM)
    log_sums = tl.where(is_blind, float("inf"), maximum + tl.log2(total_or_1))
    log_sum_exp = row_start(log_sum_exp, batch, head, tl.num_programs(1), num_queries)
    tl.store(log_sum_exp + rows, log_sums, mask=rows < num_queries)
