"""Duplicates: MinHash against brute force and `datasketch`, hashes in another process, groups."""

import itertools
import subprocess
import sys

import datasketch
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.duplicates import (
    PRIME,
    first_of_each,
    hash_coefficients,
    jaccard_similarity,
    match_probability,
    minhash_signature,
    near_duplicates,
    shingles,
    stable_hash,
)
from course_lib.text.stories.crawl import make_crawl


def test_a_hash_is_the_same_in_every_process():
    """Python salts `hash` of a text anew in each; a signature must outlive its process."""
    code = "from course_lib.text.duplicates import stable_hash; print(stable_hash('лиса'))"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(output.stdout) == stable_hash("лиса")
    assert 0 <= stable_hash("лиса") < PRIME


def test_shingles_worked_by_hand():
    assert shingles("The fox ran; the FOX ran!") == {"the fox ran", "fox ran the", "ran the fox"}
    assert shingles("The fox", size=3) == {"the fox"}
    assert shingles("a b c d", size=2) == {"a b", "b c", "c d"}
    assert shingles(" ... ") == set()


def test_shingles_need_a_word():
    with pytest.raises(ValueError, match="size = 0 must be at least 1"):
        shingles("a b", size=0)


def test_jaccard_worked_by_hand():
    assert jaccard_similarity({1, 2, 3}, {2, 3, 4, 5}) == 2 / 5
    assert jaccard_similarity({1}, {2}) == 0
    assert jaccard_similarity(set(), set()) == 1


@pytest.fixture(scope="module")
def crawl():
    """Shingles of 150 pages, their true similarities, our signatures and datasketch's."""
    sets = [shingles(page.text) for page in make_crawl(150, seed=3)]
    pairs = list(itertools.combinations(range(len(sets)), 2))
    true = numpy.array([jaccard_similarity(sets[i], sets[j]) for i, j in pairs])
    multipliers, offsets = hash_coefficients(128)
    ours = numpy.stack(
        [minhash_signature(each, multipliers=multipliers, offsets=offsets) for each in sets]
    )
    theirs = []
    for each in sets:
        minhash = datasketch.MinHash(num_perm=128, seed=1)
        minhash.update_batch([shingle.encode() for shingle in each])
        theirs.append(minhash)
    return pairs, true, ours, theirs


def test_estimates_are_as_near_the_truth_as_datasketchs(crawl):
    """The mean square error of both is that of the theory, J (1 - J) / 128, in 11,175 pairs that
    share their hash functions: over seeds it varies by a third.
    """
    pairs, true, ours, theirs = crawl
    estimates = numpy.array([(ours[i] == ours[j]).mean() for i, j in pairs])
    peers = numpy.array([theirs[i].jaccard(theirs[j]) for i, j in pairs])
    expected = (true * (1 - true)).mean() / 128
    for values in (estimates, peers):
        assert expected / 2 < ((values - true) ** 2).mean() < 2 * expected


def test_the_pairs_are_those_of_brute_force_and_of_datasketchs_index(crawl):
    """At 16 bands of 8 a pair of similarity 0.8 is found with a probability of 0.947."""
    pairs, true, ours, theirs = crawl
    found = set(near_duplicates(ours, num_bands=16, threshold=0.6))
    certain = {pair for pair, similarity in zip(pairs, true, strict=True) if similarity > 0.95}
    distant = {pair for pair, similarity in zip(pairs, true, strict=True) if similarity < 0.4}
    assert len(certain) > 3
    assert certain <= found
    assert not distant & found
    index = datasketch.MinHashLSH(num_perm=128, params=(16, 8))
    for number, minhash in enumerate(theirs):
        index.insert(number, minhash)
    peers = {(i, j) for j, minhash in enumerate(theirs) for i in index.query(minhash) if i < j}
    assert certain <= peers


@given(st.floats(0, 1), st.integers(1, 20), st.integers(1, 8))
def test_match_probability_rises_from_zero_to_one(similarity, num_bands, rows):
    value = match_probability(similarity, num_bands=num_bands, rows=rows)
    assert 0 <= value <= 1
    assert value <= match_probability(similarity, num_bands=num_bands + 1, rows=rows) + 1e-12
    assert match_probability(1.0, num_bands=num_bands, rows=rows) == 1


def test_match_probability_is_the_share_of_pairs_found():
    """2,000 pairs of signatures that agree in each entry with probability 0.6; deviation 0.011."""
    rng = numpy.random.default_rng(0)
    first = rng.integers(0, 1000, (2000, 12))
    second = numpy.where(rng.random((2000, 12)) < 0.6, first, first + 1000)
    share = (first == second).reshape(2000, 4, 3).all(axis=2).any(axis=1).mean()
    assert share == pytest.approx(match_probability(0.6, num_bands=4, rows=3), abs=0.045)


def test_of_a_chain_only_the_first_stays():
    assert first_of_each(7, [(1, 2), (4, 5), (2, 5), (0, 6)]) == [0, 1, 3]
    assert first_of_each(3, []) == [0, 1, 2]


def test_coefficients_that_could_overflow_are_refused():
    large = numpy.array([PRIME], dtype=numpy.uint64)
    with pytest.raises(ValueError, match="must be less than"):
        minhash_signature({"a"}, multipliers=large, offsets=large)
