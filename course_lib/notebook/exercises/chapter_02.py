"""The exercises of chapter 02, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "sequence_log_prob",
        "course_lib.training.losses:sequence_log_prob",
        minutes=10,
        difficulty=2,
        hints=(
            "Which row of logits scores the second token? Write it down for three tokens: one "
            "row is not used, and one token is not scored.",
            "Line up what belongs together, the logits without the last row and the tokens "
            "without the first. `gather(-1, tokens[..., None]).squeeze(-1)` picks entries.",
            "The log probability is the token's logit minus the log-sum-exp of its row; "
            "`torch.logsumexp(logits, dim=-1)` subtracts the maximum for you.",
        ),
    ),
    Exercise(
        "ngram_probability",
        "course_lib.model.ngrams:ngram_probability",
        minutes=10,
        difficulty=1,
        hints=(
            "`counts.get(tuple(context), Counter())` is the counter of the context, or an "
            "empty one; a `Counter` answers 0 for a token that it does not have.",
            "`counter.total()` is c(h). Each of `vocab_size` tokens gets k, so the denominator "
            "grows by k times `vocab_size`. If it is 0, return `1 / vocab_size`.",
        ),
    ),
    Exercise(
        "kneser_ney_probability",
        "course_lib.model.ngrams:kneser_ney_probability",
        minutes=20,
        difficulty=3,
        hints=(
            "Let the function call itself with `context[1:]`. What ends the recursion: for the "
            "empty context the shorter answer is `1 / vocab_size`.",
            "`following = counts.get(tuple(context))`; if there is none, return the shorter "
            "answer as it is.",
            "The first term is `max(following[token] - discount, 0.0) / total`, and what is "
            "shared out is `discount * len(following) / total`: `len` counts types.",
        ),
    ),
    Exercise(
        "cross_entropy",
        "course_lib.training.losses:cross_entropy",
        minutes=15,
        difficulty=2,
        hints=(
            "First `counted = targets != ignore_index`. `gather` fails on -100: put any valid "
            "token there, `targets.where(counted, 0)`, and take its loss out afterwards.",
            "log p of the target is its logit minus the row's log-sum-exp. At 10,000 fp32 has "
            "a grain of 0.001: subtract the row's maximum from all logits, then pick.",
            "Divide the sum by `counted.sum().clamp(min=1)`: with nothing counted it is 0 / 1.",
        ),
    ),
    Exercise(
        "bits_per_byte",
        "course_lib.training.losses:bits_per_byte",
        minutes=5,
        difficulty=1,
        hints=(
            "What is shared out among the bytes: the surprise of the whole text, or of one "
            "token? And how many bytes has `лес`?",
            "A natural logarithm divided by ln 2 is one to base 2; `text.encode()` is the text "
            "in UTF-8; `.item()` makes a float of a tensor.",
        ),
    ),
    Exercise(
        "fill_in_the_middle",
        "course_lib.text.infilling:fill_in_the_middle",
        minutes=15,
        difficulty=2,
        hints=(
            "`start, end = sorted(cuts.tolist())`; the three parts are `document[:start]`, "
            "`document[start:end]` and `document[end:]`. Nothing overlaps or is left out.",
            "Stars unpack lists: `[sentinels.prefix, *encode(prefix), ...]`. Both orders begin "
            "with the sentinel of the prefix and end with the middle.",
        ),
    ),
)
