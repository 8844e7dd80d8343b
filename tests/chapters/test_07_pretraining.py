"""Checks of chapter 07: windows, documents in a window, clipping, the schedule, own words.

Oracles: worked by hand, streams whose tokens say where they stand, PyTorch, loops, counting.
"""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close


def make_stream(length, seed=0):
    """Distinct tokens in no order, so that a window says where it was cut."""
    return torch.randperm(10 * length, generator=torch.Generator().manual_seed(seed))[:length]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_inputs_are_windows_of_the_stream(sample_batch):
    """Each row is a run of neighbours of the data, (batch_size, context_length), int64."""
    stream = make_stream(40)
    inputs, _ = sample_batch(stream, 7, context_length=5, generator=seeded(1))
    assert tuple(inputs.shape) == (7, 5)
    assert inputs.dtype == torch.int64
    text = stream.tolist()
    for row in inputs.tolist():
        start = text.index(row[0])
        assert row == text[start : start + 5]


def test_targets_are_the_next_tokens_of_the_data(sample_batch):
    """The stream is in no order, so token + 1 is nobody's successor: look it up in the stream."""
    stream = make_stream(30, seed=2)
    following = dict(zip(stream[:-1].tolist(), stream[1:].tolist(), strict=True))
    inputs, targets = sample_batch(stream, 11, context_length=4, generator=seeded(3))
    assert tuple(targets.shape) == (11, 4)
    assert targets.dtype == torch.int64
    for row, row_targets in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert row_targets == [following.get(token) for token in row]


def test_the_last_token_of_the_stream_is_a_target_too(sample_batch):
    """A stream of 6 has windows of 3 at places 0, 1 and 2; the one at 2 predicts the last token."""
    stream = make_stream(6, seed=4)
    _, targets = sample_batch(stream, 200, context_length=3, generator=seeded(5))
    assert set(targets[:, -1].tolist()) == set(stream[3:].tolist())


def test_a_stream_with_room_for_one_window_gives_it(sample_batch):
    """4 tokens, windows of 3: there is one, whoever draws."""
    stream = torch.tensor([7, 3, 9, 4])
    inputs, targets = sample_batch(stream, 2, context_length=3, generator=seeded(6))
    assert inputs.tolist() == [[7, 3, 9]] * 2
    assert targets.tolist() == [[3, 9, 4]] * 2


def test_every_window_is_equally_likely(sample_batch):
    """6,000 draws from 6 windows: each 1,000 times, give or take five standard deviations."""
    stream = make_stream(9, seed=7)
    inputs, _ = sample_batch(stream, 6000, context_length=3, generator=seeded(8))
    for token in stream[:6].tolist():
        count = int((inputs[:, 0] == token).sum())
        assert abs(count - 1000) < 5 * math.sqrt(1000), f"a window was drawn {count} times"


