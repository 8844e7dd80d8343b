"""RoPE against transformers' LLaMA and complex numbers; xPos against the paper's sums."""

import cmath
import math

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from course_lib.model.positions import (
    RotaryPositions,
    XposPositions,
    apply_rope,
    xpos_scale,
)

POSITIONS = {
    "consecutive": torch.arange(5),
    "shifted": torch.arange(5) + 1234,
    "any order": torch.tensor([9, 0, 700, 3, 3]),
    "batched": torch.tensor([[0, 1, 2, 3, 4], [8, 6, 7, 100, 0]]),
}


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def scores(query, key):
    return query @ key.transpose(-2, -1)


def llama_rope(query, key, positions, base):
    dim = query.shape[-1]
    config = LlamaConfig(
        hidden_size=dim * query.shape[1],
        num_attention_heads=query.shape[1],
        head_dim=dim,
        rope_parameters={"rope_type": "default", "rope_theta": base},
    )
    position_ids = positions.expand(query.shape[0], -1)
    cos, sin = LlamaRotaryEmbedding(config)(query, position_ids)
    return apply_rotary_pos_emb(query, key, cos, sin)


@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS.keys())
@pytest.mark.parametrize("base", [10000.0, 500000.0, 10.0])
@pytest.mark.parametrize("dim", [2, 6, 14])
def test_rope_equals_llamas(positions, base, dim):
    query, key = normal(2, 6, 5, dim), normal(2, 3, 5, dim, seed=1)
    ours = RotaryPositions(dim, base)
    theirs_query, theirs_key = llama_rope(query, key, positions, base)
    torch.testing.assert_close(ours.rotate_query(query, positions), theirs_query)
    torch.testing.assert_close(ours.rotate_key(key, positions), theirs_key)


def test_rope_turns_complex_numbers():
    x, positions = normal(1, 1, 3, 4, dtype=torch.float64), [5, 0, 11]
    rotated = apply_rope(x, torch.tensor(positions))
    for row, position in enumerate(positions):
        for i in range(2):
            turn = cmath.exp(1j * position * 10000 ** (-2 * i / 4))
            number = complex(x[0, 0, row, i], x[0, 0, row, i + 2]) * turn
            assert complex(rotated[0, 0, row, i], rotated[0, 0, row, i + 2]) == pytest.approx(
                number,
                abs=1e-6,  # the frequencies are fp32
            )


def test_the_interleaved_form_is_a_permutation_away():
    x, positions, dim = normal(2, 3, 5, 6), torch.tensor([4, 0, 9, 2, 30]), 6
    half_to_interleaved = torch.arange(dim).view(2, dim // 2).T.flatten()  # 0, 3, 1, 4, 2, 5
    pairs = torch.view_as_complex(x[..., half_to_interleaved].unflatten(-1, (-1, 2)).contiguous())
    angles = positions[:, None] * 10000.0 ** (-torch.arange(0, dim, 2) / dim)
    interleaved = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles))
    torch.testing.assert_close(
        apply_rope(x, positions)[..., half_to_interleaved], interleaved.flatten(-2)
    )


@pytest.mark.parametrize("shift", [1, 37, 1000])
def test_rope_scores_depend_on_the_difference_only(shift):
    query, key = normal(2, 3, 4, 6, dtype=torch.float64), normal(2, 3, 4, 6, seed=1).double()
    positions = torch.tensor([[3, 9, 0, 5], [1, 1, 70, 8]])
    here = scores(apply_rope(query, positions), apply_rope(key, positions))
    there = scores(apply_rope(query, positions + shift), apply_rope(key, positions + shift))
    torch.testing.assert_close(here, there)
    assert not torch.allclose(here, scores(query, key))


def test_rope_keeps_norms_dtype_and_its_input():
    x = normal(2, 5, 3, 6).transpose(1, 2)  # not contiguous
    before = x.clone()
    rotated = apply_rope(x, torch.tensor([7, 0, 2**20, 5, 5]))
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(x, before, atol=0, rtol=0)
    assert apply_rope(x.bfloat16(), torch.arange(5)).dtype == torch.bfloat16


def test_half_precision_is_as_good_at_far_positions():
    x, far = normal(1, 1, 2, 8), torch.tensor([65_519, 4_001])
    expected = apply_rope(x, far)
    # fp16 has 11 bits; an angle taken in it would be wrong by radians.
    torch.testing.assert_close(apply_rope(x.half(), far).float(), expected, atol=5e-3, rtol=0)


