"""Transformer-XL against the paper's four terms, DeBERTa against transformers' DeBERTa-v2."""

import itertools

import pytest
import torch
from transformers import DebertaV2Config
from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention

from course_lib.model.positions import (
    DebertaPositions,
    TransformerXLPositions,
    disentangled_scores,
    pairwise_distances,
    relative_shift,
    sinusoidal,
)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 5), (5, 1), (4, 4), (3, 7), (7, 3)])
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_relative_shift_equals_an_explicit_gather(queries, keys, leading):
    x = normal(*leading, queries, queries + keys - 1)
    shifted = relative_shift(x)
    assert shifted.shape == (*leading, queries, keys)
    for i, j in itertools.product(range(queries), range(keys)):
        distance = i + keys - queries - j
        torch.testing.assert_close(shifted[..., i, j], x[..., i, keys - 1 - distance])


def test_relative_shift_by_hand():
    # Columns are distances 2, 1, 0, -1; the queries stand at positions 1 and 2.
    assert relative_shift(torch.tensor([[20.0, 10, 0, -10], [21, 11, 1, -9]])).tolist() == [
        [10, 0, -10],
        [21, 11, 1],
    ]


def test_relative_shift_passes_gradients():
    assert torch.autograd.gradcheck(relative_shift, normal(2, 3, 6).requires_grad_())


@pytest.fixture
def transformer_xl():
    torch.manual_seed(0)
    scheme = TransformerXLPositions(model_dim=10, num_heads=6, head_dim=4).double()
    torch.nn.init.normal_(scheme.content_bias)
    torch.nn.init.normal_(scheme.position_bias)
    return scheme


