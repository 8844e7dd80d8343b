"""Checks of chapter 04: LSTM, GRU and MGU steps, additive attention, encoder and decoder.

Oracles: worked by hand, PyTorch's cells, loops over single numbers, a model that only adds.
"""

import math
from collections.abc import Iterable

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from course_lib.model.sequence_to_sequence import SequenceToSequence


def random_tensor(*shape: int, seed: int, size: float = 1.0) -> torch.Tensor:
    return size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def step_inputs(num_gates: int, *, seed: int = 0, size: float = 1.0, batch: int = 3, dim: int = 5):
    """projected, a state, weight and bias, of sizes that differ in every dimension."""
    gates = num_gates * dim
    return (
        random_tensor(batch, gates, seed=seed, size=size),
        random_tensor(batch, dim, seed=seed + 1),
        random_tensor(gates, dim, seed=seed + 2),
        random_tensor(gates, seed=seed + 3),
    )


def pytorch_cell(kind: type, weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    """PyTorch's cell with this recurrent part; its input passes unchanged (the identity)."""
    gates, dim = weight.shape
    cell = kind(gates, dim).to(weight.dtype)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(gates))
        cell.bias_ih.zero_()
        cell.weight_hh.copy_(weight)
        cell.bias_hh.copy_(bias)
    return cell


def assert_unchanged(inputs: Iterable[torch.Tensor], before: Iterable[torch.Tensor]) -> None:
    if not all(map(torch.equal, inputs, before)):
        pytest.fail("an input was changed in place: by `*=`, `+=` or a method ending in `_`")


def column(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers])


def rows(*parts: float) -> torch.Tensor:
    """Three rows with these parts: projected, for a state of one number."""
    return torch.tensor([parts]).repeat(3, 1)


LN3 = math.log(3)  # sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4
ATANH = math.atanh(0.5)  # its tanh is 1/2


def test_lstm_worked_by_hand(lstm_step):
    """i = 1/4, f = 3/4, g = 1/2, o = 1/2 and c = 2: c' = 3/4 · 2 + 1/4 · 1/2 = 1.625."""
    hidden, cell = lstm_step(
        column(-LN3, LN3, ATANH, 0.0),
        (column(1.0), column(2.0)),
        weight=torch.zeros(4, 1),
        bias=torch.zeros(4),
    )
    assert_close(cell, column(1.625))
    assert_close(hidden, column(0.5 * math.tanh(1.625)))


@pytest.mark.parametrize("size", [1.0, 100.0], ids=["ordinary gates", "saturated gates"])
def test_lstm_agrees_with_pytorchs_cell(lstm_step, size):
    """The same weights, the same hidden state and cell, also where every gate is saturated."""
    projected, hidden, weight, bias = step_inputs(4, size=size)
    cell = random_tensor(3, 5, seed=9)
    theirs = pytorch_cell(nn.LSTMCell, weight, bias)(projected, (hidden, cell))
    mine = lstm_step(projected, (hidden, cell), weight=weight, bias=bias)
    assert isinstance(mine, tuple), f"the state is a pair (hidden, cell), not {type(mine).__name__}"
    assert len(mine) == 2
    assert_close(mine[1], theirs[1], msg=lambda text: f"the cell: {text}")
    assert_close(mine[0], theirs[0], msg=lambda text: f"the hidden state: {text}")


def test_lstm_keeps_a_cell_whose_forget_gate_is_open(lstm_step):
    """f = 1 and i = 0: after fifty steps the cell holds what it held. That is its memory."""
    projected = torch.tensor([[-1e3, -1e3, 1e3, 1e3, 7.0, -7.0, 0.0, 0.0]]).repeat(2, 1)
    state = (torch.zeros(2, 2), torch.tensor([[0.3, -0.9], [2.0, 5.0]]))
    for _ in range(50):
        state = lstm_step(projected, state, weight=torch.ones(8, 2), bias=torch.zeros(8))
    assert_close(state[1], torch.tensor([[0.3, -0.9], [2.0, 5.0]]))


def test_lstm_leaves_its_inputs_alone_and_keeps_the_dtype(lstm_step):
    """The old state is still needed for the gradients, and other sequences may start from it."""
    inputs = [each.double() for each in (*step_inputs(4), random_tensor(3, 5, seed=9))]
    before = [each.clone() for each in inputs]
    projected, hidden, weight, bias, cell = inputs
    result = lstm_step(projected, (hidden, cell), weight=weight, bias=bias)
    assert [each.dtype for each in result] == [torch.float64, torch.float64]
    assert_unchanged(inputs, before)


