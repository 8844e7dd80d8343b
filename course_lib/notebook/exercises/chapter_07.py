"""The exercises of chapter 07, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "sample_batch",
        "course_lib.text.batches:sample_batch",
        minutes=10,
        difficulty=2,
        hints=(
            "A window of 3 inputs needs 4 tokens: the last one is only a target. At how many "
            "places of a stream of 10 can it begin? `torch.randint(n, (k,), generator=generator)` "
            "draws k numbers from 0 to n - 1.",
            "All places at once: a column of starts plus a row of `torch.arange(context_length "
            "+ 1)` is a table of indices, and `tokens[table]` looks them all up.",
            "Inputs are the windows without their last token and targets the same windows "
            "without their first one; `.long()`, since a stream may be stored in 16 bits.",
        ),
        replay="checks",
    ),
    Exercise(
        "mark_documents",
        "course_lib.text.batches:mark_documents",
        minutes=15,
        difficulty=3,
        hints=(
            "`starts = tokens == start_token`, and the first place of a row is a start too. The "
            "number of starts so far is the number of the document: `cumsum(dim=1)`.",
            "The position is the place in the row minus the place where the document began. "
            "Where did it begin? At the latest start so far.",
            "Write each start's place where it is and 0 elsewhere; the running maximum, "
            "`.cummax(dim=1).values`, is then the latest start.",
        ),
    ),
    Exercise(
        "clip_gradients",
        "course_lib.training.optimizers:clip_gradients",
        minutes=10,
        difficulty=2,
        hints=(
            "The norm is of all gradients together: the root of the sum of all their squares. A "
            "parameter that took no part has `grad is None`.",
            "`parameters` may be an iterator, which serves once: make a list first. The factor "
            "is at most 1, so that a small gradient stays small.",
            "`gradient.mul_(scale)` changes it in place; return the norm from before. fp16 ends "
            "at 65,504, the square of 256: take norms with `dtype=torch.float32`.",
        ),
        replay="checks",
    ),
    Exercise(
        "warmup_cosine",
        "course_lib.training.schedules:warmup_cosine",
        minutes=10,
        difficulty=2,
        hints=(
            "Step 0 is the first update: count `done = step + 1`, and while it is at most "
            "`warmup_steps` the share is `done / warmup_steps`.",
            "Progress runs from 0 at the end of the warm-up to 1 at the last update: "
            "(done - warmup_steps) / (num_steps - warmup_steps), never more than 1.",
            "`(1 + math.cos(math.pi * progress)) / 2` falls from 1 to 0. Stretch it so that it "
            "ends at `final`.",
        ),
    ),
    Exercise(
        "scheduled_sampling_inputs",
        "course_lib.training.scheduled_sampling:scheduled_sampling_inputs",
        minutes=15,
        difficulty=3,
        hints=(
            "predicted[:, 0] was written after gold[:, 0]. Whose place does it take? "
            "`roll(1, dims=1)` moves a table by one column.",
            "One coin for every token: `torch.rand(gold.shape, generator=generator) < p`. With "
            "p = 0 none falls, since rand is never below 0.",
            "`torch.where(chosen, written, gold)`; take out of `chosen` the first column, and "
            "every place where `positions` is 0.",
        ),
        replay="checks",
    ),
)
