"""What the forward and the backward kernels share: loading a block, and who sees whom.

Triton in three sentences. A kernel is written for one *program*, which works on whole blocks of
numbers; the launch starts a grid of programs, and `tl.program_id` says which one this is. Sizes of
blocks are `tl.constexpr`, known when the kernel is compiled, and powers of two; what sticks out
over the edge of a matrix is masked. `if` on a constexpr or on `is None` is decided by the compiler:
the branch not taken costs nothing.
"""

import triton
import triton.language as tl


@triton.jit
def head_matrix(tensor, strides, batch, head, num_rows):
    """One head's (num_rows, head_dim) matrix in a (batch, heads, time, head_dim) tensor.

    64 bits, because a large batch holds more than 2^31 numbers.
    """
    start = tensor + batch.to(tl.int64) * strides[0] + head.to(tl.int64) * strides[1]
    return start, strides[2], strides[3], num_rows


@triton.jit
def block_addresses(matrix, first, ROWS: tl.constexpr, DIM: tl.constexpr):
    """Addresses of a block of ROWS rows and next_power_of_2(DIM) columns, and which are inside.

    Only the one number first * stride needs 64 bits: the offsets within a block are small.
    """
    COLUMNS: tl.constexpr = triton.next_power_of_2(DIM)
    start, row_stride, column_stride, num_rows = matrix
    rows = tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    start += first.to(tl.int64) * row_stride
    addresses = start + (rows * row_stride)[:, None] + (columns * column_stride)[None, :]
    is_inside = (first + rows < num_rows)[:, None]
    if DIM < COLUMNS:
        is_inside = is_inside & (columns < DIM)[None, :]
    return addresses, is_inside


@triton.jit
def load_block(
    matrix, first, ROWS: tl.constexpr, DIM: tl.constexpr, ALL_ROWS: tl.constexpr = False
):
    """Rows first ... of a matrix, zeros outside it. ALL_ROWS: every row is known to exist."""
    addresses, is_inside = block_addresses(matrix, first, ROWS, DIM)
    if ALL_ROWS and triton.next_power_of_2(DIM) == DIM:
        return tl.load(addresses)
    return tl.load(addresses, mask=is_inside, other=0.0)


@triton.jit
def store_block(matrix, first, block, ROWS: tl.constexpr, DIM: tl.constexpr):
    """Write a block, rounded to the matrix's type; what is outside the matrix is dropped."""
    addresses, is_inside = block_addresses(matrix, first, ROWS, DIM)
    tl.store(addresses, block.to(addresses.dtype.element_ty), mask=is_inside)


@triton.jit
def row_start(tensor, batch, head, num_heads, num_rows):
    """The address of one head's numbers in a contiguous (batch, heads, rows) tensor."""
    return tensor + (batch.to(tl.int64) * num_heads + head) * num_rows


@triton.jit
def existing_keys(batch, num_keys, lengths):
    """How many keys exist in this sequence: `lengths`, kept between 0 and num_keys."""
    length = num_keys
    if lengths is not None:
        length = tl.maximum(tl.minimum(tl.load(lengths + batch), num_keys), 0).to(tl.int32)
    return length


@triton.jit
def may_look(positions, keys, band, IS_CAUSAL: tl.constexpr):
    """True where the query at `positions` may look at `keys`; the two broadcast together.

    The query's position is that of a key, its row + num_keys - num_queries: the last query stands
    at the last key. A query before the first key has no document. `band` is all else that decides:
    (num_queries, num_keys, how many keys exist, window or None, its row of documents or None).
    """
    _, num_keys, length, window, documents = band
    visible = keys < length
    if IS_CAUSAL:
        visible = visible & (keys <= positions)
    if window is not None:
        visible = visible & (positions - keys < window)
        if not IS_CAUSAL:
            visible = visible & (keys - positions < window)
    if documents is not None:
        is_key = (positions >= 0) & (positions < num_keys)
        of_queries = tl.load(documents + positions, mask=is_key, other=0)
        of_keys = tl.load(documents + keys, mask=keys < num_keys, other=0)
        visible = visible & is_key & (of_queries == of_keys)
    return visible


