"""Inference: from logits to tokens to texts."""

from course_lib.inference.generate import generate, stream
from course_lib.inference.sampling import (
    next_token_probabilities,
    sample,
    top_k_filter,
    top_p_filter,
)

__all__ = [
    "generate",
    "next_token_probabilities",
    "sample",
    "stream",
    "top_k_filter",
    "top_p_filter",
]
