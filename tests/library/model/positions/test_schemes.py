"""What all schemes have in common: the protocol, any length, any batch, any dtype."""

from types import SimpleNamespace

import pytest
import torch

from course_lib.model.attention import attention
from course_lib.model.positions import SCHEMES, Positions, make_positions

EXTRAPOLATING = [name for name in SCHEMES if name != "learned"]


def configuration(positions, **changes):
    fields = {
        "model_dim": 18,
        "num_heads": 6,
        "head_dim": 6,
        "context_length": 12,
        "rope_base": 10000.0,
        "rope_scale": 4.0,
        "position_buckets": 8,
        "max_distance": 10,
    }
    return SimpleNamespace(positions=positions, **(fields | changes))


def attend(scheme, query, key, value, query_positions, key_positions):
    query = scheme.rotate_query(query, query_positions)
    key = scheme.rotate_key(key, key_positions)
    bias = scheme.bias(query, key, query_positions, key_positions)
    return attention(query, key, value, bias=bias, is_causal=True, scale=scheme.scale)


def make_inputs(batch=2, queries=5, keys=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, 6, queries, 6), (batch, 2, keys, 6), (batch, 2, keys, 3)]
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("name", EXTRAPOLATING)
def test_four_times_the_trained_length_is_accepted(name):
    scheme, positions = make_positions(configuration(name)), torch.arange(48)
    output = attend(scheme, *make_inputs(1, 48, 48, torch.float32), positions, positions)
    assert output.isfinite().all()
    added = scheme.embed(positions)
    assert added is None or added.shape == (48, 18)


@pytest.mark.parametrize("name", EXTRAPOLATING)
def test_attention_sees_differences_of_positions_only(name):
    scheme, positions = make_positions(configuration(name)).double(), torch.arange(5)
    here = attend(scheme, *make_inputs(), positions, positions)
    there = attend(scheme, *make_inputs(), positions + 30, positions + 30)
    torch.testing.assert_close(here, there)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_cache_changes_nothing(name):
    scheme, positions = make_positions(configuration(name)).double(), torch.arange(7)
    query, key, value = make_inputs(2, 7, 7)
    whole = attend(scheme, query, key, value, positions, positions)
    last = attend(scheme, query[:, :, -2:], key, value, positions[-2:], positions)
    torch.testing.assert_close(last, whole[:, :, -2:])


@pytest.mark.parametrize("name", SCHEMES)
def test_every_sequence_of_a_batch_may_have_its_own_positions(name):
    scheme = make_positions(configuration(name)).double()
    query, key, value = make_inputs()
    positions = torch.tensor([[0, 1, 2, 3, 4], [5, 6, 2, 9, 0]])
    together = attend(scheme, query, key, value, positions, positions)
    for b in range(2):
        one = [each[b : b + 1] for each in (query, key, value)]
        alone = attend(scheme, *one, positions[b], positions[b])
        torch.testing.assert_close(together[b : b + 1], alone)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_precision(name, dtype):
    scheme, positions = make_positions(configuration(name)).to(dtype), torch.arange(5)
    output = attend(scheme, *make_inputs(dtype=dtype), positions, positions)
    assert output.dtype == dtype
    assert output.isfinite().all()


def test_rotary_schemes_share_their_weights_with_rope():
    for name in ("rope", "xpos", "interpolation", "yarn", "sinusoidal", "alibi", "none"):
        assert not make_positions(configuration(name)).state_dict()


def test_schemes_with_weights_of_each_layer_say_so():
    per_layer = {name for name in SCHEMES if make_positions(configuration(name)).per_layer}
    assert per_layer == {"transformer_xl", "deberta"}


def test_without_positions_nothing_is_done():
    scheme, positions = make_positions(configuration("none")), torch.arange(5)
    query, key, _ = make_inputs()
    assert type(scheme) is Positions
    assert scheme.embed(positions) is None
    assert scheme.bias(query, key, positions, positions) is None
    assert scheme.rotate_query(query, positions) is query
    assert scheme.rotate_key(key, positions) is key


@pytest.mark.parametrize("name", SCHEMES)
def test_turns_computed_once_for_all_layers_are_those_each_would_compute(name):
    scheme, (query, key, _) = make_positions(configuration(name)), make_inputs()
    positions = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 0]])
    turns = scheme.turns(positions, query.dtype)
    for rotated, alone in (
        (scheme.rotate_query(query, positions, turns), scheme.rotate_query(query, positions)),
        (scheme.rotate_key(key, positions, turns), scheme.rotate_key(key, positions)),
    ):
        assert torch.equal(rotated, alone)


def test_xpos_at_the_papers_length_has_the_papers_base():
    assert make_positions(configuration("xpos", context_length=1024)).scale_base == 512


def test_an_encoder_cannot_have_xpos():
    with pytest.raises(ValueError, match="enlarge keys ahead"):
        make_positions(configuration("xpos"), is_causal=False)


def test_an_encoder_has_buckets_on_both_sides():
    assert make_positions(configuration("t5"), is_causal=False).bidirectional
    assert not make_positions(configuration("t5")).bidirectional


def test_an_unknown_scheme_is_answered_with_the_names():
    with pytest.raises(ValueError, match=r"positions='rotary' must be one of none, .*yarn"):
        make_positions(configuration("rotary"))
