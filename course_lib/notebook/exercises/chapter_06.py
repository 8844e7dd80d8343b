"""The exercises of chapter 06, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "sinusoidal",
        "course_lib.model.positions.absolute:sinusoidal",
        minutes=10,
        difficulty=2,
        hints=(
            "There is one angle for each position and hand. Give the positions a new last "
            "dimension of size 1, and broadcasting multiplies it by the dim / 2 frequencies.",
            "`torch.stack((sines, cosines), dim=-1)` puts the two of a pair side by side; "
            "`.flatten(-2)` makes one row of them.",
        ),
    ),
    Exercise(
        "relative_shift",
        "course_lib.model.positions.relative:relative_shift",
        minutes=15,
        difficulty=3,
        hints=(
            "In the table of the task: which column holds key 0 in the last row? In the row above?",
            "In general entry (i, j) of the result is column j + queries - 1 - i of row i. "
            "`x.gather(-1, columns)` takes them, with `columns` expanded to the shape of `x` "
            "in front.",
            "Or without an index: put one column in front of each row, flatten, drop the first "
            "`queries` numbers, cut into rows of the old length, keep the first `keys` "
            "columns. Row i has then moved left by one place less than the row above.",
        ),
    ),
    Exercise(
        "t5_bucket",
        "course_lib.model.positions.biases:t5_bucket",
        minutes=15,
        difficulty=3,
        hints=(
            "First the distance behind: `-relative_positions`. Bidirectional takes its "
            "absolute value, causal sets negative ones to 0.",
            "`torch.where(distance < num_exact, distance, far)`. For `far` take the logarithm "
            "of distance / num_exact, divided by that of max_distance / num_exact, times the "
            "number of buckets that are left; round down, add num_exact.",
            "Clamp `far` to the last bucket of the side. The logarithm of 0 is -inf: clamp "
            "the distance to at least 1 before it, those entries are not used.",
        ),
    ),
    Exercise(
        "alibi_bias",
        "course_lib.model.positions.biases:alibi_bias",
        minutes=15,
        difficulty=2,
        hints=(
            "For 8 heads the slopes are 1/2, 1/4, ... 1/256. Multiply by the distances' "
            "absolute value, with a minus: shapes (heads, 1, 1) and (..., 1, queries, keys).",
            "Write down those of 6 heads: 1/4, 1/16, 1/64, 1/256 are the slopes of 4. Which "
            "two of 8 heads' come next? `[0::2]` takes every second of a list.",
        ),
    ),
    Exercise(
        "apply_rope",
        "course_lib.model.positions.rotary:apply_rope",
        minutes=20,
        difficulty=3,
        hints=(
            "`first, second = x.chunk(2, dim=-1)` are the two coordinates of all pairs. One "
            "angle belongs to each: position times frequency.",
            "Positions are (time,) or (batch, time), x is (batch, heads, time, dim): "
            "`positions[..., None, :, None] * frequencies` fits both.",
            "Turning (a, b) by t gives (a cos t - b sin t, b cos t + a sin t). Concatenate "
            "the two halves again.",
        ),
    ),
    Exercise(
        "yarn_frequencies",
        "course_lib.model.positions.extension:yarn_frequencies",
        minutes=20,
        difficulty=4,
        hints=(
            "Which end of the ramp is the small index, that of beta or of alpha? A pair that "
            "turns often is a fast one.",
            "Try scale = 1: the frequencies must be the plain ones, the factor 1.",
            "Try dim = 16 and context_length = 64: i(32) is -0.99 and i(1) is 2.02, so `first` "
            "is 0 and `last` 3; pairs 0 to 3 have the shares 0, 1/3, 2/3 and 1.",
        ),
    ),
)