def test_the_generator_alone_decides(sample_batch):
    """The same seed gives the same batch; two batches of one generator differ."""
    stream, generator = make_stream(300, seed=9), seeded(10)
    first = sample_batch(stream, 5, context_length=6, generator=generator)[0]
    second = sample_batch(stream, 5, context_length=6, generator=generator)[0]
    again = sample_batch(stream, 5, context_length=6, generator=seeded(10))[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_a_compact_stream_will_do(sample_batch):
    """Token ids are often stored in 16 bits; an embedding wants 64. The stream is unchanged."""
    stream = make_stream(20, seed=11).to(torch.int16)
    before = stream.clone()
    inputs, targets = sample_batch(stream, 3, context_length=4, generator=seeded(12))
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(stream, before)


def test_a_window_longer_than_the_stream_is_refused(sample_batch):
    """5 tokens hold no window of 5 that has a next token: a ValueError, which says so."""
    with pytest.raises(ValueError, match=r".+"):
        sample_batch(make_stream(5), 2, context_length=5, generator=seeded(13))


def test_two_rows_marked_by_hand(mark_documents):
    """Start is 9. The first row begins within a document; the second holds two starts in a row."""
    tokens = torch.tensor([[4, 5, 9, 6, 7, 8], [9, 3, 9, 9, 2, 9]])
    documents, positions = mark_documents(tokens, 9)
    assert documents.tolist() == [[1, 1, 2, 2, 2, 2], [1, 1, 2, 3, 3, 4]]
    assert positions.tolist() == [[0, 1, 0, 1, 2, 3], [0, 1, 0, 0, 1, 0]]


def test_a_window_within_one_document_is_one_document(mark_documents):
    """No start in sight: document 1 throughout, and positions count on."""
    documents, positions = mark_documents(torch.tensor([[3, 1, 4, 1, 5]]), 0)
    assert documents.tolist() == [[1] * 5]
    assert positions.tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_marks_agree_with_walking_through(mark_documents, seed):
    """A loop over every place, in rows of 3 x 23 random tokens."""
    tokens = torch.randint(5, (3, 23), generator=seeded(seed))
    before = tokens.clone()
    documents, positions = mark_documents(tokens, 2)
    for row in range(3):
        document, position = 0, 0
        for place in range(23):
            if place == 0 or tokens[row, place] == 2:
                document, position = document + 1, 0
            assert int(documents[row, place]) == document, (row, place)
            assert int(positions[row, place]) == position, (row, place)
            position += 1
    assert torch.equal(tokens, before)


def test_marks_are_whole_numbers_of_the_tokens_shape(mark_documents):
    """A model looks positions up and compares documents: int64, (batch, time), also of 16 bits."""
    tokens = torch.randint(4, (5, 7), generator=seeded(3))[:, ::2]
    compact = tokens.to(torch.int16)
    for marks in (*mark_documents(tokens, 1), *mark_documents(compact, 1)):
        assert marks.dtype == torch.int64
        assert tuple(marks.shape) == (5, 4)


def make_parameters(seed=0, *, scale=1.0, dtype=torch.float32):
    """Three parameters of several shapes with gradients; a fourth took no part."""
    parameters = [nn.Parameter(torch.ones(s, dtype=dtype)) for s in [(3, 5), (7,), (2, 2), (4,)]]
    for number, parameter in enumerate(parameters[:3]):
        gradient = torch.randn(parameter.shape, generator=seeded(seed + number))
        parameter.grad = (scale * (1 + number) * gradient).to(dtype)
    return parameters


def test_a_gradient_of_five_is_clipped_to_one(clip_gradients):
    """(3) and (4) in two parameters have the norm 5 together: 0.6 and 0.8 are left of them."""
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    norm = clip_gradients(parameters, 1.0)
    assert float(norm) == pytest.approx(5.0)
    assert [float(each.grad) for each in parameters] == pytest.approx([0.6, 0.8])


def test_a_small_gradient_stays_as_it_is(clip_gradients):
    """Clipping only shortens: a norm below the limit is not stretched to it."""
    parameters = make_parameters(scale=0.01)
    before = [each.grad.clone() for each in parameters[:3]]
    clip_gradients(parameters, 1.0)
    for parameter, gradient in zip(parameters[:3], before, strict=True):
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("max_norm", [0.05, 1.0, 30.0, 1e4])
def test_clipping_agrees_with_pytorch(clip_gradients, max_norm):
    """The norm from before is returned, and one without a gradient is passed over."""
    ours, theirs = make_parameters(scale=3.0), make_parameters(scale=3.0)
    norm = clip_gradients(ours, max_norm)
    assert_close(norm, nn.utils.clip_grad_norm_(theirs, max_norm))
    for mine, other in zip(ours[:3], theirs[:3], strict=True):
        assert_close(mine.grad, other.grad, rtol=1e-4, atol=0)  # PyTorch adds 1e-6 to the norm
    assert ours[3].grad is None


def test_the_step_keeps_its_direction(clip_gradients):
    """All gradients shrink by one factor; `parameters` may be a generator, as a model's are."""
    parameters = make_parameters(scale=10.0)
    before = torch.cat([each.grad.flatten() for each in parameters[:3]])
    clip_gradients((each for each in parameters), 0.5)
    after = torch.cat([each.grad.flatten() for each in parameters[:3]])
    assert_close(after, before * 0.5 / before.norm())


def test_weights_themselves_are_left_alone(clip_gradients):
    """It is the gradient that is clipped."""
    parameters = make_parameters(scale=10.0)
    clip_gradients(parameters, 0.1)
    assert all(torch.equal(each.data, torch.ones_like(each.data)) for each in parameters)


@pytest.mark.parametrize(
    ("count", "value", "norm", "max_norm", "left"),
    [(4, 300.0, 600.0, 1.0, 0.5), (2**16, 512.0, 2.0**17, 256.0, 1.0)],
    ids=["squares", "norm"],
)
def test_half_precision_does_not_overflow(clip_gradients, count, value, norm, max_norm, left):
    """fp16 ends at 65,504. 300 squared is beyond it, and so is the norm of 65,536 times 512: take
    norms in fp32. The dtype stays.
    """
    parameter = nn.Parameter(torch.zeros(count, dtype=torch.float16))
    parameter.grad = torch.full((count,), value, dtype=torch.float16)
    assert float(clip_gradients([parameter], max_norm)) == pytest.approx(norm)
    assert parameter.grad.dtype == torch.float16
    assert_close(parameter.grad, torch.full((count,), left, dtype=torch.float16))


def test_gradients_are_scaled_in_place(clip_gradients):
    """Whoever holds the gradient already sees it clipped: `.grad` is no new tensor."""
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = held = torch.tensor([4.0])
    clip_gradients([parameter], 1.0)
    assert held.tolist() == pytest.approx([1.0])


def test_where_nothing_has_a_gradient_the_norm_is_zero(clip_gradients):
    """A tensor with one number, as ever; and there may be no parameters at all."""
    for parameters in ([nn.Parameter(torch.ones(3))], []):
        norm = clip_gradients(parameters, 1.0)
        assert_close(norm, torch.tensor(0.0), check_dtype=False)


def test_zero_gradients_stay_zero(clip_gradients):
    """0 / 0 is nan, and one nan in a gradient ends the training."""
    parameter = nn.Parameter(torch.ones(3))
    parameter.grad = torch.zeros(3)
    assert float(clip_gradients([parameter], 1.0)) == 0
    assert torch.equal(parameter.grad, torch.zeros(3))


def test_warmup_rises_in_equal_steps(warmup_cosine):
    """4 updates of warm-up: 1/4, 2/4, 3/4 and 1. The first update already learns."""
    shares = [warmup_cosine(step, 20, warmup_steps=4) for step in range(4)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_cosine_worked_by_hand(warmup_cosine):
    """After a warm-up of 2, 4 updates are left: progress 1/4, 2/4, 3/4, 1; down to 0."""
    shares = [warmup_cosine(step, 6, warmup_steps=2, final=0.0) for step in range(2, 6)]
    half = math.sqrt(2) / 4
    assert shares == pytest.approx([0.5 + half, 0.5, 0.5 - half, 0.0])


@pytest.mark.parametrize(("num_steps", "warmup_steps", "final"), [(23, 5, 0.1), (17, 0, 0.25)])
def test_decay_agrees_with_pytorch(warmup_cosine, num_steps, warmup_steps, final):
    """From the end of the warm-up on it is PyTorch's CosineAnnealingLR."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=num_steps - warmup_steps, eta_min=final
    )
    for step in range(warmup_steps, num_steps):
        optimizer.step()
        scheduler.step()
        share = warmup_cosine(step, num_steps, warmup_steps=warmup_steps, final=final)
        assert share == pytest.approx(optimizer.param_groups[0]["lr"]), f"step {step}"


def test_the_run_ends_at_its_final_share_and_stays_there(warmup_cosine):
    """The last update has `final`; so has one after the end, where a cosine would rise again."""
    for final in (0.0, 0.1, 0.5):
        for step in (29, 30, 35, 60):
            assert warmup_cosine(step, 30, warmup_steps=3, final=final) == pytest.approx(final)


def test_warmup_is_a_twentieth_unless_given(warmup_cosine):
    """100 updates: 5 of warm-up. 10 updates: none, and no division by zero."""
    assert [warmup_cosine(step, 100) for step in (0, 4)] == pytest.approx([0.2, 1.0])
    assert 0.9 < warmup_cosine(0, 10) < 1.0
    assert warmup_cosine(0, 1) == pytest.approx(0.1)


def test_a_warmup_of_zero_is_none(warmup_cosine):
    """0 is a number that was given: of 40 updates the first is near 1, the 20th half-way down."""
    assert warmup_cosine(0, 40, warmup_steps=0, final=0.0) > 0.9
    assert warmup_cosine(19, 40, warmup_steps=0, final=0.0) == pytest.approx(0.5)


def test_a_warmup_may_fill_the_run(warmup_cosine):
    """5 of 5 updates: the last has the whole rate, and one after the end has `final`."""
    shares = [warmup_cosine(step, 5, warmup_steps=5) for step in range(7)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 0.1, 0.1])


def test_shares_are_floats(warmup_cosine):
    """In the warm-up, in the decay and past the end: a number, no tensor."""
    assert all(isinstance(warmup_cosine(step, 4, warmup_steps=2), float) for step in range(6))


@pytest.mark.parametrize("warmup_steps", [-1, 11])
def test_a_warmup_longer_than_the_run_is_refused(warmup_cosine, warmup_steps):
    """A ValueError, which says so."""
    with pytest.raises(ValueError, match=r".+"):
        warmup_cosine(0, 10, warmup_steps=warmup_steps)


def gold_and_predicted(rows=2, columns=6):
    """Gold tokens below 100 and predictions from 100 on, all different."""
    gold = torch.arange(rows * columns).reshape(rows, columns)
    return gold, gold + 100


def test_p_of_one_takes_every_word_from_the_model_but_the_first(scheduled_sampling_inputs):
    """What the model wrote after token t stands in for token t + 1."""
    gold, predicted = gold_and_predicted()
    mixed = scheduled_sampling_inputs(gold, predicted, 1.0, generator=seeded(0))
    assert mixed.tolist() == [[0, 100, 101, 102, 103, 104], [6, 106, 107, 108, 109, 110]]


def test_p_of_zero_is_teacher_forcing(scheduled_sampling_inputs):
    """Every token is the gold one; the inputs are left as they were."""
    gold, predicted = gold_and_predicted()
    before = gold.clone(), predicted.clone()
    mixed = scheduled_sampling_inputs(gold, predicted, 0.0, generator=seeded(1))
    assert torch.equal(mixed, before[0])
    scheduled_sampling_inputs(gold, predicted, 0.7, generator=seeded(1))
    assert torch.equal(gold, before[0])
    assert torch.equal(predicted, before[1])


def test_a_text_begins_with_its_own_first_word(scheduled_sampling_inputs):
    """Positions restart in the middle of the row: a new document, which no word came before."""
    gold, predicted = gold_and_predicted(1, 6)
    positions = torch.tensor([[0, 1, 2, 0, 1, 0]])
    mixed = scheduled_sampling_inputs(
        gold, predicted, 1.0, positions=positions, generator=seeded(2)
    )
    assert mixed.tolist() == [[0, 100, 101, 3, 103, 5]]
    assert positions.tolist() == [[0, 1, 2, 0, 1, 0]]


def test_a_row_that_begins_within_a_document_keeps_its_first_word(scheduled_sampling_inputs):
    """Its position is 7, not 0; but what the model wrote for it is in no column of this row."""
    gold, predicted = gold_and_predicted(1, 4)
    positions = torch.tensor([[7, 8, 0, 1]])
    mixed = scheduled_sampling_inputs(gold, predicted, 1, positions=positions)
    assert mixed.tolist() == [[0, 100, 2, 102]]


def test_words_at_one_place_are_gold_or_the_models_for_that_place(scheduled_sampling_inputs):
    """Never the model's guess of the next word, nor its guess of the word before."""
    gold, predicted = gold_and_predicted(5, 7)
    mixed = scheduled_sampling_inputs(gold, predicted, 0.5, generator=seeded(3))
    for row in range(5):
        for place in range(1, 7):
            allowed = {int(gold[row, place]), int(predicted[row, place - 1])}
            assert int(mixed[row, place]) in allowed, (row, place)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.8])
