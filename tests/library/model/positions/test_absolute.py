"""Sinusoids against the paper's formula in Python floats; the learned table's limits."""

import math

import pytest
import torch

from course_lib.model.positions import LearnedPositions, SinusoidalPositions, sinusoidal


def sinusoid_by_the_paper(position, dim, base=10000.0):
    """PE(pos, 2i) = sin(pos / base^(2i/d)), PE(pos, 2i + 1) = cos(...), one number at a time."""
    of_pair = [position / base ** (2 * i / dim) for i in range(dim // 2)]
    return [wave(angle) for angle in of_pair for wave in (math.sin, math.cos)]


@pytest.mark.parametrize(("dim", "base"), [(2, 10000.0), (6, 10000.0), (10, 500.0)])
def test_sinusoidal_equals_the_papers_formula(dim, base):
    positions = torch.tensor([[0, 7, 3], [1000, -2, 511]])
    expected = [[sinusoid_by_the_paper(p, dim, base) for p in row] for row in positions.tolist()]
    # fp32 angles near 1,000 are known to 6e-5.
    torch.testing.assert_close(
        sinusoidal(positions, dim, base), torch.tensor(expected), atol=1e-4, rtol=0
    )


def test_an_offset_is_one_rotation_whatever_the_position():
    positions, offset, dim = torch.tensor([0, 5, 90]), 11, 8
    here, there = sinusoidal(positions, dim), sinusoidal(positions + offset, dim)
    inner = (here * there).sum(-1)  # sum of cos(offset w_i): the same at every position
    torch.testing.assert_close(inner, inner[:1].expand(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.float64])
def test_sinusoidal_takes_positions_of_any_number_type(dtype):
    positions = torch.tensor([3, 0, 2049])
    torch.testing.assert_close(
        sinusoidal(positions.to(dtype), 6),
        sinusoidal(positions, 6),
        check_dtype=False,
        atol=2e-4,
        rtol=0,
    )


def test_half_precision_positions_are_not_multiplied_in_half_precision():
    positions = torch.tensor([100.0], dtype=torch.float16)
    torch.testing.assert_close(sinusoidal(positions, 6), sinusoidal(positions.long(), 6))


@pytest.mark.parametrize("dim", [0, 7])
def test_sinusoidal_refuses_an_odd_dim(dim):
    with pytest.raises(ValueError, match=f"dim={dim} must be even"):
        sinusoidal(torch.arange(3), dim)


def test_sinusoidal_positions_extrapolate():
    scheme = SinusoidalPositions(6)
    positions = torch.tensor([[4, 100_000], [0, 1]])
    assert scheme.embed(positions).shape == (2, 2, 6)
    assert scheme.embed(positions).isfinite().all()
    assert not list(scheme.parameters())


def test_learned_positions_are_rows_of_a_table():
    scheme = LearnedPositions(5, 3)
    positions = torch.tensor([[4, 0], [2, 2]])
    embedded = scheme.embed(positions)
    for row, column in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        expected = scheme.table.weight[positions[row, column]]
        torch.testing.assert_close(embedded[row, column], expected)
    embedded.sum().backward()
    assert scheme.table.weight.grad.sum(-1).tolist() == [3, 0, 6, 0, 3]


@pytest.mark.parametrize("position", [5, -1, 4000])
def test_learned_positions_say_how_to_go_on_beyond_the_table(position):
    with pytest.raises(ValueError, match=rf"position {position} has no vector.* = 4.*alibi"):
        LearnedPositions(5, 3).embed(torch.tensor([0, position]))
