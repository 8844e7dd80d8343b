"""The exercises of chapter 15, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "merge_softmax",
        "course_lib.model.blockwise:merge_softmax",
        minutes=10,
        difficulty=2,
        hints=(
            "The larger of the two maxima is the new one, query by query: `torch.maximum`.",
            "l1 is a sum of e^(score - m1). Which factor makes each term e^(score - m)? The "
            "same one serves o1; `[..., None]` makes it a column.",
            "Where nothing was seen, -inf - (-inf) is nan. Which number could be subtracted "
            "there instead of m, so that the factor becomes 0?",
        ),
    ),
    Exercise(
        "blockwise_attention",
        "course_lib.model.blockwise:blockwise_attention",
        minutes=20,
        difficulty=3,
        hints=(
            "Two loops over `blocks_of(...)`: outside the rows of queries, inside the columns "
            "of keys. Before the inner loop the running (m, l, o) is empty: -inf, 0 and 0.",
            "Inside: load the block of keys and of values, scores = q k^T / sqrt(dim), "
            "`partial_softmax(scores, v)`, merge. After it: `finish_softmax`, and two stores.",
            "Causal: the row at place i of the matrix stands at i + num_keys - num_queries. "
            "A block whose first key is later than the last row's position is skipped before "
            "anything is loaded (equal is not later); in the others later keys get -inf.",
        ),
        replay="checks",
    ),
    Exercise(
        "blockwise_backward",
        "course_lib.model.blockwise:blockwise_backward",
        minutes=20,
        difficulty=4,
        hints=(
            "First a loop over rows that stores delta = rowsum(dO * O), one number a query, "
            "to a slow tensor. Then keys outside, queries inside.",
            "In the inner loop: weights = e^(scores - log_sum_exp), dV += weights^T dO, "
            "dS = weights * (dO V^T - delta), dK += dS^T Q * scale.",
            "A block of dQ is finished only after the last block of keys: load what is there, "
            "add dS K * scale, store it back. It must begin as `memory.zeros`.",
        ),
        replay="checks",
    ),
    Exercise(
        "fused_softmax",
        "kernels.lesson:fused_softmax",
        minutes=15,
        difficulty=3,
        hints=(
            "`row = tl.program_id(0)` is this program's row and `tl.arange(0, COLUMNS)` its "
            "places; `x + row * x_stride + columns` are their addresses.",
            "What is beyond the row's end must not win the maximum, nor add to the sum: which "
            "score x has e^x = 0? `other=` of a masked load puts it there.",
            "It is `float('-inf')`, with `mask=columns < num_columns`. Then `tl.max`, "
            "`tl.exp`, `tl.sum`, and `tl.store` with the same mask; the output's rows are "
            "num_columns apart.",
        ),
        replay="checks",
    ),
    Exercise(
        "flash_kernel",
        "kernels.lesson:flash_kernel",
        minutes=20,
        difficulty=4,
        hints=(
            "The rows of this program are program_id * BLOCK_QUERIES + arange; the addresses "
            "of a (rows, DIM) block are `query + rows[:, None] * DIM + dims[None, :]`.",
            "`tl.dot(queries, tl.trans(keys), input_precision='ieee') * scale` are the scores. "
            "`tl.where(columns[None, :] < num_keys, scores, float('-inf'))` hides what is no "
            "key; the causal condition is one more `&`.",
            "Per block of keys: the new m of each row, weights = e^(scores - new m), then l "
            "and o times e^(old m - new m), plus the block's own sums. At the end o / l, "
            "stored with a mask of rows < num_queries.",
        ),
        replay="checks",
    ),
    Exercise(
        "ring_attention",
        "course_lib.parallel.sequence:ring_attention",
        minutes=20,
        difficulty=4,
        hints=(
            "A loop over hops 0 ... world_size - 1; in every turn but the first, key and "
            "value are replaced by what comes from the previous rank: "
            "`ring_shift(key, group=group)`, and value alike.",
            "After `hop` hops the keys here are those of rank (rank - hop) % world_size. Its "
            "positions, and this rank's, come from zigzag_ or contiguous_positions.",
            "Hide keys whose position is later than the query's with -inf, then "
            "`merge_softmax(*running, *partial_softmax(scores, value))`; `finish_softmax` "
            "after the last hop.",
        ),
        replay="checks",
        limit_seconds=30.0,
    ),
)
