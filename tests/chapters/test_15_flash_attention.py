"""Checks of chapter 15: online softmax, blockwise attention, two Triton kernels, the ring.

Oracles: fractions worked by hand, PyTorch in fp64 with an explicit mask, counted bytes.
"""

import contextlib
import functools
import math
from unittest import mock

import pytest
import torch
from torch.testing import assert_close

from course_lib.model.fast_memory import FastMemory
from course_lib.parallel.collectives import count_bytes
from course_lib.parallel.ranks import run_on_ranks
from course_lib.parallel.sequence import zigzag_join, zigzag_split


def random_tensors(*shapes: tuple[int, ...], seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def partial(scores: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(m, l, o) of one block of keys, by its definition."""
    m = scores.amax(dim=-1)
    weights = (scores - m[..., None]).exp()
    return m, weights.sum(dim=-1), weights @ value


def assert_near(actual: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    """Equal to 1e-4; what is told does not depend on the order of additions."""
    kind = f"{name} must be a tensor of shape {tuple(expected.shape)}, {expected.dtype}"
    if not isinstance(actual, torch.Tensor):
        pytest.fail(f"{kind}; yours is {type(actual).__name__}", pytrace=False)
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        pytest.fail(f"{kind}; yours: {tuple(actual.shape)}, {actual.dtype}", pytrace=False)
    differs = ~torch.isclose(actual, expected, rtol=1e-4, atol=1e-4, equal_nan=True)
    if differs.any():
        place = tuple(differs.nonzero()[0].tolist())
        pytest.fail(
            f"{name}{list(place)}: yours {actual[place].item():.2f}, expected "
            f"{expected[place].item():.2f}; {int(differs.sum())} of {actual.numel()} differ",
            pytrace=False,
        )


def assert_at_most(num_bytes: int, limit: int, what: str) -> None:
    """Counted bytes, and how many would do."""
    if num_bytes > limit:
        pytest.fail(f"{what}: yours {num_bytes:,} bytes, {limit:,} are enough", pytrace=False)


def attention_in_fp64(query, key, value, is_causal: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention and its log-sum-exp by the equation, with the diagonal in the lower right corner.

    A query that sees nothing gives zeros, and +inf.
    """
    positions = torch.arange(query.shape[-2])[:, None] + key.shape[-2] - query.shape[-2]
    visible = torch.arange(key.shape[-2]) <= positions if is_causal else torch.tensor([[True]])
    scores = query.double() @ key.double().transpose(-2, -1) / math.sqrt(query.shape[-1])
    scores = scores.masked_fill(~visible, -math.inf)
    log_sums = scores.logsumexp(dim=-1)
    output = scores.softmax(dim=-1).nan_to_num() @ value.double()
    return output, log_sums.masked_fill(log_sums == -math.inf, math.inf)


def test_two_blocks_worked_by_hand(merge_softmax):
    """Scores ln 2 and ln 6 in two blocks: the first must shrink by e^(ln 2 - ln 6) = 1/3."""
    low, high = math.log(2), math.log(6)
    one = torch.tensor([1.0])
    merged = merge_softmax(
        torch.tensor([low]), one, torch.tensor([[3.0]]), torch.tensor([high]), one, 5 * one[None]
    )
    expected = torch.tensor([high]), torch.tensor([4 / 3]), torch.tensor([[6.0]])
    assert_close(tuple(merged), expected)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_merging_gives_the_softmax_of_all_keys(merge_softmax, scale):
    """Whatever the sizes of the blocks, and also where one block's scores are far larger."""
    scores, value = random_tensors((2, 5, 12), (2, 12, 3))
    scores = scale * scores
    m, l, o = partial(scores[..., :7], value[:, :7])  # noqa: E741
    m, l, o = merge_softmax(m, l, o, *partial(scores[..., 7:], value[:, 7:]))  # noqa: E741
    assert_close(m, scores.amax(dim=-1))
    assert_close(o / l[..., None], torch.softmax(scores, dim=-1) @ value)


def test_either_block_may_hold_the_maximum(merge_softmax):
    """Merging a with b is merging b with a: it is not always the newer block that is larger."""
    scores, value = random_tensors((4, 6), (6, 2), seed=1)
    first, second = partial(scores[:, :3], value[:3]), partial(scores[:, 3:], value[3:])
    m, l, o = merge_softmax(*first, *second)  # noqa: E741
    assert_close((m, l, o), merge_softmax(*second, *first))
    assert_close(l, (scores - scores.amax(dim=-1, keepdim=True)).exp().sum(dim=-1))
    assert_close(m, scores.amax(dim=-1))


def test_three_blocks_merge_in_any_grouping(merge_softmax):
    """Associative: so that blocks can be merged one by one, in a tree, or on many devices."""
    scores, value = random_tensors((2, 3, 9), (2, 9, 4), seed=2)
    parts = [partial(30 * scores[..., i : i + 3], value[:, i : i + 3]) for i in (0, 3, 6)]
    left = merge_softmax(*merge_softmax(*parts[0], *parts[1]), *parts[2])
    right = merge_softmax(*parts[0], *merge_softmax(*parts[1], *parts[2]))
    assert_close(left, right)
    assert_close(left[2] / left[1][..., None], torch.softmax(30 * scores, dim=-1) @ value)


def test_an_empty_block_changes_nothing(merge_softmax):
    """Nothing seen is m = -inf, l = 0, o = 0. Two of them: -inf - (-inf) is nan, watch out."""
    block = torch.tensor([0.5, -2.0]), torch.tensor([1.5, 1.0]), torch.tensor([[2.0], [3.0]])
    empty = torch.full((2,), -math.inf), torch.zeros(2), torch.zeros(2, 1)
    assert_close(tuple(merge_softmax(*block, *empty)), block)
    assert_close(tuple(merge_softmax(*empty, *block)), block)
    assert_close(tuple(merge_softmax(*empty, *empty)), empty)


CAPACITY = 40 * 1024


def run_blockwise(answer, query, key, value, *, capacity=CAPACITY, **flags):
    """(output, log_sum_exp, memory) of an answer; inputs unchanged."""
    before = [each.clone() for each in (query, key, value)]
    with FastMemory(capacity) as memory:
        result = answer(query, key, value, memory, **flags)
    if not (isinstance(result, tuple) and len(result) == 2):
        pytest.fail("return two tensors: output and log_sum_exp", pytrace=False)
    for now, then in zip((query, key, value), before, strict=True):
        assert torch.equal(now, then), "an input was changed"
    return *result, memory


@pytest.mark.parametrize("sizes", [(64, 96), (70, 50), (33, 100), (1, 45)])
def test_blocks_together_are_attention(blockwise_attention, sizes):
    """Also with a ragged last block. Scores are q k / sqrt(dim), log_sum_exp is m + log l."""
    query, key, value = random_tensors((sizes[0], 6), (sizes[1], 6), (sizes[1], 6))
    output, log_sums, _ = run_blockwise(blockwise_attention, 3 * query, key, value)
    expected, expected_sums = attention_in_fp64(3 * query, key, value, False)
    assert_near(output, expected.float(), "output")
    assert_near(log_sums, expected_sums.float(), "log_sum_exp")


@pytest.mark.parametrize("sizes", [(64, 64), (40, 90), (90, 40), (64, 65)])
def test_causal_diagonal_ends_in_the_lower_right_corner(blockwise_attention, sizes):
    """Query i stands at i + keys - queries; before the first key it sees nothing: 0 and +inf.

    Of 64 queries on 65 keys the last of block 3 stands at 48, where a block of keys begins.
    """
    query, key, value = random_tensors((sizes[0], 6), (sizes[1], 6), (sizes[1], 6), seed=1)
    flags = {"block_queries": 16, "block_keys": 24, "is_causal": True}
    output, log_sums, _ = run_blockwise(blockwise_attention, query, key, value, **flags)
    expected, expected_sums = attention_in_fp64(query, key, value, True)
    assert_near(output, expected.float(), "output")
    assert_near(log_sums, expected_sums.float(), "log_sum_exp")


def test_it_works_in_a_fast_memory_too_small_for_the_scores(blockwise_attention):
    """150 x 300 scores are 180,000 bytes; the fast memory has 40,960, enough for the blocks."""
    query, key, value = random_tensors((150, 24), (300, 24), (300, 24), seed=2)
    output, _, _ = run_blockwise(blockwise_attention, query, key, value)
    assert_near(output, attention_in_fp64(query, key, value, False)[0].float(), "output")


def test_queries_are_read_once_and_keys_once_a_block_of_queries(blockwise_attention):
    """More is traffic that the blocks were meant to save; slow memory holds only the results."""
    query, key, value = random_tensors((64, 8), (96, 8), (96, 8), seed=3)
    flags = {"block_queries": 16, "block_keys": 32}
    _, _, memory = run_blockwise(blockwise_attention, query, key, value, **flags)
    assert_at_most(memory.bytes_read, 4 * (64 * 8 + 4 * 2 * 96 * 8), "read from slow memory")
    assert_at_most(memory.bytes_written, 4 * (64 * 8 + 64), "written to slow memory")
    assert_at_most(memory.slow_bytes, 4 * (64 * 8 + 64), "slow memory taken")


def test_blocks_in_the_future_are_not_loaded(blockwise_attention):
    """Of 4 x 4 causal blocks 6 lie wholly in the future: loading them is work for nothing."""
    query, key, value = random_tensors((64, 8), (64, 8), (64, 8), seed=4)
    flags = {"block_queries": 16, "block_keys": 16, "is_causal": True}
    _, _, memory = run_blockwise(blockwise_attention, query, key, value, **flags)
    assert_at_most(
        memory.bytes_read, 4 * 8 * (64 + 2 * 16 * (1 + 2 + 3 + 4)), "read from slow memory"
    )


def run_backward(answer, sizes, *, capacity=CAPACITY, seed=0, **flags):
    """Compare an answer's three gradients with those of the equation in fp64; gives the memory."""
    num_queries, num_keys, dim = sizes
    shapes = (num_queries, dim), (num_keys, dim), (num_keys, dim), (num_queries, dim)
    query, key, value, grad_output = random_tensors(*shapes, seed=seed)
    leaves = [each.double().requires_grad_() for each in (query, key, value)]
    output, log_sums = attention_in_fp64(*leaves, flags.get("is_causal", False))
    expected = torch.autograd.grad(output, leaves, grad_output.double())
    saved = output.detach().float(), log_sums.detach().float()
    with FastMemory(capacity) as memory:
        grads = answer(query, key, value, *saved, grad_output, memory, **flags)
    if not (isinstance(grads, tuple) and len(grads) == 3):
        pytest.fail("return three gradients: of query, key and value", pytrace=False)
    for name, mine, theirs in zip(("query", "key", "value"), grads, expected, strict=True):
        assert_near(mine, theirs.float(), f"gradient of {name}")
    return memory


@pytest.mark.parametrize("sizes", [(20, 30, 6), (70, 50, 10)])
def test_gradients_are_those_of_the_equation(blockwise_backward, sizes):
    """dV needs the weights, dK and dQ also rowsum(dO * O) and the scale 1 / sqrt(dim)."""
    run_backward(blockwise_backward, sizes)


def test_a_single_block_already_has_the_right_gradients(blockwise_backward):
    """No blocks to add up here: what is wrong is in the equations."""
    run_backward(blockwise_backward, (5, 7, 3), seed=1)


@pytest.mark.parametrize("sizes", [(40, 40, 6), (20, 50, 6), (50, 20, 6), (64, 65, 6)])
def test_causal_gradients_use_the_same_corner(blockwise_backward, sizes):
    """A query that sees nothing has log_sum_exp = +inf, hence weights and gradients of 0.

    A block of keys that begins just where the last query of a block stands is seen by that query.
    """
    flags = {"block_queries": 16, "block_keys": 12, "is_causal": True}
    run_backward(blockwise_backward, sizes, seed=2, **flags)


def test_weights_are_recomputed_in_a_small_fast_memory(blockwise_backward):
    """150 x 300 weights are 180,000 bytes: too many for 61,440, and for slow memory to be asked."""
    memory = run_backward(blockwise_backward, (150, 300, 24), capacity=60 * 1024, seed=3)
    assert_at_most(memory.slow_bytes, 4 * (150 * 24 + 2 * 300 * 24 + 2 * 150), "slow memory taken")


@pytest.mark.parametrize(("is_causal", "num_pairs"), [(False, 16), (True, 10)])
def test_backward_reads_no_more_than_the_walk_needs(blockwise_backward, is_causal, num_pairs):
    """delta is computed once and read back, a number a query; the future is not loaded."""
    flags = {"block_queries": 16, "block_keys": 16, "is_causal": is_causal}
    memory = run_backward(blockwise_backward, (64, 64, 8), seed=4, **flags)
    once = 4 * 64 * 8  # output and grad_output for delta, key, value
    each_pair = 16 * 8 + 16 * 8 + 16 + 16 + 16 * 8  # query, dO, log_sum_exp, delta, dQ
    assert_at_most(memory.bytes_read, 4 * (once + num_pairs * each_pair), "read from slow memory")


GUARD = 8192  # numbers before and after a tensor: a kernel that runs over the edge meets them


def guarded(tensor: torch.Tensor, guard: float) -> torch.Tensor:
    """The same values, in memory whose surroundings are `guard`."""
    buffer = torch.full((tensor.numel() + 2 * GUARD,), guard, dtype=tensor.dtype)
    buffer[GUARD : GUARD + tensor.numel()] = tensor.flatten()
    return buffer[GUARD : GUARD + tensor.numel()].view(tensor.shape)


def assert_untouched_around(tensor: torch.Tensor, guard: float) -> None:
    """Nothing was written beside the output."""
    buffer = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
    outside = torch.cat([buffer[:GUARD], buffer[GUARD + tensor.numel() :]])
    if not torch.equal(outside, torch.full_like(outside, guard)):
        pytest.fail("the kernel wrote beyond the end of the output", pytrace=False)


@contextlib.contextmanager
def watched_reads():
    """Triton's interpreter tells the address of every number that a kernel reads."""
    import numpy
    from triton.runtime.interpreter import InterpreterBuilder

    load, read = InterpreterBuilder.create_masked_load, [numpy.zeros(0, dtype=numpy.uint64)]

    def load_and_tell(builder, pointers, mask, *rest):
        read.append(pointers.data[mask.data.astype(bool)].astype(numpy.uint64))
        return load(builder, pointers, mask, *rest)

    with mock.patch.object(InterpreterBuilder, "create_masked_load", load_and_tell):
        yield lambda: numpy.concatenate(read)


def assert_only_read(addresses, tensors: dict[str, torch.Tensor]) -> None:
    """Every address lies in one of the tensors; else the message names the nearest before it."""
    starts = {name: each.data_ptr() for name, each in tensors.items()}
    ends = {name: starts[name] + each.nbytes for name, each in tensors.items()}
    for address in addresses.tolist():
        if not any(starts[name] <= address < ends[name] for name in tensors):
            name = min(tensors, key=lambda name: abs(address - ends[name]))
            pytest.fail(f"the kernel reads beyond the end of {name}: mask that load", pytrace=False)


def run_softmax(kernel, x: torch.Tensor) -> torch.Tensor:
    """One program a row, as the chapter's launch does; memory around both tensors is watched."""
    rows, columns = x.shape
    output = guarded(torch.full((rows, columns), math.nan, dtype=x.dtype), 77.0)
    block = 2 ** math.ceil(math.log2(columns))
    kernel[(rows,)](x, output, x.stride(0), columns, COLUMNS=block)
    assert_untouched_around(output, 77.0)
    return output


@pytest.mark.parametrize("shape", [(3, 8), (1, 64), (5, 1)])
def test_a_row_that_fills_its_block(fused_softmax, shape):
    """The row's numbers, exponentials, their sum, the quotient: all in one program."""
    (x,) = random_tensors(shape)
    assert_near(run_softmax(fused_softmax, x), torch.softmax(x, dim=-1), "output")


@pytest.mark.parametrize("shape", [(3, 5), (2, 33), (4, 100)])
def test_what_lies_beyond_the_rows_end_has_no_influence(fused_softmax, shape):
    """The block is a power of two, the row is not: mask the load, and let e^x be 0 there."""
    (x,) = random_tensors(shape, seed=1)
    x = guarded(x - 3, 5.0)
    assert_near(run_softmax(fused_softmax, x), torch.softmax(x, dim=-1), "output")


def test_scores_of_a_thousand_stay_finite_in_the_kernel(fused_softmax):
    """Each row's own maximum is subtracted, as in chapter 00."""
    x = guarded(torch.tensor([[1000.0, 999.0, 1000.0], [-1000.0, -1000.0, -1001.0]]), -2000.0)
    assert_near(run_softmax(fused_softmax, x), torch.softmax(x, dim=-1), "output")


def test_each_number_is_read_once(fused_softmax):
    """Maximum, sum and quotient come from one load: what was loaded stays in registers."""
    (x,) = random_tensors((3, 5), seed=3)
    x = guarded(x, -9.0)
    with watched_reads() as addresses:
        assert_near(run_softmax(fused_softmax, x), torch.softmax(x, dim=-1), "output")
    num_read = len(addresses())
    if num_read > x.numel():
        pytest.fail(f"{num_read} numbers are read, of only {x.numel()} that x has", pytrace=False)


def test_rows_of_a_wider_tensor_are_found(fused_softmax):
    """Row r begins at x + r * x_stride; the output's rows lie close together."""
    (wide,) = random_tensors((4, 24), seed=2)
    view = guarded(wide, 0.0)[:, :11]
    assert_near(run_softmax(fused_softmax, view), torch.softmax(view, dim=-1), "output")


def run_flash(kernel, query, key, value, *, is_causal=False, blocks=(16, 16), guard=3.0):
    """The kernel's attention compared with the equation in fp64; memory around is watched."""
    (num_queries, dim), num_keys = query.shape, len(key)
    inputs = [guarded(each, guard) for each in (query, key, value)]
    output = guarded(torch.full_like(query, math.nan), 77.0)
    sizes = {"BLOCK_QUERIES": blocks[0], "BLOCK_KEYS": blocks[1], "DIM": dim}
    grid = (math.ceil(num_queries / blocks[0]),)
    with watched_reads() as addresses:
        kernel[grid](
            *inputs, output, num_queries, num_keys, dim**-0.5, IS_CAUSAL=is_causal, **sizes
        )
    assert_untouched_around(output, 77.0)
    expected = attention_in_fp64(query, key, value, is_causal)[0]
    assert_near(output, expected.to(output.dtype), "output")
    assert_only_read(addresses(), dict(zip(("query", "key", "value"), inputs, strict=True)))


def test_one_block_of_queries_and_one_of_keys(flash_kernel):
    """Nothing runs over the edge yet, and nothing is to be merged."""
    run_flash(flash_kernel, *random_tensors((16, 16), (16, 16), (16, 16)))


def test_many_blocks_of_keys_are_merged(flash_kernel):
    """Running maximum, sum and output: when the maximum grows, the other two shrink."""
    query, key, value = random_tensors((32, 16), (96, 16), (96, 16), seed=1)
    run_flash(flash_kernel, 4 * query, key, value, blocks=(32, 16))


@pytest.mark.parametrize("sizes", [(20, 37), (5, 16), (16, 17)])
def test_rows_and_keys_beyond_the_end_are_left_out(flash_kernel, sizes):
    """Loads and the store are masked, and a key that is none has the score -inf, not 0."""
    shapes = (sizes[0], 16), (sizes[1], 16), (sizes[1], 16)
    run_flash(flash_kernel, *random_tensors(*shapes, seed=2))


@pytest.mark.parametrize("sizes", [(20, 37), (16, 17)])
def test_loads_are_masked_whatever_lies_behind(flash_kernel, sizes):
    """A weight of 0 times whatever lies there is nan if that is nan: mask the load."""
    shapes = (sizes[0], 16), (sizes[1], 16), (sizes[1], 16)
    run_flash(flash_kernel, *random_tensors(*shapes, seed=4), guard=math.nan)


@pytest.mark.parametrize("sizes", [(48, 48), (20, 45)])
def test_causal_corner_is_the_lower_right_one(flash_kernel, sizes):
    """Query i stands at i + num_keys - num_queries."""
    shapes = (sizes[0], 32), (sizes[1], 32), (sizes[1], 32)
    run_flash(flash_kernel, *random_tensors(*shapes, seed=3), is_causal=True, blocks=(32, 16))


def on_rank(attend, whole, flags):
    """What one rank computes from its blocks, and the bytes that it sends."""
    import torch.distributed as dist

    rank, world_size = dist.get_rank(), dist.get_world_size()
    split = zigzag_split if flags["zigzag"] else functools.partial(torch.chunk, dim=2)
    blocks = [split(each, world_size)[rank] for each in whole]
    with count_bytes() as ledger:
        output = attend(*blocks, **flags)
    return output, ledger.sent_bytes


def in_two_groups(attend, sequences, is_causal: bool):
    """Ranks 0 and 1 attend to one sequence, ranks 2 and 3 to another."""
    import torch.distributed as dist

    groups = [dist.new_group(pair) for pair in ([0, 1], [2, 3])]
    which, place = divmod(dist.get_rank(), 2)
    blocks = [each.chunk(2, dim=2)[place] for each in sequences[which]]
    return attend(*blocks, is_causal=is_causal, group=groups[which])


def assert_full_attention(outputs, whole, is_causal, zigzag=False) -> None:
    """The ranks' outputs, put together, are the attention of the whole sequence."""
    assert all(isinstance(each, torch.Tensor) for each in outputs), "return a tensor on each rank"
    output = zigzag_join(outputs) if zigzag else torch.cat(outputs, dim=2)
    assert_near(output, attention_in_fp64(*whole, is_causal)[0].float(), "output")


def run_ring(attend, world_size, *, length=24, **flags):
    """Compare all ranks' outputs, put together, with full attention; gives the bytes per rank."""
    flags = {"is_causal": False, "zigzag": False} | flags
    query, key, value = random_tensors(*[(2, 3, length, 8)] * 3, seed=world_size)
    results = run_on_ranks(on_rank, world_size, attend, (query, key, value), flags)
    stretched = query * flags.get("scale", 8**-0.5) * 8**0.5  # the equation divides by sqrt(8)
    outputs = [output for output, _ in results]
    assert_full_attention(outputs, (stretched, key, value), flags["is_causal"], flags["zigzag"])
    return [sent for _, sent in results]


def test_ranks_together_give_full_attention(ring_attention):
    """Every query must have met every key, on whichever rank it lies."""
    run_ring(ring_attention, 3)


def test_causal_mask_uses_positions_in_the_whole_sequence(ring_attention):
    """Query 0 of rank 2 stands at 16, not at 0; a block that arrives has its sender's positions."""
    run_ring(ring_attention, 3, is_causal=True)


def test_zigzag_blocks_have_their_own_positions(ring_attention):
    """Rank 0 of 2 holds the first and the last quarter: `zigzag_positions` says which."""
    run_ring(ring_attention, 2, is_causal=True, zigzag=True)


def test_a_given_scale_replaces_that_of_the_dimension(ring_attention):
    """`scale=0.3` multiplies the scores; only `None` means 1 / sqrt(dim)."""
    run_ring(ring_attention, 2, scale=0.3)


@pytest.mark.parametrize("is_causal", [False, True])
def test_two_groups_are_two_rings(ring_attention, is_causal):
    """Rank, number of ranks and hops are those of `group`: `ring_shift(key, group=group)`."""
    sequences = [random_tensors(*[(1, 2, 12, 8)] * 3, seed=seed) for seed in (7, 8)]
    outputs = run_on_ranks(in_two_groups, 4, ring_attention, sequences, is_causal)
    for which, whole in enumerate(sequences):
        assert_full_attention(outputs[2 * which : 2 * which + 2], whole, is_causal)


def test_keys_and_values_take_one_hop_less_than_there_are_ranks(ring_attention):
    """After world_size - 1 hops everybody has seen everything; one more would bring them home."""
    sent = run_ring(ring_attention, 4)
    block_bytes = 2 * 3 * 6 * 8 * 4
    assert sent == [3 * 2 * block_bytes] * 4