def test_rope_takes_positions_of_any_number_type():
    x, positions = normal(1, 2, 3, 4), torch.tensor([5, 1, 90])
    for dtype in (torch.int32, torch.int16, torch.float32, torch.float64):
        torch.testing.assert_close(apply_rope(x, positions.to(dtype)), apply_rope(x, positions))


def test_gradients_flow_through_the_rotation():
    x = normal(1, 2, 3, 4, dtype=torch.float64).requires_grad_()
    positions = torch.tensor([4, 0, 7])
    assert torch.autograd.gradcheck(lambda x: apply_rope(x, positions), x)


def test_an_odd_head_dim_is_refused():
    with pytest.raises(ValueError, match="dim=5 must be even"):
        RotaryPositions(5)
    with pytest.raises(ValueError, match="dim=5 must be even"):
        apply_rope(torch.zeros(1, 1, 2, 5), torch.arange(2))


def test_xpos_scale_by_hand():
    # dim 4, gamma 0.4: zeta = 0.4 / 1.4 = 2/7 and 0.9 / 1.4 = 9/14; 512 positions are one power.
    scale = xpos_scale(torch.tensor([0, 512, -512, 1024]), 4)
    expected = [[1, 1], [2 / 7, 9 / 14], [7 / 2, 14 / 9], [4 / 49, 81 / 196]]
    torch.testing.assert_close(scale, torch.tensor(expected))
    other = xpos_scale(torch.tensor([10]), 4, scale_base=10.0, gamma=1.0)
    torch.testing.assert_close(other, torch.tensor([[1 / 2, 3 / 4]]))


def test_xpos_scores_are_the_papers_sum():
    """Re[sum_i q_i conj(k_i) zeta_i^((n-m)/B) e^(i (n-m) theta_i)], pair by pair."""
    dim, scale_base, base = 6, 7.0, 100.0
    query, key = normal(1, 1, 3, dim, dtype=torch.float64), normal(1, 1, 2, dim, seed=1).double()
    of_query, of_key = torch.tensor([9, 30, 12]), torch.tensor([2, 8])
    scheme = XposPositions(dim, base, scale_base=scale_base)
    ours = scores(scheme.rotate_query(query, of_query), scheme.rotate_key(key, of_key))
    for row, n in enumerate(of_query.tolist()):
        for column, m in enumerate(of_key.tolist()):
            total = 0.0
            for i in range(dim // 2):
                q = complex(query[0, 0, row, i], query[0, 0, row, i + dim // 2])
                k = complex(key[0, 0, column, i], key[0, 0, column, i + dim // 2])
                zeta = (i / (dim / 2) + 0.4) / 1.4
                turn = cmath.exp(1j * (n - m) * base ** (-2 * i / dim))
                total += (q * k.conjugate() * turn).real * zeta ** ((n - m) / scale_base)
            assert float(ours[0, 0, row, column]) == pytest.approx(total, abs=1e-5)


def test_xpos_fades_with_the_distance_and_keeps_it_relative():
    scheme = XposPositions(8, scale_base=16.0)
    ones = torch.ones(1, 1, 1, 8)

    def self_score(n, m):
        query = scheme.rotate_query(ones, torch.tensor([n]))
        return float(scores(query, scheme.rotate_key(ones, torch.tensor([m]))))

    assert self_score(5, 5) == pytest.approx(8)
    assert self_score(40, 37) == pytest.approx(self_score(3, 0), rel=1e-4)
    norms = [scheme.rotate_query(ones, torch.tensor([n])).norm() for n in (0, 16, 64, 256)]
    assert norms == sorted(norms, reverse=True)
    assert norms[0] == pytest.approx(math.sqrt(8))


def test_xpos_takes_batched_positions_and_grouped_keys():
    scheme = XposPositions(4, scale_base=8.0)
    query, key = normal(2, 6, 3, 4), normal(2, 2, 3, 4, seed=1)
    positions = torch.tensor([[0, 1, 2], [7, 30, 8]])
    rotated, rotated_key = scheme.rotate_query(query, positions), scheme.rotate_key(key, positions)
    for b in range(2):
        one = slice(b, b + 1)
        torch.testing.assert_close(rotated[one], scheme.rotate_query(query[one], positions[b]))
        torch.testing.assert_close(rotated_key[one], scheme.rotate_key(key[one], positions[b]))
    assert scheme.rotate_key(key.half(), positions).dtype == torch.float16