def gradients_of(step, inputs: list[torch.Tensor], join) -> list[torch.Tensor]:
    leaves = [each.double().clone().requires_grad_() for each in inputs]
    join(step(*leaves)).backward()
    assert all(leaf.grad is not None for leaf in leaves), "no gradient reached an input"
    return [leaf.grad for leaf in leaves]


def test_lstm_gradients_agree_with_pytorchs(lstm_step):
    """Wrong values give wrong gradients. If only this fails, the way back is cut (`detach`)."""
    projected, hidden, weight, bias = step_inputs(4)
    cell = random_tensor(3, 5, seed=9)
    theirs = pytorch_cell(nn.LSTMCell, weight.double(), bias.double())

    def join(state):
        return (state[0] * torch.arange(5.0)).sum() + state[1].square().sum()

    mine = gradients_of(
        lambda p, h, c: lstm_step(p, (h, c), weight=weight.double(), bias=bias.double()),
        [projected, hidden, cell],
        join,
    )
    expected = gradients_of(lambda p, h, c: theirs(p, (h, c)), [projected, hidden, cell], join)
    assert_close(mine, expected)


def test_gru_worked_by_hand(gru_step):
    """r = 1/4, z = 3/4, h = 2, U h + b = 4: n = tanh(0.5 + 1/4 · 4) and h' = n/4 + 3/4 · 2."""
    state = gru_step(
        column(-LN3, LN3, 0.5),
        column(2.0),
        weight=torch.tensor([[0.0], [0.0], [1.5]]),
        bias=torch.tensor([0.0, 0.0, 1.0]),
    )
    assert_close(state, column(math.tanh(1.5) / 4 + 1.5))


@pytest.mark.parametrize("size", [1.0, 100.0], ids=["ordinary gates", "saturated gates"])
def test_gru_agrees_with_pytorchs_cell(gru_step, size):
    """The same weights, the same state, also where the gates are saturated."""
    projected, state, weight, bias = step_inputs(3, size=size)
    theirs = pytorch_cell(nn.GRUCell, weight, bias)(projected, state)
    assert_close(gru_step(projected, state, weight=weight, bias=bias), theirs)


def test_gru_with_an_update_gate_of_one_keeps_its_state(gru_step):
    """z *keeps*: with z = 1 nothing is written, whatever the candidate is."""
    state = torch.tensor([[0.5], [-2.0], [7.0]])
    new = gru_step(rows(0.0, 1e3, 3.0), state, weight=torch.zeros(3, 1), bias=torch.zeros(3))
    assert_close(new, state)


def test_gru_with_an_update_gate_of_zero_becomes_its_candidate(gru_step):
    """z = 0, r = 1/2 and U h + b = 0: the new state is n = tanh(3 + 1/2 · 0)."""
    state = torch.tensor([[0.5], [-2.0], [7.0]])
    new = gru_step(rows(0.0, -1e3, 3.0), state, weight=torch.zeros(3, 1), bias=torch.zeros(3))
    assert_close(new, torch.full((3, 1), math.tanh(3.0)))


def test_gru_leaves_its_inputs_alone_and_keeps_the_dtype(gru_step):
    """The old state is still needed for the gradients."""
    inputs = [each.double() for each in step_inputs(3, seed=4)]
    before = [each.clone() for each in inputs]
    projected, state, weight, bias = inputs
    assert gru_step(projected, state, weight=weight, bias=bias).dtype == torch.float64
    assert_unchanged(inputs, before)


def test_gru_gradients_agree_with_pytorchs(gru_step):
    """Wrong values give wrong gradients. If only this fails, the way back is cut (`detach`)."""
    projected, state, weight, bias = step_inputs(3, seed=2)
    theirs = pytorch_cell(nn.GRUCell, weight.double(), bias.double())

    def join(new):
        return (new * torch.arange(5.0)).sum()

    mine = gradients_of(
        lambda p, h: gru_step(p, h, weight=weight.double(), bias=bias.double()),
        [projected, state],
        join,
    )
    assert_close(mine, gradients_of(theirs, [projected, state], join))


