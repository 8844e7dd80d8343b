"""The ledger against bytes worked by hand and against a ring that really sends its chunks."""

import pytest
import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard

from course_lib.parallel.collectives import (
    ByteLedger,
    Transfer,
    count_bytes,
    ring_all_reduce,
    ring_shift,
    simulated_ranks,
)
from course_lib.parallel.ranks import run_on_ranks

WORLD_SIZES = [2, 3, 5, 8, 16, 33, 64]


def floats(count):
    return torch.zeros(count)  # 4 bytes each


def parts(size, count=3):
    return [floats(count) for _ in range(size)]


# A call on rank 1 of 4, the bytes of the whole tensor, and those rank 1 sends.
CALLS = {
    "all_reduce": (lambda: dist.all_reduce(floats(8)), 32, 48),
    "all_gather": (lambda: dist.all_gather_single(floats(12), floats(3)), 48, 36),
    "all_gather of a list": (lambda: dist.all_gather(parts(4), floats(3)), 48, 36),
    "reduce_scatter": (lambda: dist.reduce_scatter_single(floats(3), floats(12)), 48, 36),
    "reduce_scatter of a list": (lambda: dist.reduce_scatter(floats(3), parts(4)), 48, 36),
    "all_to_all": (lambda: dist.all_to_all_single(floats(12), floats(12)), 48, 36),
    "all_to_all of a list": (lambda: dist.all_to_all(parts(4), parts(4)), 48, 36),
    "all_to_all in uneven parts": (
        lambda: dist.all_to_all_single(floats(8), floats(10), [2] * 4, [1, 2, 3, 4]),
        40,
        32,
    ),
    "broadcast": (lambda: dist.broadcast(floats(5), 0), 20, 20),
    "broadcast at the end of the chain": (lambda: dist.broadcast(floats(5), 2), 20, 0),
    "reduce": (lambda: dist.reduce(floats(5), 0), 20, 20),
    "reduce to itself": (lambda: dist.reduce(floats(5), 1), 20, 0),
    "gather": (lambda: dist.gather(floats(3), None, 0), 48, 12),
    "gather to itself": (lambda: dist.gather(floats(3), parts(4), 1), 48, 0),
    "scatter from itself": (lambda: dist.scatter(floats(3), parts(4), 1), 48, 36),
    "send": (lambda: dist.send(floats(7), 3), 28, 28),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_collective_is_entered_with_its_bytes(call):
    function, whole, sent = CALLS[call]
    with simulated_ranks(4, rank=1), count_bytes() as ledger:
        function()
    assert ledger.transfers == [Transfer(call.split()[0], 4, whole, sent)]


def test_the_receiving_end_sends_nothing():
    with simulated_ranks(4, rank=1), count_bytes() as ledger:
        dist.recv(floats(7), 3)
        dist.scatter(floats(3), None, 0)
        dist.barrier()
    assert ledger.sent_bytes == 0


@pytest.mark.parametrize("world_size", [1, *WORLD_SIZES])
def test_rooted_collectives_send_in_all_what_the_others_receive(world_size):
    totals = ByteLedger()
    for rank in range(world_size):
        with simulated_ranks(world_size, rank), count_bytes() as ledger:
            here = parts(world_size) if rank == 0 else None
            dist.broadcast(floats(3), 0)
            dist.reduce(floats(3), 0)
            dist.gather(floats(3), here, 0)
            dist.scatter(floats(3), here, 0)
        totals.transfers += ledger.transfers
    received = 12 * (world_size - 1)
    names = ("broadcast", "reduce", "gather", "scatter")
    assert totals.sent_bytes_by_name() == pytest.approx(dict.fromkeys(names, received))


@pytest.mark.parametrize("world_size", WORLD_SIZES)
def test_the_formula_of_all_reduce_is_what_a_ring_made_by_hand_sends(world_size):
    gradient = torch.zeros(101, 97)
    with simulated_ranks(world_size), count_bytes() as by_hand:
        ring_all_reduce(gradient)
    with simulated_ranks(world_size), count_bytes() as by_formula:
        dist.all_reduce(gradient)
    assert set(by_hand.sent_bytes_by_name()) == {"send"}
    assert len(by_hand.transfers) == 2 * (world_size - 1)
    assert by_formula.sent_bytes == pytest.approx(by_hand.sent_bytes, rel=0.01)


def test_the_ring_made_by_hand_sums_as_all_reduce_does():
    def work(shape):
        generator = torch.Generator().manual_seed(dist.get_rank())
        mine = torch.randn(shape, generator=generator)
        before = mine.clone()
        with count_bytes() as ledger:
            by_ring = ring_all_reduce(mine)
        assert torch.equal(mine, before)
        dist.all_reduce(mine)
        return by_ring, mine, ledger.sent_bytes

    for world_size, shape in ((1, (3,)), (3, (7, 5)), (4, (2,)), (4, (0,))):
        numel = torch.Size(shape).numel()
        for by_ring, theirs, sent in run_on_ranks(work, world_size, shape):
            # Two orders of the same few additions.
            torch.testing.assert_close(by_ring, theirs, rtol=1e-6, atol=1e-6)
            assert sent == 2 * (world_size - 1) * 4 * -(-numel // world_size)


def test_a_shift_brings_what_the_previous_rank_holds():
    def work():
        strided = torch.arange(6.0).view(2, 3).t() + 10 * dist.get_rank()
        return ring_shift(strided)

    results = run_on_ranks(work, 3)
    for rank, result in enumerate(results):
        expected = torch.arange(6.0).view(2, 3).t() + 10 * ((rank - 1) % 3)
        torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_rings_and_formulas_hold_in_a_part_of_the_ranks():
    def work():
        halves = [dist.new_group([0, 2]), dist.new_group([1, 3])]
        group = halves[dist.get_rank() % 2]
        with count_bytes() as ledger:
            total = ring_all_reduce(torch.full((4,), float(dist.get_rank())), group=group)
            dist.all_reduce(total, group=group)
        return total[0].item(), ledger

    for rank, (total, ledger) in enumerate(run_on_ranks(work, 4)):
        assert total == (4 if rank % 2 == 0 else 8)
        assert [each.group_size for each in ledger.transfers] == [2, 2, 2]
        assert ledger.sent_bytes == 16 + 16


def make_model():
    return nn.Sequential(nn.Linear(48, 132, bias=False), nn.Linear(132, 48))


def replicated_ledger():
    """A step of DistributedDataParallel; its own hook cannot run on simulated ranks."""
    model = nn.parallel.DistributedDataParallel(make_model())
    if dist.get_backend() == "fake":

        def hook(_, bucket):
            dist.all_reduce(bucket.buffer())
            future = torch.futures.Future()
            future.set_result(bucket.buffer())
            return future

        model.register_comm_hook(None, hook)
    with count_bytes() as ledger:
        model(torch.ones(2, 48)).sum().backward()
    return ledger


def sharded_ledger():
    """A step of FSDP2, which gathers each layer twice: forward, and again backward."""
    model = make_model()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh)
    with count_bytes() as ledger:
        model(torch.ones(2, 48, requires_grad=True)).sum().backward()
    return ledger


MODEL_BYTES = 4 * (48 * 132 + 132 * 48 + 48)


@pytest.mark.parametrize("world_size", [2, 3, 4, 6, 12])  # they divide 132 and 48: no padding
def test_sharding_talks_one_and_a_half_times_as_much_as_replicating(world_size):
    with simulated_ranks(world_size):
        replicated, sharded = replicated_ledger(), sharded_ledger()
    part = MODEL_BYTES * (world_size - 1) / world_size
    assert replicated.sent_bytes_by_name() == {"all_reduce": pytest.approx(2 * part)}
    assert sharded.sent_bytes_by_name() == pytest.approx(
        {"all_gather": 2 * part, "reduce_scatter": part}
    )
    assert sharded.sent_bytes / replicated.sent_bytes == pytest.approx(1.5)


@pytest.mark.parametrize("world_size", [2, 4, 8, 16, 32, 64])
def test_the_ratio_holds_up_to_64_ranks(world_size):
    parameters = floats(64 * 100)
    with simulated_ranks(world_size), count_bytes() as replicated:
        dist.all_reduce(parameters)
    with simulated_ranks(world_size), count_bytes() as sharded:
        shard = parameters.chunk(world_size)[0]
        dist.all_gather_single(parameters, shard)
        dist.all_gather_single(parameters, shard)
        dist.reduce_scatter_single(shard, parameters)
    assert sharded.sent_bytes / replicated.sent_bytes == pytest.approx(1.5)


def test_real_ranks_count_what_simulated_ones_do():
    with simulated_ranks(2):
        simulated = replicated_ledger().sent_bytes, sharded_ledger().sent_bytes

    def work():
        return replicated_ledger().sent_bytes, sharded_ledger().sent_bytes

    assert run_on_ranks(work, 2) == [simulated] * 2


def test_functional_collectives_and_dtensors_are_seen():
    with simulated_ranks(4), count_bytes() as ledger:
        mesh = init_device_mesh("cpu", (4,))
        whole = DTensor.from_local(floats(5), mesh, [Shard(0)]).redistribute(mesh, [Replicate()])
        (whole + 1).to_local()
        functional.all_reduce(floats(8), "sum", dist.group.WORLD) + 1
        functional.reduce_scatter_single(floats(8), "sum", 0, dist.group.WORLD) + 1
        functional.all_to_all_single(floats(10), [2] * 4, [4, 1, 2, 3], dist.group.WORLD) + 1
    assert ledger.transfers == [
        Transfer("all_gather", 4, 80, 60),
        Transfer("all_reduce", 4, 32, 48),
        Transfer("reduce_scatter", 4, 32, 24),
        Transfer("all_to_all", 4, 40, 24),
    ]


def test_ledgers_nest_and_end():
    with simulated_ranks(2):
        with count_bytes() as outer:
            dist.all_reduce(floats(1))
            with count_bytes() as inner:
                dist.all_reduce(floats(2))
        dist.all_reduce(floats(4))
    assert inner.sent_bytes == 8
    assert outer.sent_bytes == 12


def test_simulated_ranks_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="rank=3"), simulated_ranks(3, rank=3):
        pass
    with simulated_ranks(2), pytest.raises(ValueError, match="inside"), simulated_ranks(2):
        pass
    assert not dist.is_initialized()
