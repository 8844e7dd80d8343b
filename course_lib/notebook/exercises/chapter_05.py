"""The exercises of chapter 05, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "scaled_dot_product_attention",
        "course_lib.model.attention:scaled_dot_product_attention",
        minutes=20,
        difficulty=2,
        hints=(
            "Four lines: scores (queries, keys), hide, softmax over the keys, times `value`. "
            "`key.transpose(-2, -1)` swaps the last two dimensions, whatever stands before.",
            "The divisor is the square root of the query's own length, `query.shape[-1]`: with "
            "several heads that is head_dim.",
            "Hide before the softmax: `scores.masked_fill(~mask, ...)`. In a row where "
            "everything is -inf the softmax is nan: set the hidden weights to 0 after it.",
        ),
    ),
    Exercise(
        "causal_mask",
        "course_lib.model.attention:causal_mask",
        minutes=10,
        difficulty=2,
        hints=(
            "Number the keys 0, 1, ... At which of these numbers does query 0 stand, if the "
            "queries are the last tokens?",
            "A column of the queries' positions compared with a row of the keys' gives the "
            "whole table at once: `positions[:, None]` broadcasts.",
        ),
    ),
    Exercise(
        "split_heads",
        "course_lib.model.multi_head:split_heads",
        minutes=10,
        difficulty=2,
        hints=(
            "First cut the last dimension in two, (..., time, heads, head_dim): "
            "`x.unflatten(-1, (a, b))` does that.",
            "A token's heads now stand behind its place in time. Which two dimensions have to "
            "change places? A second `view` would not move any number.",
        ),
    ),
    Exercise(
        "rms_norm",
        "course_lib.model.norms:rms_norm",
        minutes=10,
        difficulty=1,
        hints=(
            "The mean of the squares along the last dimension; `keepdim=True` keeps it ready "
            "for broadcasting.",
            "Add epsilon to the mean square, then take the root of the sum; multiply by "
            "`weight` last.",
        ),
    ),
    Exercise(
        "swiglu",
        "course_lib.model.feedforward:swiglu",
        minutes=10,
        difficulty=2,
        hints=(
            "The weights are (outputs, inputs), so a vector times a weight is `x @ weight.T`.",
            "SiLU(z) is z times its own sigmoid. Only the gate's branch goes through it; the "
            "two branches are multiplied entry by entry and then projected down.",
        ),
    ),
    Exercise(
        "decoder_block",
        "course_lib.model.blocks:decoder_block",
        minutes=15,
        difficulty=3,
        hints=(
            "Loop over pairs of a part and its norm, and let x be what the part before left: "
            "`zip(..., strict=True)` refuses lists of different length.",
            "Pre-norm: the norm is on the way *into* the part, and the sum takes x as it was. "
            "Post-norm: the norm is taken of the sum.",
        ),
    ),
)