def test_mgu_worked_by_hand(mgu_step):
    """f = 3/4, h = 2, U = 1, so U (f h) = 1.5: h' = 2/4 + 3/4 · tanh(0.25 + 1.5)."""
    state = mgu_step(
        column(LN3, 0.25), column(2.0), weight=torch.tensor([[0.0], [1.0]]), bias=torch.zeros(2)
    )
    assert_close(state, column(0.5 + 0.75 * math.tanh(1.75)))


def test_mgu_agrees_with_a_loop_over_single_numbers(mgu_step):
    """The chapter's three equations, entry by entry; f multiplies h before the matrix."""
    projected, state, weight, bias = (each.double() for each in step_inputs(2, seed=5))
    new = mgu_step(projected.clone(), state.clone(), weight=weight, bias=bias)
    for row in range(3):
        h = state[row].tolist()
        forget = []
        for j in range(5):
            score = sum(weight[j, k].item() * h[k] for k in range(5))
            score += projected[row, j].item() + bias[j].item()
            forget.append(1 / (1 + math.exp(-score)))
        for j in range(5):
            kept = sum(weight[5 + j, k].item() * forget[k] * h[k] for k in range(5))
            candidate = math.tanh(projected[row, 5 + j].item() + bias[5 + j].item() + kept)
            expected = (1 - forget[j]) * h[j] + forget[j] * candidate
            assert_close(new[row, j].item(), expected)


def test_mgu_with_a_forget_gate_of_zero_keeps_its_state(mgu_step):
    """A name to mind: here f = 0 *keeps*, whatever the candidate is."""
    state = torch.tensor([[0.5], [-2.0], [7.0]])
    new = mgu_step(rows(-1e3, 3.0), state, weight=torch.zeros(2, 1), bias=torch.zeros(2))
    assert_close(new, state)


def test_mgu_with_a_forget_gate_of_one_becomes_its_candidate(mgu_step):
    """f = 1 and U = 0: nothing of the old state is left, the new one is tanh(3)."""
    state = torch.tensor([[0.5], [-2.0], [7.0]])
    new = mgu_step(rows(1e3, 3.0), state, weight=torch.zeros(2, 1), bias=torch.zeros(2))
    assert_close(new, torch.full((3, 1), math.tanh(3.0)))


def test_mgu_leaves_its_inputs_alone_and_keeps_the_dtype(mgu_step):
    """The old state is still needed for the gradients."""
    inputs = [each.double() for each in step_inputs(2, seed=6)]
    before = [each.clone() for each in inputs]
    projected, state, weight, bias = inputs
    assert mgu_step(projected, state, weight=weight, bias=bias).dtype == torch.float64
    assert_unchanged(inputs, before)


def test_mgu_gradients_agree_with_finite_differences(mgu_step):
    """Training goes back through every step. If only this fails, the way is cut (`detach`)."""
    inputs = [each.double().requires_grad_() for each in step_inputs(2, batch=2, dim=3, seed=7)]
    assert torch.autograd.gradcheck(lambda p, h, w, b: mgu_step(p, h, weight=w, bias=b), inputs)


