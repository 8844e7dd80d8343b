"""The roofline's formulas, against hand counts and the counted memory."""

import pytest
import torch

from course_lib.model.blockwise import blockwise_attention
from course_lib.model.fast_memory import FastMemory, eager_bytes
from course_lib.model.roofline import (
    MACHINES,
    Machine,
    Work,
    copy_bytes_per_second,
    flash_attention_work,
    plain_attention_work,
    roofline_seconds,
)


def test_time_is_that_of_the_scarcer_resource():
    machine = Machine("toy", flops_per_second=100.0, bytes_per_second=10.0, fast_bytes=1)
    assert machine.ridge == 10
    assert roofline_seconds(Work(200, 10), machine) == 2
    assert roofline_seconds(Work(200, 50), machine) == 5
    assert Work(200, 50).intensity == 4


def test_the_ridges_of_the_lectures_two_cards_differ():
    assert MACHINES["A100 40 GB"].ridge == pytest.approx(201, abs=1)
    assert MACHINES["A100 80 GB"].ridge == pytest.approx(153, abs=1)


def test_plain_attentions_bytes_are_those_of_four_eager_operations():
    """A product, a softmax in one pass, a product; the scale is folded into the query."""
    query = torch.ones(48, 8)
    counted = eager_bytes(lambda q: (q @ q.T).softmax(dim=-1) @ q, query)
    assert counted == plain_attention_work(48, 8, bytes_per_number=4).num_bytes


@pytest.mark.parametrize("length", [64, 70])
def test_flash_attentions_bytes_are_those_of_the_counted_memory(length):
    query = torch.ones(length, 8)
    with FastMemory() as memory:
        blockwise_attention(query, query, query, memory, block_queries=16, block_keys=24)
    work = flash_attention_work(length, 8, block_queries=16, bytes_per_number=4)
    assert memory.bytes_moved == work.num_bytes


def test_both_do_the_same_arithmetic():
    assert plain_attention_work(48, 8).flops == flash_attention_work(48, 8).flops == 4 * 48**2 * 8


def test_a_copy_has_a_speed():
    assert 1e8 < copy_bytes_per_second(num_bytes=2**20, repeats=1) < 1e13
