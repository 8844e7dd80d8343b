"""The counted fast memory: what it counts, what it refuses, and the traffic of eager code."""

import gc

import pytest
import torch
import torch.nn.functional as F

from course_lib.model.fast_memory import FastMemory, blocks_of, eager_bytes


def test_loads_stores_and_what_lives_between_them_are_counted():
    slow = torch.arange(24.0).reshape(6, 4)
    with FastMemory(200) as memory:
        target = memory.empty(2, 4)
        block = memory.load(slow[1:3])
        doubled = 2 * block
        memory.store(doubled, target)
    assert (memory.bytes_read, memory.bytes_written, memory.bytes_moved) == (32, 32, 64)
    assert (memory.used_bytes, memory.peak_bytes, memory.slow_bytes) == (64, 64, 32)
    assert torch.equal(target, 2 * slow[1:3])
    del block, doubled
    gc.collect()
    assert memory.used_bytes == 0


def test_views_cost_nothing_and_keep_their_base_in_memory():
    slow = torch.ones(3, 5)
    with FastMemory() as memory:
        block = memory.load(slow)
        view = block.T[1:3]
        del block
        assert memory.used_bytes == 60
        assert view.sum() == 6
    assert memory.bytes_moved == 60


def test_a_result_that_does_not_fit_is_refused_with_its_bytes():
    slow = torch.ones(10, 2)
    with FastMemory(300) as memory:
        block = memory.load(slow)
        with pytest.raises(MemoryError, match=r"mm makes a tensor \(10, 10\) of 400 bytes.*300"):
            block @ block.T


def test_intermediate_results_are_freed_as_they_are_replaced():
    slow = torch.ones(10, 10)
    with FastMemory(3 * 400) as memory:
        total = memory.load(slow)
        for _ in range(20):
            total = total * 1.5
    assert memory.peak_bytes == 800


@pytest.mark.parametrize(
    "compute",
    [
        lambda slow, block: slow @ slow.T,
        lambda slow, block: slow[:2] + block,
        lambda slow, block: slow[:2].copy_(block),
        lambda slow, block: slow.zero_(),
        lambda slow, block: slow.sum().item(),
    ],
)
def test_slow_memory_cannot_be_computed_with(compute):
    slow = torch.ones(4, 3)
    with FastMemory() as memory:
        block = memory.load(slow[:2])
        with pytest.raises(ValueError, match="in slow memory: load a block"):
            compute(slow, block)


def test_load_and_store_go_one_way_each():
    slow = torch.ones(4)
    with FastMemory() as memory:
        block = memory.load(slow)
        with pytest.raises(ValueError, match="already"):
            memory.load(block)
        with pytest.raises(ValueError, match="block must lie in fast memory"):
            memory.store(slow, memory.empty(4))
        with pytest.raises(ValueError, match="`to` in slow"):
            memory.store(block, block)
        with pytest.raises(ValueError, match=r"\(4,\) does not fit \(3,\)"):
            memory.store(block, memory.empty(3))


def test_shapes_of_slow_tensors_may_be_asked_for():
    slow = torch.ones(4, 3, dtype=torch.float64)
    with FastMemory() as memory:
        assert memory.holds(torch.zeros_like(slow))
        assert memory.holds(slow.new_zeros(2))
        assert not memory.holds(slow[1:].T)
    assert memory.used_bytes == 0
    assert memory.bytes_moved == 0


def test_blocks_cover_a_length_and_the_last_is_ragged():
    assert blocks_of(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert blocks_of(0, 3) == []
    assert blocks_of(2, 3) == [slice(0, 2)]


def test_eager_code_reads_and_writes_once_an_operation():
    x = torch.ones(10, 6)  # 240 bytes
    assert eager_bytes(lambda x: x + 1, x) == 480
    assert eager_bytes(lambda x: (x + 1) * 2, x) == 960
    assert eager_bytes(lambda x: x.T[1:], x) == 0
    assert eager_bytes(lambda x: x.sum(dim=0), x) == 240 + 24
    assert eager_bytes(lambda x: F.softmax(x, dim=-1), x) == 480
    assert eager_bytes(torch.zeros_like, x) == 240


def test_the_number_of_threads_is_put_back_also_after_an_error():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    slow = torch.ones(8)
    with pytest.raises(MemoryError), FastMemory(8) as memory:
        memory.load(slow)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