def attention_inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Three sequences, two queries, seven keys; every dimension of another size."""
    weights = {
        "query_weight": random_tensor(6, 4, seed=seed + 2),
        "key_weight": random_tensor(6, 5, seed=seed + 3),
        "score_weight": random_tensor(6, seed=seed + 4, size=2.0),
    }
    return random_tensor(3, 2, 4, seed=seed), random_tensor(3, 7, 5, seed=seed + 1), weights


def lengths_mask(*lengths: int, num_keys: int = 7) -> torch.Tensor:
    return torch.arange(num_keys) < torch.tensor(lengths)[:, None]


def test_attention_worked_by_hand(additive_attention):
    """Scores 0 and ln 3 (v = 2 ln 3, tanh 0 and tanh(atanh 1/2)): weights 1/4 and 3/4."""
    context, weights = additive_attention(
        torch.tensor([[[1.0]]]),
        torch.tensor([[[-1.0], [ATANH - 1.0]]]),
        query_weight=torch.ones(1, 1),
        key_weight=torch.ones(1, 1),
        score_weight=torch.tensor([2 * LN3]),
    )
    assert_close(weights, torch.tensor([[[0.25, 0.75]]]))
    assert_close(context, torch.tensor([[[0.75 * ATANH - 1.0]]]))


@pytest.mark.parametrize("lengths", [None, (7, 1, 4)], ids=["no mask", "with padding"])
def test_attention_agrees_with_a_loop_over_pairs(additive_attention, lengths):
    """One score for every query and every key of the same sequence: v · tanh(W q + U k)."""
    query, keys, given = attention_inputs()
    mask = None if lengths is None else lengths_mask(*lengths)
    context, weights = additive_attention(query.clone(), keys.clone(), mask, **given)
    for row, num_keys in enumerate(lengths or (7, 7, 7)):
        for i in range(2):
            scores = [
                given["score_weight"]
                @ torch.tanh(given["query_weight"] @ query[row, i] + given["key_weight"] @ key)
                for key in keys[row, :num_keys]
            ]
            expected = torch.softmax(torch.stack(scores), dim=0)
            assert_close(weights[row, i, :num_keys], expected)
            assert_close(context[row, i], expected @ keys[row, :num_keys])


def test_attention_weights_sum_to_one_over_the_real_keys(additive_attention):
    """A mixture: padding gets exactly nothing, and what is left is shared out in full."""
    query, keys, given = attention_inputs(seed=10)
    mask = lengths_mask(2, 7, 1)
    _, weights = additive_attention(query, keys, mask, **given)
    assert weights.shape == (3, 2, 7)
    assert_close(weights.sum(dim=2), torch.ones(3, 2))
    assert not weights.masked_select(~mask[:, None]).any(), "padding has weight"


def test_attention_of_a_sequence_does_not_depend_on_its_batch(additive_attention):
    """Alone and unpadded, or beside longer ones: the same context."""
    query, keys, given = attention_inputs(seed=20)
    together, _ = additive_attention(query, keys, lengths_mask(3, 7, 5), **given)
    for row, length in enumerate((3, 7, 5)):
        alone, _ = additive_attention(
            query[row : row + 1], keys[row : row + 1, :length], None, **given
        )
        assert_close(together[row], alone[0])


def test_attention_is_not_changed_by_what_stands_in_the_padding(additive_attention):
    """The encoder's outputs there are numbers like any other; large ones must not leak in."""
    query, keys, given = attention_inputs(seed=30)
    mask = lengths_mask(3, 6, 5)
    clean, _ = additive_attention(query, keys, mask, **given)
    dirty, _ = additive_attention(query, keys.masked_fill(~mask[..., None], 1e4), mask, **given)
    assert_close(dirty, clean)


def test_attention_scores_of_a_thousand_stay_finite(additive_attention):
    """nan? Either exp(1000) = inf, and the softmax is not the safe one; or the weights are masked
    after it: those of the real keys were all 0, and sharing out anew is 0 / 0.
    """
    query, keys, given = attention_inputs(seed=40)
    given["score_weight"] = 1000 * given["score_weight"]
    context, weights = additive_attention(query, keys, lengths_mask(7, 4, 2), **given)
    if not context.isfinite().all():
        pytest.fail("the context holds nan or inf")
    assert_close(weights.sum(dim=2), torch.ones(3, 2))


def test_attention_leaves_its_inputs_alone_and_keeps_the_dtype(additive_attention):
    """The encoder's outputs are asked again at the next step."""
    query, keys, given = attention_inputs(seed=50)
    query, keys = query.double(), keys.double()
    given = {name: each.double() for name, each in given.items()}
    mask = lengths_mask(7, 4, 2)
    before = query.clone(), keys.clone(), mask.clone()
    context, weights = additive_attention(query, keys, mask, **given)
    assert (context.dtype, weights.dtype) == (torch.float64, torch.float64)
    assert_unchanged((query, keys, mask), before)


def test_attention_gradients_agree_with_finite_differences(additive_attention):
    """The weights are learned from the loss alone. If this check alone fails, the way is cut."""
    query, keys, given = attention_inputs(seed=60)
    inputs = [each.double().requires_grad_() for each in (query, keys, *given.values())]
    mask = lengths_mask(7, 4, 2)

    def context(query, keys, *parameters):
        named = dict(zip(given, parameters, strict=True))
        return additive_attention(query, keys, mask, **named)[0]

    assert torch.autograd.gradcheck(context, inputs)


