"""Checks of chapter 06: sinusoids, the relative shift, T5's buckets, ALiBi, RoPE and YaRN.

Oracles: worked by hand, complex numbers, whole-number arithmetic, published values, brute force.
"""

import cmath
import itertools
import math

import pytest
import torch
from torch.testing import assert_close

ODD_POSITIONS = torch.tensor([[5, 0, 3, 12, 1], [700, 701, 2, 2, 30]])


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_four_dimensions_by_hand(sinusoidal):
    """With base 100 and 4 dimensions the frequencies are 1 and 1/10: sin, cos, sin, cos."""
    encoded = sinusoidal(torch.tensor([0, 1, 20]), 4, 100.0)
    expected = [
        [0.0, 1.0, 0.0, 1.0],
        [math.sin(1), math.cos(1), math.sin(0.1), math.cos(0.1)],
        [math.sin(20), math.cos(20), math.sin(2), math.cos(2)],
    ]
    assert encoded.dtype == torch.float32
    assert_close(encoded, torch.tensor(expected))


def test_every_number_agrees_with_the_equation(sinusoidal):
    """One sine or cosine at a time, computed by Python's math."""
    encoded = sinusoidal(ODD_POSITIONS, 10)
    assert encoded.shape == (2, 5, 10)
    for row, place, column in itertools.product(range(2), range(5), range(10)):
        angle = int(ODD_POSITIONS[row, place]) / 10_000 ** (2 * (column // 2) / 10)
        expected = math.cos(angle) if column % 2 else math.sin(angle)
        assert float(encoded[row, place, column]) == pytest.approx(expected, abs=1e-4)


def test_positions_may_stand_in_any_order_and_stay_unchanged(sinusoidal):
    """The vector belongs to the position, not to its place in the tensor."""
    positions = torch.tensor([9, 2, 2, 0])
    encoded = sinusoidal(positions, 6)
    assert positions.tolist() == [9, 2, 2, 0]
    assert_close(encoded[1], encoded[2])
    assert_close(encoded, sinusoidal(torch.arange(10), 6)[positions])


def test_the_product_of_two_depends_on_their_distance_only(sinusoidal):
    """cos a cos b + sin a sin b = cos(a - b), whatever a and b are."""
    encoded = sinusoidal(torch.tensor([4, 7, 104, 107, 1004, 1007]), 14)
    products = (encoded[0::2] * encoded[1::2]).sum(-1)
    assert_close(products, products[:1].expand(3), atol=1e-3, rtol=0)


def test_columns_by_distance_become_columns_by_key(relative_shift):
    """The table of the task: queries 2 and 3 of 4 keys, columns for the distances 3 to -1."""
    x = torch.tensor([[3, 2, 1, 0, -1], [13, 12, 11, 10, 9]])
    assert relative_shift(x.float()).tolist() == [[2, 1, 0, -1], [13, 12, 11, 10]]


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 6), (3, 3), (3, 7), (5, 6)])
def test_each_entry_is_that_of_its_distance(relative_shift, queries, keys):
    """Brute force: query i stands at i + keys - queries; its distance to key j names the column."""
    x = normal(2, 3, queries, keys + queries - 1)
    before = x.clone()
    shifted = relative_shift(x)
    assert torch.equal(x, before)
    assert shifted.shape == (2, 3, queries, keys)
    for i, j in itertools.product(range(queries), range(keys)):
        distance = (i + keys - queries) - j
        assert torch.equal(shifted[:, :, i, j], x[:, :, i, keys - 1 - distance]), f"({i}, {j})"


def test_gradient_reaches_exactly_the_entries_that_are_used(relative_shift):
    """Each used entry has gradient 1; distances that no pair has get 0."""
    x = normal(2, 3, dtype=torch.float64).requires_grad_()
    relative_shift(x).sum().backward()
    assert x.grad.tolist() == [[0, 1, 1], [1, 1, 0]]


# (num_buckets, max_distance) of one side -> the first distance of each bucket, by the rule
# d^(n - e) e^k >= max^k e^(n - e): whole numbers, no logarithm.
def first_distances(per_side: int, max_distance: int) -> list[int]:
    exact = per_side // 2
    left = per_side - exact
    firsts = list(range(exact))
    for k in range(left):
        distance = exact
        while distance**left * exact**k < max_distance**k * exact**left:
            distance += 1
        firsts.append(distance)
    return firsts


def expected_bucket(distance: int, per_side: int, max_distance: int) -> int:
    firsts = first_distances(per_side, max_distance)
    return max(bucket for bucket, first in enumerate(firsts) if first <= distance)


def test_published_buckets_of_a_decoder(t5_bucket):
    """T5's own: 32 buckets to 128. 0 to 15 each alone, then ever wider, and 31 from 113 on."""
    distances = [0, 1, 15, 16, 18, 19, 20, 21, 26, 27, 63, 64, 112, 113, 127, 128, 5000]
    published = [0, 1, 15, 16, 16, 17, 17, 18, 19, 20, 26, 26, 30, 31, 31, 31, 31]
    buckets = t5_bucket(-torch.tensor(distances), bidirectional=False)
    assert buckets.dtype == torch.int64
    assert buckets.tolist() == published


