"""The recurrent layer: equal to PyTorch's with the same weights, and blind to padding."""

import pytest
import torch
from torch.testing import assert_close

from course_lib.model.recurrent import CELLS, RecurrentLayer, hidden_of, mgu_step, rnn_step


def random_tensor(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def twin_of(layer, input_dim):
    """PyTorch's layer of the same kind with the same weights."""
    twin = getattr(torch.nn, layer.kind.upper())(input_dim, layer.state_dim, batch_first=True)
    named = {
        "weight_ih_l0": layer.input_projection.weight,
        "weight_hh_l0": layer.state_projection.weight,
        "bias_ih_l0": layer.input_projection.bias,
        "bias_hh_l0": layer.state_projection.bias,
    }
    twin.load_state_dict(named)
    return twin


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_sequence_states_and_gradients_equal_pytorchs(kind):
    torch.manual_seed(0)
    ours = RecurrentLayer(5, 7, kind=kind)
    theirs = twin_of(ours, 5)
    results = []
    for layer in (ours, theirs):
        x = random_tensor(3, 11, 5).requires_grad_()
        outputs, state = layer(x)
        (outputs * random_tensor(3, 11, 7, seed=1)).sum().backward()
        last = state if isinstance(state, tuple) else (state,)
        results.append((outputs, [each.reshape(3, 7) for each in last], x.grad))
    assert_close(*results, rtol=1e-5, atol=1e-5)
    in_their_order = (
        ours.input_projection.weight,
        ours.state_projection.weight,
        ours.input_projection.bias,
        ours.state_projection.bias,
    )
    for mine, twin in zip(in_their_order, theirs.parameters(), strict=True):
        assert_close(mine.grad, twin.grad, rtol=1e-5, atol=1e-5)


def test_rnn_step_equals_pytorchs_cell():
    cell = torch.nn.RNNCell(3, 5)
    x, state = random_tensor(2, 3), random_tensor(2, 5, seed=1)
    projected = torch.nn.functional.linear(x, cell.weight_ih, cell.bias_ih)
    mine = rnn_step(projected, state, weight=cell.weight_hh, bias=cell.bias_hh)
    assert_close(mine, cell(x, state))


@pytest.mark.parametrize("kind", CELLS)
def test_sequences_of_unequal_length_give_what_each_gives_alone(kind):
    torch.manual_seed(1)
    layer = RecurrentLayer(3, 5, kind=kind)
    x, lengths = random_tensor(4, 7, 3), torch.tensor([7, 1, 4, 5])
    mask = torch.arange(7) < lengths[:, None]
    together, last = layer(x.masked_fill(~mask[..., None], 1e4), mask=mask)
    for row, length in enumerate(lengths.tolist()):
        alone, state = layer(x[row : row + 1, :length])
        assert_close(together[row, :length], alone[0])
        assert_close(hidden_of(last)[row], hidden_of(state)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_a_sequence_may_be_read_in_two_parts(kind):
    torch.manual_seed(2)
    layer, x = RecurrentLayer(3, 5, kind=kind), random_tensor(2, 7, 3)
    whole, last = layer(x)
    first, state = layer(x[:, :4])
    second, end = layer(x[:, 4:], state)
    assert_close(torch.cat([first, second], dim=1), whole)
    assert_close(end, last)


@pytest.mark.parametrize("kind", CELLS)
def test_an_empty_sequence_gives_nothing_and_keeps_the_state(kind):
    layer = RecurrentLayer(3, 5, kind=kind)
    outputs, state = layer(torch.zeros(2, 0, 3))
    assert outputs.shape == (2, 0, 5)
    assert not hidden_of(state).any()


def test_mgu_gradients_agree_with_finite_differences():
    """PyTorch has no MGU: its values are worked by hand in the chapter's checks."""
    shapes = [(2, 6), (2, 3), (6, 3), (6,)]
    inputs = [random_tensor(*shape, seed=i).double() for i, shape in enumerate(shapes)]
    inputs = [each.requires_grad_() for each in inputs]
    assert torch.autograd.gradcheck(lambda p, s, w, b: mgu_step(p, s, weight=w, bias=b), inputs)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="kind='tree' must be one of rnn, lstm, gru, mgu"):
        RecurrentLayer(3, 5, kind="tree")
