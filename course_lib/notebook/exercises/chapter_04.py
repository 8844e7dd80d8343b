"""The exercises of chapter 04, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "lstm_step",
        "course_lib.model.recurrent:lstm_step",
        minutes=15,
        difficulty=2,
        hints=(
            "Only three of the four parts go through a sigmoid: g is what is written, and may "
            "be negative.",
            "All four parts at once: `projected + F.linear(hidden, weight, bias)`, which has "
            "4 · state_dim columns; `chunk(4, dim=-1)` cuts them apart.",
            "First the new cell, from the old one; then the new hidden state, from the new "
            "cell. Return the pair (hidden, cell).",
        ),
    ),
    Exercise(
        "gru_step",
        "course_lib.model.recurrent:gru_step",
        minutes=10,
        difficulty=2,
        hints=(
            "Here the input's and the state's parts cannot simply be added: r multiplies the "
            "state's part of the candidate alone. Cut both into three.",
            "n = tanh(its part of projected + r * its part of the state's product, with the "
            "bias inside); then z decides: z times the old state, 1 − z times n.",
        ),
    ),
    Exercise(
        "mgu_step",
        "course_lib.model.recurrent:mgu_step",
        minutes=10,
        difficulty=2,
        hints=(
            "Cut projected, weight and bias in two. f needs the first halves, the candidate "
            "the second ones.",
            "The gate works on the state *before* the matrix: what does the second "
            "`F.linear` get in place of the state? And which share does the *whole* old state "
            "keep at the end, f or 1 − f?",
        ),
    ),
    Exercise(
        "encode_decode",
        "course_lib.model.sequence_to_sequence:encode_decode",
        minutes=15,
        difficulty=3,
        hints=(
            "Begin with `state, memory = model.encode(source)`. With teacher forcing all "
            "inputs are known: which slice of `target` are they, if the outputs are to "
            "predict `target[:, 1:]`?",
            "Without it, keep `tokens`, at first `target[:, :1]`; in each of the "
            "`target.shape[1] - 1` steps decode it *from the state of the step before*, "
            "collect the logits, and let `argmax(dim=-1)` be the next tokens.",
            "`torch.cat(steps, dim=1)` joins the collected (batch, 1, vocab) rows.",
        ),
    ),
    Exercise(
        "additive_attention",
        "course_lib.model.sequence_to_sequence:additive_attention",
        minutes=15,
        difficulty=3,
        hints=(
            "Every query meets every key: give the projected queries the shape (batch, "
            "queries, 1, hidden) and the projected keys (batch, 1, keys, hidden), and add.",
            "After the tanh, `@ score_weight` leaves (batch, queries, keys). The softmax "
            "runs over the keys, the last dimension.",
            "Padding is hidden *before* the softmax: which score has an exponential of "
            "exactly 0? `masked_fill` writes it where its mask is True. How must yours be "
            "turned and shaped, from (batch, keys), to say where in (batch, queries, keys)?",
        ),
    ),
)
