"""Educational value: a small classifier, learned from labelled pages, scores all the others.

In reading order: a page as hashed counts of words; the score; learning it; choosing the best.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from jaxtyping import Float

from course_lib.text.duplicates import stable_hash

NUM_BUCKETS = 2048


def word_features(document: str) -> Counter[str]:
    """How often each word and each pair of neighbouring words occurs, in lower case.

    Signs such as + and = are words too, and every number is the same word, 0.
    """
    text = re.sub(r"\d+", "0", document.lower())
    words = re.findall(r"\w+|[^\w\s]", text)
    return Counter(words) + Counter(map(" ".join, itertools.pairwise(words)))


def hashed_features(
    document: str, *, num_buckets: int = NUM_BUCKETS
) -> Float[numpy.ndarray, "num_buckets"]:
    """Counts of words and pairs, added up in bucket stable_hash(feature) mod num_buckets; norm 1.

    No vocabulary has to be kept; features that share a bucket are added. An empty page is all 0.

    Weinberger et al. 2009, https://arxiv.org/abs/0902.2206, section 2 (without signs). Chapter 08.
    """
    vector = numpy.zeros(num_buckets)
    for feature, count in word_features(document).items():
        vector[stable_hash(feature) % num_buckets] += count
    return vector / max(float(numpy.linalg.norm(vector)), 1e-12)


def educational_value(
    document: str, weights: Float[numpy.ndarray, "num_buckets"], *, bias: float = 0.0
) -> float:
    """sigmoid(weights · x + bias), x the hashed features of the page: how much one learns from it.

    Between 0 and 1. A function of words alone: a wrong sum scores as high as a right one.

    Gunasekar et al. 2023, https://arxiv.org/abs/2306.11644, section 2.1 (there a random forest on a
    model's embeddings). Chapter 08.
    """
    score = float(weights @ hashed_features(document, num_buckets=len(weights))) + bias
    return 0.5 * (1 + math.tanh(score / 2))


@dataclass(frozen=True)
class EducationalClassifier:
    """The weights and the bias that labelled pages gave; call it with a page."""

    weights: Float[numpy.ndarray, "num_buckets"]
    bias: float

    def __call__(self, document: str) -> float:
        """The page's `educational_value`."""
        return educational_value(document, self.weights, bias=self.bias)


def fit_educational_value(
    documents: Sequence[str],
    labels: Sequence[bool],
    *,
    num_buckets: int = NUM_BUCKETS,
    strength: float = 10.0,
) -> EducationalClassifier:
    """Logistic regression on hashed features; `strength` is the inverse of the L2 penalty's.

    ValueError unless both labels occur. scikit-learn's solver; deterministic.

    Gunasekar et al. 2023, https://arxiv.org/abs/2306.11644, section 2.1. Chapter 08.
    """
    if len(set(labels)) < 2:
        raise ValueError(f"all {len(labels)} labels are the same: give pages of both kinds")
    from sklearn.linear_model import LogisticRegression

    features = numpy.stack([hashed_features(each, num_buckets=num_buckets) for each in documents])
    fitted = LogisticRegression(C=strength, max_iter=1000).fit(features, list(map(bool, labels)))
    return EducationalClassifier(fitted.coef_[0], float(fitted.intercept_[0]))