def test_the_models_share_is_p(scheduled_sampling_inputs, p):
    """19,800 coins: the share is p, give or take five standard deviations."""
    gold, predicted = gold_and_predicted(200, 100)
    mixed = scheduled_sampling_inputs(gold, predicted, p, generator=seeded(4))
    share = float((mixed != gold)[:, 1:].double().mean())
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / 19_800)


def test_every_word_has_a_coin_of_its_own(scheduled_sampling_inputs):
    """Not one for a text, nor one for a place in all texts: rows and columns are both mixed."""
    gold, predicted = gold_and_predicted(60, 61)
    written = (scheduled_sampling_inputs(gold, predicted, 0.5, generator=seeded(5)) != gold)[:, 1:]
    for dim, name in ((0, "place"), (1, "text")):
        shares = written.double().mean(dim=dim)
        assert float((shares - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(60), f"one coin a {name}?"


def test_the_generator_decides_which_words(scheduled_sampling_inputs):
    """The same seed mixes in the same words: a run that is interrupted can be repeated."""
    gold, predicted = gold_and_predicted(9, 20)
    first, again, other = (
        scheduled_sampling_inputs(gold, predicted, 0.5, generator=seeded(seed))
        for seed in (6, 6, 7)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_what_is_no_probability_is_refused(scheduled_sampling_inputs, p):
    """A ValueError, which says so."""
    with pytest.raises(ValueError, match=r".+"):
        scheduled_sampling_inputs(*gold_and_predicted(), p, generator=seeded(8))
