"""ALiBi against BLOOM, MPT and the paper's numbers; T5's buckets against transformers' T5."""

import pytest
import torch
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor
from transformers.models.t5.modeling_t5 import T5Attention

from course_lib.model.positions import (
    AlibiPositions,
    T5Positions,
    alibi_bias,
    alibi_slopes,
    pairwise_distances,
    t5_bucket,
)


def queries_and_keys(batch=2, heads=6, kv_heads=3, queries=4, keys=5, dtype=torch.float32):
    return (
        torch.zeros(batch, heads, queries, 8, dtype=dtype),
        torch.zeros(batch, kv_heads, keys, 8, dtype=dtype),
    )


def causal_weights(scores):
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1)


def test_slopes_of_eight_heads_are_the_papers():
    assert alibi_slopes(8).tolist() == [
        1 / 2,
        1 / 4,
        1 / 8,
        1 / 16,
        1 / 32,
        1 / 64,
        1 / 128,
        1 / 256,
    ]


@pytest.mark.parametrize("num_heads", [1, 2, 3, 5, 6, 7, 12, 16, 25, 40])
def test_alibi_weights_equal_blooms(num_heads):
    length = 7
    bloom = build_alibi_tensor(torch.ones(1, length), num_heads, torch.float32)
    torch.testing.assert_close(alibi_slopes(num_heads), bloom[:, 0, 1])
    positions = torch.arange(length)
    ours = alibi_bias(num_heads, pairwise_distances(positions, positions))
    # BLOOM adds slope * key position: another constant in each row, which softmax ignores.
    bloom = bloom.expand(num_heads, length, length)
    torch.testing.assert_close(causal_weights(ours), causal_weights(bloom))


@pytest.mark.parametrize("num_heads", [3, 6, 8, 12, 25])
def test_alibi_has_mpts_slopes_in_another_order(num_heads):
    mpt = -build_mpt_alibi_tensor(num_heads, 2)[:, 0, 0]
    torch.testing.assert_close(alibi_slopes(num_heads).sort()[0], mpt.sort()[0])


def test_alibi_bias_by_hand():
    bias = alibi_bias(2, torch.tensor([[3, 0, -1]]))
    assert bias.tolist() == [[[-3 / 16, 0, -1 / 16]], [[-3 / 256, 0, -1 / 256]]]


def test_alibi_takes_batched_positions_with_a_cache():
    query, key = queries_and_keys(queries=1, dtype=torch.float16)
    scheme = AlibiPositions(6)
    of_query, of_key = torch.tensor([[4], [9]]), torch.tensor([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]])
    bias = scheme.bias(query, key, of_query, of_key)
    assert bias.shape == (2, 6, 1, 5)
    assert bias.dtype == torch.float16
    torch.testing.assert_close(bias[0], bias[1])
    shared = scheme.bias(query, key, of_query[0], of_key[0])
    torch.testing.assert_close(shared, bias[0])


def test_alibi_refuses_no_heads():
    with pytest.raises(ValueError, match="num_heads=0 must be at least 1"):
        alibi_slopes(0)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (4, 5), (64, 1000)])
def test_t5_buckets_equal_transformers_table(bidirectional, num_buckets, max_distance):
    relative = torch.arange(-1100, 1100)
    theirs = T5Attention._relative_position_bucket(
        relative, bidirectional, num_buckets, max_distance
    )
    ours = t5_bucket(
        relative, bidirectional=bidirectional, num_buckets=num_buckets, max_distance=max_distance
    )
    assert ours.tolist() == theirs.tolist()


def test_t5_buckets_by_hand():
    # 8 buckets, causal: 0 to 3 exact, then 4 to 6 log steps of a factor 2 up to 64, all else in 7.
    relative = torch.tensor([5, 0, -1, -3, -4, -7, -9, -15, -17, -31, -33, -1000])
    buckets = t5_bucket(relative, bidirectional=False, num_buckets=8, max_distance=64)
    assert buckets.tolist() == [0, 0, 1, 3, 4, 4, 5, 5, 6, 6, 7, 7]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_t5_bias_looks_the_buckets_up_per_head(bidirectional):
    query, key = queries_and_keys()
    scheme = T5Positions(6, bidirectional=bidirectional, num_buckets=8, max_distance=20)
    of_query, of_key = torch.tensor([30, 2, 7, 4]), torch.tensor([0, 30, 3, 4, 8])
    bias = scheme.bias(query, key, of_query, of_key)
    assert bias.shape == (6, 4, 5)
    for i, j, head in [(0, 0, 5), (1, 1, 0), (2, 4, 3), (3, 3, 2)]:
        bucket = T5Attention._relative_position_bucket(
            of_key[j] - of_query[i], bidirectional, 8, 20
        )
        assert bias[head, i, j] == scheme.table.weight[bucket, head]


def test_t5_learns_only_from_the_buckets_it_saw():
    query, key = queries_and_keys(queries=5)
    scheme = T5Positions(6, bidirectional=False)
    positions = torch.arange(5)
    scheme.bias(query, key, positions, positions).sum().backward()
    assert scheme.table.weight.grad[:, 0].tolist() == [15, 4, 3, 2, 1, *[0] * 27]


@pytest.mark.parametrize(("num_buckets", "max_distance"), [(1, 128), (2, 128), (32, 8)])
def test_t5_refuses_buckets_that_cannot_be(num_buckets, max_distance):
    with pytest.raises(
        ValueError, match=f"num_buckets={num_buckets} .*max_distance={max_distance}"
    ):
        t5_bucket(torch.arange(3), num_buckets=num_buckets, max_distance=max_distance)