@pytest.mark.parametrize("kv_heads", [6, 2])
def test_transformer_xl_scores_are_the_papers_four_terms(transformer_xl, kv_heads):
    query, key = normal(2, 6, 3, 4), normal(2, kv_heads, 5, 4, seed=1)
    of_query, of_key = torch.tensor([[2, 3, 4], [9, 0, 5]]), torch.tensor([0, 1, 2, 3, 40])
    bias = transformer_xl.bias(query, key, of_query, of_key)
    ours = query @ key.repeat_interleave(6 // kv_heads, 1).transpose(-2, -1) / 2 + bias
    weight = transformer_xl.projection.weight.unflatten(0, (6, 4))
    for b, h, i, j in itertools.product(range(2), range(6), range(3), range(5)):
        q, k = query[b, h, i], key[b, h // (6 // kv_heads), j]
        distance = of_query[b, i] - of_key[j]
        r = weight[h] @ sinusoidal(distance[None], 10)[0].double()
        u, v = transformer_xl.content_bias[h], transformer_xl.position_bias[h]
        expected = (q @ k + q @ r + u @ k + v @ r) / 2  # sqrt(4)
        torch.testing.assert_close(ours[b, h, i, j], expected)


def test_transformer_xl_equals_its_relative_shift(transformer_xl):
    query, key = normal(2, 6, 3, 4), normal(2, 6, 7, 4, seed=1)
    bias = transformer_xl.bias(query, key, torch.arange(4, 7), torch.arange(7))
    falling = sinusoidal(torch.arange(6, -3, -1), 10).double()
    r = transformer_xl.projection(falling).unflatten(-1, (6, 4)).transpose(0, 1)
    by_distance = (query + transformer_xl.position_bias[:, None]) @ r.transpose(-2, -1)
    by_key = key @ transformer_xl.content_bias[:, :, None]
    expected = (relative_shift(by_distance) + by_key.transpose(-2, -1)) / 2
    torch.testing.assert_close(bias, expected)


def test_transformer_xl_depends_on_the_difference_only(transformer_xl):
    query, key = normal(1, 6, 3, 4), normal(1, 6, 5, 4, seed=1)
    of_query, of_key = torch.tensor([8, 1, 3]), torch.arange(5)
    here = transformer_xl.bias(query, key, of_query, of_key)
    there = transformer_xl.bias(query, key, of_query + 1000, of_key + 1000)
    torch.testing.assert_close(here, there)


def deberta_pair(reach, heads=3, dim=4, model_dim=12):
    """transformers' attention with separate position projections, and ours with its weights."""
    torch.manual_seed(0)
    config = DebertaV2Config(
        hidden_size=model_dim,
        num_attention_heads=heads,
        relative_attention=True,
        max_relative_positions=reach,
        position_buckets=-1,
        share_att_key=False,
        pos_att_type=["c2p", "p2c"],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    theirs = DisentangledSelfAttention(config).double()
    ours = DebertaPositions(model_dim, heads, dim, max_distance=reach).double()
    ours.query_projection.load_state_dict(theirs.pos_query_proj.state_dict())
    ours.key_projection.load_state_dict(theirs.pos_key_proj.state_dict())
    torch.nn.init.normal_(ours.table.weight)
    return ours, theirs


@pytest.mark.parametrize("reach", [2, 5, 16])
def test_deberta_equals_transformers_bias_and_weights(reach):
    heads, dim, length = 3, 4, 7
    ours, theirs = deberta_pair(reach)
    hidden = normal(2, length, 12)

    def split(x):
        return x.unflatten(-1, (heads, dim)).transpose(1, 2)

    query, key = split(theirs.query_proj(hidden)), split(theirs.key_proj(hidden))
    positions = torch.arange(length)
    bias = ours.bias(query, key, positions, positions)
    flat = (each.flatten(0, 1) for each in (query, key))
    expected = theirs.disentangled_attention_bias(*flat, None, ours.table.weight, 3)
    torch.testing.assert_close(bias, expected.view(bias.shape))

    mask = torch.ones(2, 1, length, length, dtype=torch.bool)
    _, weights = theirs(hidden, mask, output_attentions=True, rel_embeddings=ours.table.weight)
    scores = query @ key.transpose(-2, -1) * ours.scale + bias
    torch.testing.assert_close(scores.softmax(-1), weights)


def test_disentangled_scores_by_loops():
    heads, reach, dim = 2, 3, 5
    query, key = normal(2, heads, 4, dim), normal(2, heads, 6, dim, seed=1)
    q_of, k_of = normal(heads, 2 * reach, dim, seed=2), normal(heads, 2 * reach, dim, seed=3)
    apart = pairwise_distances(
        torch.tensor([[5, 0, 1, 100], [3, 2, 1, 0]]), torch.tensor([0, 3, 2, 9, 5, 1])
    )
    ours = disentangled_scores(query, key, position_query=q_of, position_key=k_of, distances=apart)
    for b, h, i, j in itertools.product(range(2), range(heads), range(4), range(6)):
        row = min(max(int(apart[b, i, j]) + reach, 0), 2 * reach - 1)
        expected = query[b, h, i] @ k_of[h, row] + key[b, h, j] @ q_of[h, row]
        torch.testing.assert_close(ours[b, h, i, j], expected)


def test_deberta_takes_grouped_keys_and_positions_of_any_length():
    scheme = DebertaPositions(10, 6, 4, max_distance=3).double()
    query, key = normal(2, 6, 3, 4), normal(2, 2, 5, 4, seed=1)
    of_query, of_key = torch.tensor([4000, 2, 3]), torch.arange(5)
    grouped = scheme.bias(query, key, of_query, of_key)
    repeated = scheme.bias(query, key.repeat_interleave(3, dim=1), of_query, of_key)
    torch.testing.assert_close(grouped, repeated)
    assert scheme.scale == pytest.approx(12**-0.5)


def test_every_parameter_gets_a_gradient(transformer_xl):
    query, key = normal(2, 6, 3, 4), normal(2, 6, 3, 4, seed=1)
    positions = torch.arange(3)
    for scheme in (transformer_xl, DebertaPositions(10, 6, 4, max_distance=8).double()):
        (scheme.bias(query, key, positions, positions) ** 2).sum().backward()
        assert all(each.grad.abs().sum() > 0 for each in scheme.parameters())
