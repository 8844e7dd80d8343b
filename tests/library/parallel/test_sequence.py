"""Ring attention against attention on the whole sequence, in value, gradients, bytes and work."""

import pytest
import torch
import torch.distributed as dist
from torch.utils.flop_counter import FlopCounterMode

from course_lib.model.attention import attention
from course_lib.parallel.collectives import count_bytes, simulated_ranks
from course_lib.parallel.ranks import run_on_ranks
from course_lib.parallel.sequence import (
    contiguous_positions,
    ring_attention,
    zigzag_join,
    zigzag_positions,
    zigzag_split,
)


def make_inputs(length, *, keys=None, batch=2, heads=6, kv_heads=3, dim=5, value_dim=7, factor=1):
    """Query, key, value and the output's gradient, every size different."""
    generator = torch.Generator().manual_seed(length)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    keys = keys or length
    return (
        normal(batch, heads, length, dim) * factor,
        normal(batch, kv_heads, keys, dim),
        normal(batch, kv_heads, keys, value_dim),
        normal(batch, heads, length, value_dim),
    )


def split(x, world_size, zigzag):
    return zigzag_split(x, world_size) if zigzag else list(x.chunk(world_size, dim=-2))


def attend(inputs, is_causal, zigzag, scale):
    """On a rank: output, three gradients, bytes of its key and value, ledgers of both ways."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    query, key, value, grad = (split(x, world_size, zigzag)[rank].clone() for x in inputs)
    for each in (query, key, value):
        each.requires_grad_()
    with count_bytes() as forward:
        output = ring_attention(query, key, value, is_causal=is_causal, zigzag=zigzag, scale=scale)
    with count_bytes() as backward:
        output.backward(grad)
    return (output, query.grad, key.grad, value.grad), key.nbytes + value.nbytes, forward, backward


def whole_attention(inputs, is_causal, scale):
    *inputs, grad = inputs
    inputs = [each.clone().requires_grad_() for each in inputs]
    output = attention(*inputs, is_causal=is_causal, scale=scale)
    return output.detach(), *torch.autograd.grad(output, inputs, grad)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("zigzag", [False, True])
@pytest.mark.parametrize("world_size", [1, 3, 4])
def test_ring_attention_is_attention_forward_and_backward(world_size, zigzag, is_causal):
    inputs = make_inputs(24)
    results = run_on_ranks(attend, world_size, inputs, is_causal, zigzag, 0.3)
    expected = whole_attention(inputs, is_causal, 0.3)
    for part, theirs in enumerate(expected):
        blocks = [result[0][part] for result in results]
        ours = zigzag_join(blocks) if zigzag else torch.cat(blocks, dim=-2)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)  # fp32, sums reordered


def test_queries_and_keys_may_differ_in_number_without_a_mask():
    inputs = make_inputs(8, keys=20)
    results = run_on_ranks(attend, 4, inputs, False, False, None)
    for part, theirs in enumerate(whole_attention(inputs, False, None)):
        ours = torch.cat([result[0][part] for result in results], dim=-2)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_large_scores_do_not_overflow():
    inputs = make_inputs(16, factor=100)
    results = run_on_ranks(attend, 2, inputs, True, True, None)
    ours = zigzag_join([result[0][0] for result in results])
    # Scores of 300 have a rounding error of 3e-5, which e^ makes a relative error.
    torch.testing.assert_close(ours, whole_attention(inputs, True, None)[0], rtol=1e-4, atol=1e-4)


def test_gradients_agree_with_finite_differences():
    inputs = make_inputs(4, batch=1, heads=2, kv_heads=1, dim=2, value_dim=3)

    def work():
        rank = dist.get_rank()
        query, key, value, grad = (x.double().chunk(2, dim=-2)[rank].clone() for x in inputs)
        variables = [each.requires_grad_() for each in (query, key, value)]

        def total():
            output = ring_attention(*variables, is_causal=True)
            loss = (output * grad).sum()
            summed = loss.detach().clone()
            dist.all_reduce(summed)
            return loss, summed.item()

        total()[0].backward()
        differences = []
        for owner in range(2):
            for each in variables:
                flat = each.data.view(-1)
                for index in range(len(flat)):
                    values = []
                    for step in (1e-5, -1e-5):
                        flat[index] += step * (rank == owner)
                        values.append(total()[1])
                        flat[index] -= step * (rank == owner)
                    if rank == owner:
                        slope = (values[0] - values[1]) / 2e-5
                        differences.append(abs(slope - each.grad.view(-1)[index].item()))
        return max(differences)

    assert max(run_on_ranks(work, 2)) < 1e-8


@pytest.mark.parametrize("zigzag", [False, True])
def test_key_and_value_go_round_once_and_not_a_hop_more(zigzag):
    for _, block_bytes, forward, backward in run_on_ranks(
        attend, 4, make_inputs(16), True, zigzag, None
    ):
        assert [(each.name, each.sent_bytes) for each in forward.transfers] == (
            [("send", block_bytes)] * 3
        )
        assert backward.sent_bytes == 2 * 3 * block_bytes  # key and value, and their gradients


@pytest.mark.parametrize("world_size", [2, 8, 64])
def test_bytes_a_rank_grow_with_the_whole_sequence_only(world_size):
    block = torch.zeros(1, 1, 2, 3)
    with simulated_ranks(world_size), count_bytes() as ledger:
        ring_attention(block, block, block)
    assert ledger.sent_bytes == (world_size - 1) * 2 * block.nbytes


def visible_pairs(positions):
    return int((positions + 1).sum())  # position p sees p + 1 keys


def imbalance(work):
    return max(work) / (sum(work) / len(work))


def test_zigzag_balances_the_pairs_that_see_each_other():
    positions = {
        layout: [layout(rank, 4, 512) for rank in range(4)]
        for layout in (contiguous_positions, zigzag_positions)
    }
    of_contiguous, of_zigzag = (list(map(visible_pairs, each)) for each in positions.values())
    assert imbalance(of_contiguous) == pytest.approx(1.75, abs=0.01)
    assert imbalance(of_zigzag) == 1.0


def test_zigzag_balances_the_pairs_that_are_computed():
    def flops(zigzag):
        query, key, value, _ = (
            split(x, dist.get_world_size(), zigzag)[dist.get_rank()] for x in make_inputs(64)
        )
        with FlopCounterMode(display=False) as counter:
            ring_attention(query, key, value, is_causal=True, zigzag=zigzag)
        return counter.get_total_flops()

    of_contiguous, of_zigzag = (run_on_ranks(flops, 4, zigzag) for zigzag in (False, True))
    assert imbalance(of_contiguous) == pytest.approx(4 / 2.5)  # whole blocks, the diagonal's too
    assert imbalance(of_zigzag) <= 1.05
    assert max(of_zigzag) < max(of_contiguous)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_zigzag_gives_every_position_to_one_rank_and_comes_back(world_size):
    length = 6 * world_size
    positions = [zigzag_positions(rank, world_size, 6) for rank in range(world_size)]
    assert sorted(torch.cat(positions).tolist()) == list(range(length))
    assert all((each.diff() > 0).all() for each in positions)
    x = torch.arange(length * 2.0).view(1, length, 2)
    assert torch.equal(zigzag_join(zigzag_split(x, world_size)), x)


def test_zigzag_pairs_a_chunk_with_its_mirror_image():
    assert zigzag_positions(1, 4, 4).tolist() == [2, 3, 12, 13]


def test_what_cannot_be_split_or_attended_is_refused():
    with pytest.raises(ValueError, match="length=10 must be a multiple of 2 world_size = 4"):
        zigzag_split(torch.zeros(10, 3), 2)
    with pytest.raises(ValueError, match="block_length=3 must be even"):
        zigzag_positions(0, 2, 3)
    query, key, value, _ = make_inputs(4, keys=6)
    with simulated_ranks(2):
        with pytest.raises(ValueError, match=r"num_heads=5 .* multiple of the key's 3"):
            ring_attention(query[:, :5], key, value)
        with pytest.raises(ValueError, match="queries=4 and keys=6"):
            ring_attention(query, key, value, is_causal=True)
        with pytest.raises(ValueError, match="keys=0"):
            ring_attention(query, key[:, :, :0], value[:, :, :0])
