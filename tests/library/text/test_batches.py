"""Batches against enumeration: every window, every target once, no target of another document."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.batches import (
    IGNORED,
    Batch,
    RandomBatches,
    ShuffledBatches,
    epoch_batches,
    mixed_seed,
    pack_documents,
    sample_batch,
    seeded_generator,
)


def make_stream(length, seed=0):
    """Distinct tokens in no order, so that a window says where it was cut."""
    return torch.randperm(10 * length, generator=torch.Generator().manual_seed(seed))[:length]


def counted_pairs(batches):
    """How often each (input, target) is learned from."""
    return Counter(
        (int(token), int(target))
        for batch in batches
        for token, target in zip(batch.tokens.flatten(), batch.targets.flatten(), strict=True)
        if target != IGNORED
    )


def test_targets_are_the_next_tokens_of_the_data():
    stream = make_stream(23)
    following = dict(zip(stream[:-1].tolist(), stream[1:].tolist(), strict=True))
    generator = torch.Generator().manual_seed(1)
    inputs, targets = sample_batch(stream, 5, context_length=3, generator=generator)
    assert inputs.shape == targets.shape == (5, 3)
    assert inputs.dtype == targets.dtype == torch.int64
    for row, row_targets in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert row_targets == [following[token] for token in row]
        assert row_targets[:-1] == row[1:]


@pytest.mark.parametrize("length", [4, 5, 9])
def test_every_window_is_drawn_and_the_last_as_often_as_the_others(length):
    stream = make_stream(length)
    generator = torch.Generator().manual_seed(2)
    inputs, _ = sample_batch(stream, 6000, context_length=3, generator=generator)
    counts = Counter(inputs[:, 0].tolist())
    num_windows = length - 3
    assert set(counts) == set(stream[:num_windows].tolist())
    for count in counts.values():
        expected = 6000 / num_windows
        assert abs(count - expected) <= 5 * expected**0.5  # five standard deviations


def test_sampling_repeats_with_its_generator_and_leaves_the_stream():
    stream = make_stream(40)
    before = stream.clone()
    draws = [
        sample_batch(stream, 4, context_length=7, generator=torch.Generator().manual_seed(3))[0]
        for _ in range(2)
    ]
    assert torch.equal(*draws)
    assert torch.equal(stream, before)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32])
def test_a_compact_stream_gives_the_same_batches(dtype):
    stream = torch.randint(250, (50,), generator=torch.Generator().manual_seed(4))
    for cut in (RandomBatches, ShuffledBatches):
        expected, compact = cut(stream, 3, 8)(5), cut(stream.to(dtype), 3, 8)(5)
        assert torch.equal(expected.tokens, compact.tokens)
        assert torch.equal(expected.targets, compact.targets)


@pytest.mark.parametrize("length", [4, 5, 7, 10, 13, 31])
@pytest.mark.parametrize("shuffled", [False, True])
def test_an_epoch_has_every_target_exactly_once(length, shuffled):
    stream = make_stream(length)
    generator = torch.Generator().manual_seed(5) if shuffled else None
    batches = list(epoch_batches(stream, 2, context_length=3, generator=generator))
    expected = Counter(zip(stream[:-1].tolist(), stream[1:].tolist(), strict=True))
    assert counted_pairs(batches) == expected
    assert sum(batch.num_tokens for batch in batches) == length - 1


def test_epochs_differ_in_order_and_not_in_content():
    stream = make_stream(61)
    batches = ShuffledBatches(stream, 4, 5, seed=6)  # 12 windows: three batches an epoch
    epochs = [[batches(step) for step in range(3 * n, 3 * n + 3)] for n in range(3)]
    pairs = Counter(zip(stream[:-1].tolist(), stream[1:].tolist(), strict=True))
    assert [counted_pairs(epoch) for epoch in epochs] == [pairs] * 3
    first_batches = [epoch[0].tokens.tolist() for epoch in epochs]
    assert first_batches[0] != first_batches[1] != first_batches[2]


def test_a_batch_across_two_epochs_is_full():
    batches = ShuffledBatches(make_stream(16), 2, 5)  # three windows, two a batch
    assert all(len(batches(step).tokens) == 2 for step in range(6))
    starts = Counter(int(row[0]) for step in range(3) for row in batches(step).tokens)
    assert set(starts.values()) == {2}


@pytest.mark.parametrize("cut", [RandomBatches, ShuffledBatches])
def test_a_step_has_its_batch_in_whatever_order_steps_are_asked(cut):
    stream = make_stream(200)
    forward = [cut(stream, 3, 8, seed=1)(step).tokens for step in range(40)]
    backward = [cut(stream, 3, 8, seed=1)(step).tokens for step in reversed(range(40))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    other_seed = [cut(stream, 3, 8, seed=2)(step).tokens for step in range(40)]
    assert not any(torch.equal(a, b) for a, b in zip(forward, other_seed, strict=True))


def test_neighbouring_seeds_and_steps_share_no_draws():
    seeds = [mixed_seed(seed, step) for seed in range(30) for step in range(30)]
    assert len(set(seeds)) == 900
    first = torch.rand(3, generator=seeded_generator(0, 1))
    assert not torch.equal(first, torch.rand(3, generator=seeded_generator(1, 0)))


@pytest.mark.parametrize(("length", "context_length"), [(5, 5), (5, 9), (0, 1)])
def test_a_stream_too_short_is_one_sentence(length, context_length):
    stream = torch.arange(length)
    with pytest.raises(ValueError, match=f"context_length = {context_length} is too long"):
        sample_batch(stream, 2, context_length=context_length, generator=torch.Generator())
    for cut in (RandomBatches, ShuffledBatches):
        with pytest.raises(ValueError, match=f"stream of {length} tokens"):
            cut(stream, 2, context_length)
    with pytest.raises(ValueError, match="must be shorter than the stream"):
        next(epoch_batches(stream, 2, context_length=context_length))


def test_a_stream_of_one_window_has_it():
    inputs, targets = sample_batch(
        torch.tensor([7, 3, 9]), 2, context_length=2, generator=torch.Generator()
    )
    assert inputs.tolist() == [[7, 3]] * 2
    assert targets.tolist() == [[3, 9]] * 2


def test_sizes_below_one_are_named():
    with pytest.raises(ValueError, match="batch_size = 0"):
        RandomBatches(torch.arange(9), 0, 3)
    with pytest.raises(ValueError, match="context_length = -1"):
        pack_documents([[1, 2]], -1)


def test_packing_worked_by_hand():
    packed = pack_documents([[1, 2, 3], [4, 5, 6, 7, 8], [9, 10]], 4, padding_token=99)
    assert packed.tokens.tolist() == [[4, 5, 6, 7], [1, 2, 9, 99]]
    assert packed.targets.tolist() == [[5, 6, 7, 8], [2, 3, 10, IGNORED]]
    assert packed.documents.tolist() == [[1, 1, 1, 1], [1, 1, 2, 0]]
    assert packed.positions.tolist() == [[0, 1, 2, 3], [0, 1, 0, 0]]
    assert packed.num_tokens == 7


@given(
    st.lists(st.lists(st.integers(0, 50), max_size=12), min_size=1, max_size=9),
    st.integers(1, 7),
)
def test_packing_predicts_every_document_and_nothing_across(documents, context_length):
    expected = Counter(pair for document in documents for pair in pairwise(document))
    if not expected:
        with pytest.raises(ValueError, match="two tokens or more"):
            pack_documents(documents, context_length)
        return
    packed = pack_documents(documents, context_length, padding_token=51)
    assert counted_pairs([packed]) == expected
    assert torch.equal(packed.targets == IGNORED, packed.documents == 0)
    assert torch.equal(packed.tokens == 51, packed.documents == 0)
    same = packed.documents[:, 1:] == packed.documents[:, :-1]
    steps = packed.positions[:, 1:] - packed.positions[:, :-1]
    real = packed.documents[:, 1:] > 0
    assert (steps[same & real] == 1).all()
    assert (packed.positions[:, 1:][~same] == 0).all()
    assert (packed.positions[:, 0] == 0).all()


def test_packing_fills_its_rows_where_the_lengths_allow_it():
    documents = [[1] * length for length in [7, 3, 5, 6, 2, 4] * 20]  # 6 + 2, 5 + 3, 4 + 4, ...
    packed = pack_documents(documents, 8)
    places = sum(len(document) - 1 for document in documents)
    assert len(packed.tokens) == -(-places // 8)


def test_a_batch_says_what_restricts_it_and_moves_whole():
    plain = Batch(torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.long))
    assert plain.restrictions == {}
    packed = pack_documents([[1, 2, 3]], 4).to("meta")
    assert set(packed.restrictions) == {"documents", "positions"}
    assert {each.device.type for each in packed.restrictions.values()} == {"meta"}
    assert packed.tokens.is_meta
    assert packed.targets.is_meta