class Adder(nn.Module):
    """A model to follow by hand: its state is the sum of all it has read.

    Its choice is that sum, plus its memory (how many source tokens are no padding), modulo 7.
    """

    def encode(self, source):
        return source.sum(dim=1, keepdim=True), (source != 0).sum(dim=1, keepdim=True)

    def decode(self, tokens, state, memory):
        sums = state + tokens.cumsum(dim=1)
        return 5.0 * nn.functional.one_hot((sums + memory) % 7, 7), sums[:, -1:]


FED = pytest.mark.parametrize(
    "teacher_forcing", [True, False], ids=["teacher forcing", "running freely"]
)
SOURCE = torch.tensor([[3, 4, 0], [2, 5, 5]])
TARGET = torch.tensor([[1, 5, 2, 2], [1, 3, 6, 2]])


def test_teacher_forced_choices_worked_by_hand(encode_decode):
    """A toy model adds up all tokens it was fed, and chooses that sum, plus the number of source
    tokens, modulo 7. Row 1: source 3 + 4 = 7; fed 1, 5, 2 the sums are 8, 13, 15; plus 2 source
    tokens 10, 15, 17; modulo 7: 3, 1, 3.
    """
    logits = encode_decode(Adder(), SOURCE, TARGET)
    assert logits.shape == (2, 3, 7), "one row of logits for each target token but the first"
    assert logits.argmax(dim=-1).tolist() == [[3, 1, 3], [2, 5, 4]]


def test_free_running_choices_worked_by_hand(encode_decode):
    """The same toy model, fed its own choices. Row 1: source 7, fed 1: sum 8, plus 2 is 10, choice
    3. Fed 3: sum 11, plus 2 is 13, choice 6. Fed 6: sum 17, plus 2 is 19, choice 5.
    """
    logits = encode_decode(Adder(), SOURCE, TARGET, teacher_forcing=False)
    assert logits.shape == (2, 3, 7), "one row of logits for each target token but the first"
    assert logits.argmax(dim=-1).tolist() == [[3, 6, 5], [2, 4, 1]]


def test_free_running_never_looks_at_the_target(encode_decode):
    """Only its first token and its length count: the rest is not known when the model is used."""
    other = torch.tensor([[1, 0, 0, 0], [1, 4, 4, 4]])
    logits = encode_decode(Adder(), SOURCE, TARGET, teacher_forcing=False)
    assert_close(encode_decode(Adder(), SOURCE, other, teacher_forcing=False), logits)


@pytest.mark.parametrize("attention", [None, "general"], ids=["no attention", "attention"])
def test_row_t_depends_on_the_target_up_to_its_own_token_only(encode_decode, attention):
    """Logits that saw the token they predict would be perfect in training and useless after."""
    model = small_model(attention)
    changed = TARGET.clone()
    changed[:, 2] = 4
    before, after = (encode_decode(model, SOURCE, target) for target in (TARGET, changed))
    assert_close(after[:, :2], before[:, :2])
    assert not torch.allclose(after[:, 2], before[:, 2]), "row 2 must have seen target token 2"


def small_model(attention: str | None) -> SequenceToSequence:
    torch.manual_seed(3)
    return SequenceToSequence(7, 7, dim=5, kind="lstm", attention=attention)


@pytest.mark.parametrize("attention", [None, "additive"], ids=["no attention", "attention"])
@FED
def test_logits_agree_with_single_steps(encode_decode, attention, teacher_forcing):
    """Encode once, then hand the state from step to step."""
    model = small_model(attention)
    logits = encode_decode(model, SOURCE, TARGET, teacher_forcing=teacher_forcing)
    state, memory = model.encode(SOURCE)
    token = TARGET[:, :1]
    for place in range(3):
        row, state = model.decode(token, state, memory)
        assert_close(logits[:, place : place + 1], row)
        token = TARGET[:, place + 1, None] if teacher_forcing else row.argmax(dim=-1)


@FED
def test_gradients_reach_encoder_and_decoder(encode_decode, teacher_forcing):
    """The encoder learns only through the state and memory that it hands over."""
    model = small_model("dot")
    logits = encode_decode(model, SOURCE, TARGET, teacher_forcing=teacher_forcing)
    logits.square().sum().backward()
    assert all(each.grad is not None for each in model.parameters()), "a part got no gradient"