def test_published_buckets_of_an_encoder(t5_bucket):
    """Half of the 32 buckets for each side: 8 alone, up to 128 shared; keys ahead get + 16."""
    positions = [-200, -128, -91, -90, -16, -11, -9, -8, -7, -1, 0, 1, 7, 8, 12, 90, 500]
    published = [15, 15, 15, 14, 10, 8, 8, 8, 7, 1, 0, 17, 23, 24, 25, 30, 31]
    assert t5_bucket(torch.tensor(positions)).tolist() == published


@pytest.mark.parametrize(("num_buckets", "max_distance"), [(12, 50), (14, 41), (32, 128)])
def test_keys_ahead_share_bucket_zero_in_a_decoder(t5_bucket, num_buckets, max_distance):
    """They are masked anyway; and every distance behind has the bucket that counting gives."""
    positions = torch.tensor([[9, 1, 0], [-1, -2, -77]])
    options = {"num_buckets": num_buckets, "max_distance": max_distance}
    buckets = t5_bucket(positions, bidirectional=False, **options)
    assert buckets[0].tolist() == [0, 0, 0]
    distances = list(range(max_distance + 40))
    buckets = t5_bucket(-torch.tensor(distances), bidirectional=False, **options)
    assert buckets.tolist() == [expected_bucket(d, num_buckets, max_distance) for d in distances]


def test_both_sides_agree_with_whole_number_arithmetic(t5_bucket):
    """20 buckets: 10 a side, 5 of them exact. Positions are left as they were."""
    positions = torch.arange(-90, 91)
    buckets = t5_bucket(positions, num_buckets=20, max_distance=70)
    assert torch.equal(positions, torch.arange(-90, 91))
    expected = [10 * (p > 0) + expected_bucket(abs(p), 10, 70) for p in range(-90, 91)]
    assert buckets.tolist() == expected


def test_slopes_of_eight_heads_are_the_papers(alibi_bias):
    """1/2, 1/4, ... 1/256: the price of one position in each head."""
    bias = alibi_bias(8, torch.tensor([[1, 0]]))
    assert bias.shape == (8, 1, 2)
    assert bias[:, 0, 0].tolist() == [-(2.0**-n) for n in range(1, 9)]
    assert bias[:, 0, 1].tolist() == [0.0] * 8


def test_scores_fall_with_the_distance_on_both_sides(alibi_bias):
    """Two heads, slopes 1/16 and 1/256; a key ahead pays as one behind does."""
    bias = alibi_bias(2, torch.tensor([[3, 0, -2]]))
    assert bias.tolist() == [[[-3 / 16, 0, -2 / 16]], [[-3 / 256, 0, -2 / 256]]]


def test_six_heads_take_the_slopes_of_four_and_every_second_of_eight(alibi_bias):
    """The released code: 1/4, 1/16, 1/64, 1/256, then 1/2 and 1/8."""
    slopes = -alibi_bias(6, torch.tensor([[1]])).flatten()
    assert slopes.tolist() == [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]
    slopes = -alibi_bias(3, torch.tensor([[1]])).flatten()
    assert slopes.tolist() == [1 / 16, 1 / 256, 1 / 4]


def test_heads_come_before_queries_and_the_batch_stays_in_front(alibi_bias):
    """(batch, queries, keys) becomes (batch, heads, queries, keys); distances stay as they were."""
    distances = torch.tensor([[[4, 3, 0], [5, 4, 1]], [[0, -1, -2], [9, 8, 7]]])
    before = distances.clone()
    bias = alibi_bias(4, distances)
    assert torch.equal(distances, before)
    assert bias.shape == (2, 4, 2, 3)
    assert bias.dtype == torch.float32
    for head, slope in enumerate([1 / 4, 1 / 16, 1 / 64, 1 / 256]):
        assert_close(bias[:, head], -slope * before.abs().float())


def test_two_pairs_turned_by_hand(apply_rope):
    """Dimension 0 pairs with 2, and 1 with 3; with base 100 their frequencies are 1 and 1/10."""
    x = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(1, 1, 2, 4)
    turned = apply_rope(x, torch.tensor([0, 3]), 100.0)
    expected = [[1.0, 1.0, 0.0, 0.0], [math.cos(3), math.cos(0.3), math.sin(3), math.sin(0.3)]]
    assert_close(turned[0, 0], torch.tensor(expected))


def test_each_pair_is_a_complex_number_times_a_power_of_e(apply_rope):
    """Positions of each row of the batch are its own, in any order: (a + ib) e^(i p w)."""
    x = normal(2, 3, 5, 6)
    turned = apply_rope(x, ODD_POSITIONS, 500.0)
    assert turned.shape == x.shape
    for row, head, place, pair in itertools.product(range(2), range(3), range(5), range(3)):
        angle = int(ODD_POSITIONS[row, place]) * 500.0 ** (-2 * pair / 6)
        number = complex(x[row, head, place, pair], x[row, head, place, pair + 3])
        number *= cmath.exp(1j * angle)
        got = complex(turned[row, head, place, pair], turned[row, head, place, pair + 3])
        assert got == pytest.approx(number, abs=2e-3)


