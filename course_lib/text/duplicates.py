"""Copies among documents: exact ones by a hash, near ones by MinHash and banding.

In reading order: hashes that are the same in every process; exact copies; shingles and their
Jaccard similarity; its estimate from signatures; pairs found without comparing all; what is kept.
"""

import functools
import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import numpy
from jaxtyping import UInt64

PRIME = 4_294_967_291
"""The largest prime below 2^32: (multiplier · hash + offset) stays below 2^64, so it is exact."""


@functools.lru_cache(maxsize=1 << 16)
def stable_hash(text: str) -> int:
    """A number from 0 to PRIME - 1 that depends on the text alone.

    Python's `hash` of a text is salted anew in every process: no two runs would agree. The last
    65,536 are remembered, since words and shingles come again.
    """
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % PRIME


def remove_exact_duplicates(documents: Iterable[str]) -> list[int]:
    """The numbers of the documents that stay: the first of each group of equal ones, in order.

    Equal means: but for capitals and white space. It keeps 16 bytes a document and not the text, so
    a crawl of a billion pages needs 16 GB and one pass.

    Lee et al. 2021, https://arxiv.org/abs/2107.06499, section 2. Chapter 08.
    """
    seen: set[bytes] = set()
    kept = []
    for number, document in enumerate(documents):
        text = " ".join(document.lower().split())
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(number)
    return kept


def shingles(document: str, *, size: int = 3) -> set[str]:
    """All runs of `size` neighbouring words, in lower case and without punctuation.

    A document of fewer words is one shingle, an empty one has none.

    Broder 1997, "On the resemblance and containment of documents", section 2. Chapter 08.
    """
    if size < 1:
        raise ValueError(f"size = {size} must be at least 1")
    words = re.findall(r"\w+", document.lower())
    last = max(len(words) - size, 0)
    return {" ".join(words[start : start + size]) for start in range(last + 1)} - {""}


def jaccard_similarity(first: AbstractSet, second: AbstractSet) -> float:
    """|A ∩ B| / |A ∪ B|: the share of common elements; 1 for two empty sets.

    Broder 1997, "On the resemblance and containment of documents", section 2. Chapter 08.
    """
    union = len(first | second)
    return len(first & second) / union if union else 1.0


def hash_coefficients(
    num_hashes: int, *, seed: int = 0
) -> tuple[UInt64[numpy.ndarray, "num_hashes"], UInt64[numpy.ndarray, "num_hashes"]]:
    """Multipliers (1 to PRIME - 1) and offsets (0 to PRIME - 1) of `num_hashes` functions."""
    rng = numpy.random.default_rng(seed)
    multipliers = rng.integers(1, PRIME, num_hashes, dtype=numpy.uint64)
    return multipliers, rng.integers(0, PRIME, num_hashes, dtype=numpy.uint64)


def minhash_signature(
    shingles: Iterable[str],
    *,
    multipliers: UInt64[numpy.ndarray, "num_hashes"],
    offsets: UInt64[numpy.ndarray, "num_hashes"],
) -> UInt64[numpy.ndarray, "num_hashes"]:
    """min over the shingles s of (a · stable_hash(s) + b) mod PRIME, for each function (a, b).

    Two sets agree in an entry with the probability of their Jaccard similarity. Without shingles
    every entry is PRIME, which no hash reaches. ValueError where a product could overflow.

    Broder et al. 1998, "Min-wise independent permutations", section 1. Chapter 08.
    """
    if max(int(multipliers.max(initial=0)), int(offsets.max(initial=0))) >= PRIME:
        raise ValueError(f"multipliers and offsets must be less than {PRIME}")
    hashes = numpy.array([stable_hash(shingle) for shingle in shingles], dtype=numpy.uint64)
    if not len(hashes):
        return numpy.full(len(multipliers), PRIME, dtype=numpy.uint64)
    values = hashes[:, None] * multipliers + offsets  # (shingles, num_hashes)
    return (values % numpy.uint64(PRIME)).min(axis=0)


def near_duplicates(
    signatures: UInt64[numpy.ndarray, "documents num_hashes"],
    *,
    num_bands: int,
    threshold: float = 0.8,
) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, sorted, that share a whole band and at least `threshold` of the entries.

    Only documents that are equal in all rows of one band are compared at all; `match_probability`
    is the chance to be. ValueError unless num_bands divides the signature's length.

    Leskovec et al. 2014, "Mining of Massive Datasets", section 3.4. Chapter 08.
    """
    num_documents, num_hashes = signatures.shape
    if num_bands < 1 or num_hashes % num_bands:
        raise ValueError(f"num_bands = {num_bands} must divide num_hashes = {num_hashes}")
    candidates = set()
    for band in numpy.split(signatures, num_bands, axis=1):
        buckets = defaultdict(list)
        for number in range(num_documents):
            buckets[band[number].tobytes()].append(number)
        for members in buckets.values():
            candidates.update(itertools.combinations(members, 2))
    return sorted(
        (first, second)
        for first, second in candidates
        if (signatures[first] == signatures[second]).mean() >= threshold
    )


def match_probability(similarity: float, *, num_bands: int, rows: int) -> float:
    """1 - (1 - s^rows)^num_bands: the chance that a pair of similarity s shares a band.

    An S-curve in s, steepest near (1 / num_bands)^(1 / rows).

    Leskovec et al. 2014, "Mining of Massive Datasets", section 3.4.2. Chapter 08.
    """
    return 1 - (1 - similarity**rows) ** num_bands


def first_of_each(num_documents: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The documents that stay when of each group joined by `pairs` only the first does.

    Groups are chains too: with pairs (0, 1) and (1, 2) only 0 stays.
    """
    leader = list(range(num_documents))

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    for first, second in pairs:
        one, other = sorted((find(first), find(second)))
        leader[other] = one
    return [number for number in range(num_documents) if find(number) == number]
