"""Encoder and decoder: what attention may see, and that a batch changes nothing."""

import pytest
import torch
from torch.testing import assert_close

from course_lib.model.sequence_to_sequence import (
    END,
    PADDING,
    START,
    SequenceToSequence,
    alignment,
    encode_decode,
    multiplicative_attention,
    translate,
)

ATTENTIONS = SequenceToSequence.ATTENTIONS


def random_tensor(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model_with(attention, kind="gru", seed=0):
    torch.manual_seed(seed)
    return SequenceToSequence(11, 13, dim=6, kind=kind, attention=attention)


def batch(lengths, vocab, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, vocab, (len(lengths), max(lengths)), generator=generator)
    return rows.masked_fill(torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None], PADDING)


@pytest.mark.parametrize("has_weight", [True, False])
def test_multiplicative_attention_agrees_with_a_loop(has_weight):
    query, keys = random_tensor(2, 3, 5), random_tensor(2, 4, 7 if has_weight else 5, seed=1)
    weight = random_tensor(7, 5, seed=2) if has_weight else None
    mask = torch.tensor([[True, True, False, True], [True, False, False, False]])
    context, weights = multiplicative_attention(query, keys, mask, weight=weight)
    for b in range(2):
        for q in range(3):
            asked = query[b, q] if weight is None else weight @ query[b, q]
            real = [k for k in range(4) if mask[b, k]]
            scores = torch.softmax(torch.stack([keys[b, k] @ asked for k in real]), dim=0)
            assert_close(weights[b, q, real], scores)
            assert_close(context[b, q], scores @ keys[b, real])
    assert not weights[~mask[:, None].expand_as(weights)].any()


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "mgu"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padding_in_the_batch_changes_no_logit(attention, kind):
    model = model_with(attention, kind)
    source, target = batch([7, 2, 5], 11), batch([5, 4, 3], 13, seed=1)
    together = encode_decode(model, source, target)
    for row, (num_source, num_target) in enumerate(zip([7, 2, 5], [5, 4, 3], strict=True)):
        alone = encode_decode(
            model, source[row : row + 1, :num_source], target[row : row + 1, :num_target]
        )
        assert_close(together[row, : num_target - 1], alone[0])


@pytest.mark.parametrize("attention", ATTENTIONS[1:])
def test_padding_is_never_attended(attention):
    model = model_with(attention)
    source, target = batch([7, 2, 5], 11), batch([5, 4, 3], 13, seed=1)
    weights = alignment(model, source, target)
    assert weights.shape == (3, 4, 7)
    assert_close(weights.sum(dim=-1), torch.ones(3, 4))
    assert not weights.masked_select((source == PADDING)[:, None]).any()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_parameter_gets_a_gradient(attention):
    model = model_with(attention)
    encode_decode(model, batch([5, 3], 11), batch([4, 6], 13)).square().sum().backward()
    unused = [name for name, each in model.named_parameters() if each.grad is None]
    assert not unused


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_free_running_on_its_own_choices_equals_teacher_forcing_on_them(attention):
    """Fed with what it wrote itself, the teacher changes nothing."""
    model, source = model_with(attention), batch([7, 2, 5], 11)
    target = torch.full((3, 6), START)
    free = encode_decode(model, source, target, teacher_forcing=False)
    target[:, 1:] = free.argmax(dim=-1)
    assert_close(encode_decode(model, source, target), free)


def test_translation_ends_at_the_first_end_token_and_needs_no_target():
    model, source = model_with("dot"), batch([7, 2], 11)
    with torch.no_grad():
        model.output.bias[END] = 100.0
        assert translate(model, source, max_tokens=5) == [[], []]
        model.output.bias[END] = -100.0
    assert [len(row) for row in translate(model, source, max_tokens=5)] == [5, 5]


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="attention='soft' must be one of None, additive, dot"):
        SequenceToSequence(5, 5, attention="soft")
    with pytest.raises(ValueError, match="this model has no weights to show"):
        alignment(model_with(None), batch([2], 11), batch([3], 13))
