"""Position Interpolation and YaRN against the scaled rotary embeddings of transformers."""

import math

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from course_lib.model.positions import (
    InterpolatedPositions,
    RotaryPositions,
    YarnPositions,
    angular_frequencies,
    apply_rope,
    interpolate_positions,
    yarn_frequencies,
)

POSITIONS = torch.tensor([[0, 1, 2, 3, 4], [8, 6, 7, 4000, 255]])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def scaled_llama(dim, base, length, **scaling):
    config = LlamaConfig(
        hidden_size=3 * dim,
        num_attention_heads=3,
        head_dim=dim,
        max_position_embeddings=length,
        rope_parameters={"rope_theta": base, **scaling},
    )
    return LlamaRotaryEmbedding(config)


@pytest.mark.parametrize("scale", [1.0, 4.0, 2.5])
@pytest.mark.parametrize("dim", [2, 6, 14])
def test_interpolation_equals_linear_scaling_of_transformers(scale, dim):
    query, key = normal(2, 3, 5, dim), normal(2, 3, 5, dim, seed=1)
    theirs = scaled_llama(dim, 500.0, 64, rope_type="linear", factor=scale)
    expected = apply_rotary_pos_emb(query, key, *theirs(query, POSITIONS))
    ours = InterpolatedPositions(dim, 500.0, scale=scale)
    # Theirs divides the frequencies, ours the positions: angles near 4,000 differ by rounding.
    for got, want in zip(
        (ours.rotate_query(query, POSITIONS), ours.rotate_key(key, POSITIONS)),
        expected,
        strict=True,
    ):
        torch.testing.assert_close(got, want, atol=2e-3, rtol=0)
        torch.testing.assert_close(got[0], want[0])


def test_interpolated_positions_by_hand():
    squeezed = interpolate_positions(torch.tensor([[0, 1, 6], [255, 3, 2]]), 4.0)
    assert squeezed.tolist() == [[0, 0.25, 1.5], [63.75, 0.75, 0.5]]
    assert interpolate_positions(torch.tensor([7], dtype=torch.float16), 2.0).tolist() == [3.5]


def test_no_interpolated_angle_lies_beyond_training():
    trained, extended = 64, 256
    x = torch.ones(1, 1, extended, 6)
    scheme = InterpolatedPositions(6, scale=extended / trained)
    every_fourth = scheme.rotate_query(x, torch.arange(extended))[:, :, ::4]
    torch.testing.assert_close(every_fourth, apply_rope(x[:, :, :trained], torch.arange(trained)))


@pytest.mark.parametrize(
    ("dim", "base", "length", "scale"),
    [
        (64, 10000.0, 2048, 16.0),
        (128, 10000.0, 4096, 8.0),
        (16, 10000.0, 64, 4.0),
        (6, 500.0, 300, 2.5),
        (2, 10000.0, 64, 4.0),
        (96, 500000.0, 8192, 32.0),
    ],
)
def test_yarn_equals_transformers(dim, base, length, scale):
    theirs = scaled_llama(
        dim,
        base,
        length,
        rope_type="yarn",
        factor=scale,
        original_max_position_embeddings=length,
    )
    frequencies, factor = yarn_frequencies(dim, scale, context_length=length, base=base)
    torch.testing.assert_close(frequencies, theirs.inv_freq)
    assert factor == pytest.approx(theirs.attention_scaling)

    query, key = normal(2, 3, 5, dim), normal(2, 3, 5, dim, seed=1)
    expected = apply_rotary_pos_emb(query, key, *theirs(query, POSITIONS))
    ours = YarnPositions(dim, base, scale=scale, context_length=length)
    torch.testing.assert_close(ours.rotate_query(query, POSITIONS), expected[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.rotate_key(key, POSITIONS), expected[1], atol=1e-4, rtol=0)


def test_yarn_keeps_fast_pairs_and_divides_slow_ones():
    dim, length, scale = 64, 2048, 16.0
    plain = angular_frequencies(dim)
    yarn, factor = yarn_frequencies(dim, scale, context_length=length)
    turns = length * plain / (2 * math.pi)
    ratio = plain / yarn
    torch.testing.assert_close(ratio[turns > 33], torch.ones(int((turns > 33).sum())))
    slow = turns < 0.8
    torch.testing.assert_close(ratio[slow], torch.full((int(slow.sum()),), scale))
    assert (ratio.diff() >= 0).all()
    assert factor == pytest.approx(0.1 * math.log(16) + 1)


def test_scale_one_is_plain_rope():
    x, positions = normal(1, 2, 5, 6), torch.tensor([3, 0, 9, 100, 2])
    plain = RotaryPositions(6).rotate_query(x, positions)
    for scheme in (
        InterpolatedPositions(6, scale=1.0),
        YarnPositions(6, scale=1.0, context_length=32),
    ):
        torch.testing.assert_close(scheme.rotate_query(x, positions), plain)
        assert not scheme.state_dict()


def test_yarns_scores_are_sharpened_by_the_square_of_the_factor():
    x, here = normal(1, 1, 1, 8), torch.tensor([5])
    scheme = YarnPositions(8, scale=4.0, context_length=64)
    score = (scheme.rotate_query(x, here) * scheme.rotate_key(x, here)).sum()
    torch.testing.assert_close(score, (x * x).sum() * (0.1 * math.log(4) + 1) ** 2)


@pytest.mark.parametrize("scale", [0.5, 0.0, -2.0, float("nan")])
def test_a_scale_below_one_is_refused(scale):
    with pytest.raises(ValueError, match=r"rope_scale=.* must be at least 1"):
        interpolate_positions(torch.arange(3), scale)
    with pytest.raises(ValueError, match=r"rope_scale=.* must be at least 1"):
        InterpolatedPositions(4, scale=scale)
    with pytest.raises(ValueError, match=r"rope_scale=.* must be at least 1"):
        YarnPositions(4, scale=scale, context_length=8)
