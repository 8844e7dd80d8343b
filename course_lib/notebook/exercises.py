"""The table of exercises: for each chapter its exercises, with the hints, which stand only here.

The library is the answer key: every exercise is an object of `course_lib` or `kernels` with the
same name and signature (`target`). Names are unique over the whole course.
"""

import difflib
import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """One exercise; its checks are the tests with an argument of this name.

    `replay` says how a wrong answer is compared with the known mistakes: by the "calls" that the
    checks made, or by running the "checks" on each mistake (classes; functions that take a model
    or ranks, or are checked by their gradients).
    `limit_seconds` ends one check; more than 10 only where the exercise is marked slow.
    """

    name: str
    target: str
    minutes: int
    difficulty: int
    hints: tuple[str, ...]
    replay: str = "calls"
    limit_seconds: float = 10.0

    def library_object(self) -> object:
        """The library's own answer, imported when a check needs it."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


EXERCISES: dict[str, tuple[Exercise, ...]] = {
    "00_welcome": (
        Exercise(
            "softmax",
            "course_lib.model.activations:softmax",
            minutes=10,
            difficulty=1,
            hints=(
                "Follow the equation: exponentials, then divide by their sum along `dim`. "
                "`keepdim=True` keeps the sum's shape ready for broadcasting.",
                "exp(1000) is inf in fp32. What may be subtracted from every score of a row "
                "without changing the quotient?",
                "Subtract each row's own maximum, `x.amax(dim=dim, keepdim=True)`: the largest "
                "exponential is then exp(0) = 1. One maximum of the whole tensor is not enough: "
                "rows far below it become 0 / 0.",
            ),
        ),
    ),
    "01_tokenization": (
        Exercise(
            "merge_pair",
            "course_lib.text.tokenizers.bpe:merge_pair",
            minutes=10,
            difficulty=1,
            hints=(
                "Use an index and a `while` loop: a `for` loop cannot step over an id.",
                "Two ids from the index on are a slice, which never fails at the end. What is "
                "appended, and by how much does the index move, if they are the pair, and if not?",
            ),
        ),
        Exercise(
            "train_bpe",
            "course_lib.text.tokenizers.bpe:train_bpe",
            minutes=15,
            difficulty=2,
            hints=(
                "One round is: count the pairs, choose the best, replace it in every word. The "
                "new token's id is `first_id + len(merges)`.",
                "`min` with a key that is a tuple decides by its first entry, then by its second: "
                "the count with its sign changed, then the pair itself.",
                "Build a new dictionary of words in each round; `Counter()` adds up words that "
                "have become equal. Stop if there is no pair left.",
            ),
        ),
        Exercise(
            "encode_bpe",
            "course_lib.text.tokenizers.bpe:encode_bpe",
            minutes=10,
            difficulty=2,
            hints=(
                "Make a dictionary from pair to rank, its place in `merges`; the new token's id "
                "is `first_id + rank`.",
                "In each round list the ranks of all neighbouring pairs that are merges, and "
                "apply `merge_pair` for the smallest. The loop ends when the list is empty.",
            ),
        ),
        Exercise(
            "byte_fallback",
            "course_lib.text.tokenizers.byte_fallback:byte_fallback",
            minutes=10,
            difficulty=1,
            hints=(
                "`piece.encode()` is the UTF-8 form; iterating over it gives numbers 0 to 255.",
                "In an f-string `{byte:02X}` writes two capital hexadecimal digits.",
            ),
        ),
        Exercise(
            "viterbi_segment",
            "course_lib.text.tokenizers.unigram:viterbi_segment",
            minutes=20,
            difficulty=3,
            hints=(
                "Keep two lists over positions 0 to len(text): the best log probability with "
                "which the text up to there can be split, and where its last piece starts.",
                "For each `end`, try every `start` before it whose piece is in `log_probs`: the "
                "candidate is `best[start] + log_probs[text[start:end]]`. `best[0]` is 0.0, "
                "everything else begins at `-math.inf`.",
                "The pieces come out backwards: begin at the end of the text and jump to each "
                "piece's start until you are at 0. Still `-math.inf` at the end: ValueError.",
            ),
        ),
        Exercise(
            "wordpiece_encode",
            "course_lib.text.tokenizers.wordpiece:wordpiece_encode",
            minutes=10,
            difficulty=2,
            hints=(
                "Two loops: where the piece starts, and where it may end, tried from the right.",
                "The first piece is looked up as it is, every later one with `prefix` before it. "
                "No end found: forget the pieces so far and return `[unknown]`.",
            ),
        ),
    ),
    "02_language_modelling": (
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
    ),
    "04_recurrent_networks": (
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
    ),
    "05_transformer": (
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
    ),
    "06_positional_encoding": (
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
                "In the table of the task: which column holds key 0 in the last row? In the row "
                "above?",
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
    ),
    "15_flash_attention": (
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
    ),
}


def plain_function(answer: object) -> object:
    """The function that `@triton.jit` wraps, for its source and docstring; others as they are."""
    return getattr(answer, "fn", answer)


def find_exercise(name: str) -> tuple[str, Exercise]:
    """'softmax' -> ('00_welcome', Exercise('softmax', ...)); ValueError suggests close names."""
    known = {exercise.name: (stem, exercise) for stem, of in EXERCISES.items() for exercise in of}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3)
    advice = f"did you mean {' or '.join(close)}?" if close else "`progress()` lists them"
    raise ValueError(f"{name!r} is not an exercise of this course: {advice}")
