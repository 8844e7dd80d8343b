"""Counting as a language model: n-grams, and two ways to smooth them so that they sum to one.

In reading order: `count_ngrams`, `ngram_probability` (add k), `continuation_counts` and
`kneser_ney_probability`, and `NGramModel`, which is the latter as `model(tokens) -> logits`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Context = tuple[int, ...]
Counts = Mapping[Context, Counter[int]]


def count_ngrams(tokens: Sequence[int], order: int) -> dict[Context, Counter[int]]:
    """{context: {token: how often it followed}} for every context of 0 to `order` - 1 tokens.

    [5, 6, 5], 2 -> {(): {5: 2, 6: 1}, (5,): {6: 1}, (6,): {5: 1}}.

    Shannon 1948, "A Mathematical Theory of Communication", section 3. Chapter 02.
    """
    if order < 1:
        raise ValueError(f"order={order} must be at least 1: a unigram model has no context")
    counts: defaultdict[Context, Counter[int]] = defaultdict(Counter)
    for size in range(1, order + 1):
        ngrams = Counter(zip(*(tokens[start:] for start in range(size)), strict=False))
        for ngram, count in ngrams.items():
            counts[ngram[:-1]][ngram[-1]] = count
    return dict(counts)


def ngram_probability(
    token: int, context: Sequence[int], counts: Counts, *, vocab_size: int, k: float = 1.0
) -> float:
    """(count(context, token) + k) / (count(context) + k vocab_size): add-k smoothing.

    The k given to each of the `vocab_size` tokens is added below as well: so they sum to one. With
    k = 0, plain counting, what was never seen has probability 0; of a context that was never seen
    nothing is known: 1 / vocab_size.

    Chen and Goodman 1999, "An empirical study of smoothing techniques for language
    modeling", section 2.1. Chapter 02.
    """
    following = counts.get(tuple(context), Counter())
    total = following.total() + k * vocab_size
    return (following[token] + k) / total if total else 1 / vocab_size


def continuation_counts(counts: Counts) -> dict[Context, Counter[int]]:
    """The longest contexts keep their counts; in the others a token counts once per left neighbour.

    "Francisco" may be frequent, but it follows one word only: after any other it is unlikely.

    Kneser and Ney 1995, "Improved backing-off for m-gram language modeling". Chapter 02.
    """
    longest = max(map(len, counts), default=0)
    adjusted: defaultdict[Context, Counter[int]] = defaultdict(Counter)
    for context, following in counts.items():
        if len(context) == longest:
            adjusted[context] = Counter(following)
        if context:
            adjusted[context[1:]].update(following.keys())
    return dict(adjusted)


def kneser_ney_probability(
    token: int,
    context: Sequence[int],
    counts: Counts,
    *,
    vocab_size: int,
    discount: float = 0.75,
) -> float:
    """max(c - D, 0) / total + D · types / total · p(token | the context without its oldest token).

    Each token seen after the context gives up D of its count c; the mass of all `types` of them is
    shared as the shorter context says, and below the empty context evenly. A context that was never
    seen leaves it all to the shorter one. `counts` are those of `continuation_counts`.

    Chen and Goodman 1999, "An empirical study of smoothing techniques for language
    modeling", section 2.7. Chapter 02.
    """
    shorter = 1 / vocab_size
    if context:
        shorter = kneser_ney_probability(
            token, context[1:], counts, vocab_size=vocab_size, discount=discount
        )
    following = counts.get(tuple(context))
    if not following:
        return shorter
    total = following.total()
    kept = max(following[token] - discount, 0.0) / total
    return kept + discount * len(following) / total * shorter


@dataclass(frozen=True)
class NGramModel:
    """Interpolated Kneser-Ney over the last `order` - 1 tokens, as `model(tokens) -> logits`.

    The logits are log probabilities. `fit` counts: there is nothing to train.

    Chen and Goodman 1999, "An empirical study of smoothing techniques for language
    modeling", section 2.7. Chapter 02.
    """

    counts: Counts = field(repr=False)
    order: int
    vocab_size: int
    discount: float = 0.75
    _short: dict[Context, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def fit(
        cls, tokens: Sequence[int], *, order: int, vocab_size: int, discount: float = 0.75
    ) -> "NGramModel":
        """Count a text. ValueError if a token is not below `vocab_size`, or `discount` over 1."""
        if tokens and not 0 <= min(tokens) <= max(tokens) < vocab_size:
            raise ValueError(f"max(tokens)={max(tokens)} must be below vocab_size={vocab_size}")
        if not 0 < discount <= 1:
            raise ValueError(f"discount={discount} must be above 0 and at most 1, one occurrence")
        return cls(continuation_counts(count_ngrams(tokens, order)), order, vocab_size, discount)

    def distribution(self, context: Sequence[int]) -> Float[np.ndarray, "vocab"]:
        """p(token | context) of all tokens at once; only the last `order` - 1 tokens matter."""
        return self._interpolated(tuple(context[max(len(context) - self.order + 1, 0) :]))

    def __call__(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
        """Log probabilities of the token after each position."""
        rows = [
            self.distribution(row[max(end - self.order + 1, 0) : end])
            for row in tokens.tolist()
            for end in range(1, len(row) + 1)
        ]
        log_probs = torch.from_numpy(np.log(np.stack(rows))).float()
        return log_probs.reshape(*tokens.shape, self.vocab_size)

    def _interpolated(self, context: Context) -> np.ndarray:
        if context in self._short:
            return self._short[context]
        if context:
            shorter = self._interpolated(context[1:])
        else:
            shorter = np.full(self.vocab_size, 1 / self.vocab_size)
        following = self.counts.get(context)
        if not following:
            return shorter
        tokens, counts = np.array(list(following)), np.array(list(following.values()))
        probabilities = self.discount * len(following) / counts.sum() * shorter
        probabilities[tokens] += np.maximum(counts - self.discount, 0) / counts.sum()
        if len(context) < 2:  # the few that every other context asks for
            self._short[context] = probabilities
        return probabilities