@triton.jit
def key_ranges(
    first_query,
    band,
    IS_CAUSAL: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """Which keys a block of queries must visit, for `num_blocks` and `first_row`.

    Only keys in start ... end are seen by some query; outside nothing is computed, which halves
    the work of a causal kernel. Keys in full_start ... full_end are seen by every query: no mask is
    needed there, and only blocks on the edge of the band pay for one.
    """
    num_queries, num_keys, length, window, documents = band
    first = first_query + num_keys - num_queries  # position of the block's first query
    last = tl.minimum(first_query + BLOCK_QUERIES, num_queries) - 1 + num_keys - num_queries
    start = 0
    full_start = 0
    full_end = length
    end = length
    if IS_CAUSAL:
        full_end = tl.minimum(full_end, first + 1)
        end = tl.minimum(end, last + 1)
    if window is not None:
        start = first - window + 1
        full_start = last - window + 1
        if not IS_CAUSAL:
            full_end = tl.minimum(full_end, first + window)
            end = tl.minimum(end, last + window)
    if documents is not None:  # a document can end anywhere: every block needs its mask
        full_end = 0
    return whole_blocks(start, full_start, full_end, end, BLOCK_KEYS)


@triton.jit
def query_ranges(
    first_key,
    band,
    IS_CAUSAL: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """Which queries a block of keys must visit: `key_ranges` seen from the other side."""
    num_queries, num_keys, length, window, documents = band
    first = first_key - (num_keys - num_queries)  # the query that stands at the first key
    last = tl.minimum(first_key + BLOCK_KEYS, length) - 1 - (num_keys - num_queries)
    start = 0
    full_start = 0
    full_end = num_queries
    end = tl.where(first_key < length, num_queries, 0)
    if IS_CAUSAL:
        start = first
        full_start = last
    if window is not None:
        full_end = tl.minimum(full_end, first + window)
        end = tl.minimum(end, last + window)
        if not IS_CAUSAL:
            start = first - window + 1
            full_start = last - window + 1
    full_end = tl.where(first_key + BLOCK_KEYS <= length, full_end, 0)
    if documents is not None:
        full_end = 0
    return whole_blocks(start, full_start, full_end, end, BLOCK_QUERIES)


@triton.jit
def whole_blocks(start, full_start, full_end, end, BLOCK: tl.constexpr):
    """Round to whole blocks, outwards for what is visited and inwards for what needs no mask."""
    start = tl.maximum(start, 0) // BLOCK * BLOCK
    full_start = tl.cdiv(tl.maximum(full_start, 0), BLOCK) * BLOCK
    full_end = tl.maximum(tl.maximum(full_end, 0) // BLOCK * BLOCK, full_start)
    num_before = tl.cdiv(tl.maximum(tl.minimum(full_start, end) - start, 0), BLOCK)
    num_after = tl.cdiv(tl.maximum(end - full_end, 0), BLOCK)
    return start, num_before, full_start, full_end, num_after


@triton.jit
def num_blocks(ranges, IS_EDGE: tl.constexpr, BLOCK: tl.constexpr):
    """How many blocks need no mask or, with IS_EDGE, how many need one."""
    _, num_before, full_start, full_end, num_after = ranges
    if IS_EDGE:
        return num_before + num_after
    return (full_end - full_start) // BLOCK


@triton.jit
def first_row(ranges, step, IS_EDGE: tl.constexpr, BLOCK: tl.constexpr):
    """Where the block of this step starts; both edges are one loop, so they share its code."""
    start, num_before, full_start, full_end, _ = ranges
    if IS_EDGE:
        row = tl.where(
            step < num_before, start + step * BLOCK, full_end + (step - num_before) * BLOCK
        )
    else:
        row = full_start + step * BLOCK
    return tl.multiple_of(row, BLOCK)