def test_a_score_depends_on_the_difference_of_positions_only(apply_rope):
    """Shift both by 40: the same score. Shift one: another."""
    query, key = normal(1, 2, 4, 10, seed=1), normal(1, 2, 4, 10, seed=2)
    at = torch.tensor([3, 0, 11, 5])

    def scores(shift_query: int, shift_key: int) -> torch.Tensor:
        turned = apply_rope(query, at + shift_query), apply_rope(key, at + shift_key)
        return turned[0] @ turned[1].transpose(-2, -1)

    assert_close(scores(40, 40), scores(0, 0), atol=1e-4, rtol=0)
    assert not torch.allclose(scores(1, 0), scores(0, 0), atol=1e-2)


def test_lengths_stay_and_position_zero_changes_nothing(apply_rope):
    """A rotation; the input is left as it was, its dtype kept."""
    x = normal(2, 1, 3, 8, dtype=torch.float64).transpose(0, 1)
    before = x.clone()
    turned = apply_rope(x, torch.tensor([0, 9, 100]))
    assert torch.equal(x, before)
    assert turned.dtype == torch.float64
    assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert_close(turned[:, :, 0], x[:, :, 0])


def turns_of(pair: int, dim: int, length: int, base: float) -> float:
    """How often a pair turns round within the trained length."""
    return length * base ** (-2 * pair / dim) / (2 * math.pi)


@pytest.mark.parametrize(("dim", "length", "scale"), [(64, 2048, 16.0), (96, 4096, 4.0)])
def test_fast_pairs_stay_and_slow_ones_are_divided(yarn_frequencies, dim, length, scale):
    """More than 32 turns in the trained length: untouched. Fewer than one: divided by scale."""
    frequencies, _ = yarn_frequencies(dim, scale, context_length=length)
    assert frequencies.shape == (dim // 2,)
    kept = divided = 0
    for pair in range(dim // 2):
        plain = 10_000 ** (-2 * pair / dim)
        turns = turns_of(pair, dim, length, 10_000)
        if turns > 33:
            kept += 1
            assert float(frequencies[pair]) == pytest.approx(plain, rel=1e-4)
        if turns < 0.7:
            divided += 1
            assert float(frequencies[pair]) == pytest.approx(plain / scale, rel=1e-4)
    assert kept
    assert divided


def test_between_them_lies_a_straight_ramp(yarn_frequencies):
    """Worked by hand: base 100, 16 dimensions, length 100 pi: a pair turns 50 · 10^(-i/4) times.

    beta = 50 is pair 0, alpha = 0.5 is pair 8; so pair i has the share i/8 of the divided one.
    """
    length = 314
    frequencies, _ = yarn_frequencies(
        16, 4.0, context_length=length, base=100.0, alpha=0.5, beta=length / (2 * math.pi)
    )
    plain = [10 ** (-pair / 4) for pair in range(8)]
    shares = [pair / 8 for pair in range(8)]
    expected = [w * (1 - s) + w / 4 * s for w, s in zip(plain, shares, strict=True)]
    assert_close(frequencies, torch.tensor(expected))


def test_ends_of_the_ramp_are_whole_numbers(yarn_frequencies):
    """Released code: floor for beta, ceil for alpha. The turns 20 and 2 fall between pairs."""
    dim, length, base = 12, 500, 1000.0
    index = {turns: dim * math.log(length / (2 * math.pi * turns)) / (2 * math.log(base))
             for turns in (20, 2)}  # fmt: skip
    first, last = math.floor(index[20]), math.ceil(index[2])
    assert (first, last) == (1, 4)
    frequencies, _ = yarn_frequencies(
        dim, 3.0, context_length=length, base=base, alpha=2.0, beta=20.0
    )
    shares = [0, 0, 1 / 3, 2 / 3, 1, 1]
    plain = [base ** (-2 * pair / dim) for pair in range(6)]
    expected = [w * (1 - s) + w / 3 * s for w, s in zip(plain, shares, strict=True)]
    assert_close(frequencies, torch.tensor(expected))


@pytest.mark.parametrize(("scale", "factor"), [(1.0, 1.0), (4.0, 1.138629), (16.0, 1.277259)])
def test_factor_for_queries_and_keys(yarn_frequencies, scale, factor):
    """0.1 ln(scale) + 1, a float; at scale 1 nothing changes."""
    frequencies, got = yarn_frequencies(8, scale, context_length=64)
    assert isinstance(got, float)
    assert got == pytest.approx(factor, rel=1e-5)
    if scale == 1:
        assert_close(frequencies, torch.tensor([1.0, 0.1, 0.01, 0.001]))
