"""Activation functions: softmax."""

from jaxtyping import Float
from torch import Tensor


def softmax(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """exp(x_i) / Σ_j exp(x_j) along `dim`: scores become probabilities.

    Each row's maximum is subtracted first, which leaves the quotient unchanged and keeps
    exp within range: without it exp(1000) is inf and the row becomes nan.

    Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".
    Chapter 00.
    """
    exponentials = (x - x.amax(dim=dim, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=dim, keepdim=True)
