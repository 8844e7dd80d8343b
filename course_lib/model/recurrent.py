"""Recurrent cells: one step each as a pure function, and the layer that runs a step over a text.

In reading order: `rnn_step`, `lstm_step`, `gru_step`, `mgu_step`, and `RecurrentLayer`. A step gets
its input already projected, W x + b for all gates side by side: that product does not depend on
the state, so one large matrix product serves all times at once and stays out of the loop.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]
"""What a cell carries on: one tensor (batch, state_dim), for an LSTM (hidden, cell)."""


def rnn_step(
    projected: Float[Tensor, "batch state_dim"],
    state: Float[Tensor, "batch state_dim"],
    *,
    weight: Float[Tensor, "state_dim state_dim"],
    bias: Float[Tensor, "state_dim"],
) -> Float[Tensor, "batch state_dim"]:
    """h' = tanh(W x + b_x + U h + b): the whole state is written anew at every step.

    `projected` is W x + b_x, `weight` is U. Equals torch.nn.RNNCell.

    Elman 1990, "Finding structure in time". Chapter 04.
    """
    return (projected + F.linear(state, weight, bias)).tanh()


def lstm_step(
    projected: Float[Tensor, "batch gates"],
    state: tuple[Float[Tensor, "batch state_dim"], Float[Tensor, "batch state_dim"]],
    *,
    weight: Float[Tensor, "gates state_dim"],
    bias: Float[Tensor, "gates"],
) -> tuple[Float[Tensor, "batch state_dim"], Float[Tensor, "batch state_dim"]]:
    """c' = f ⊙ c + i ⊙ g and h' = o ⊙ tanh(c'): the cell is changed by adding, not rewritten.

    `state` is (hidden h, cell c). `projected` and the rows of `weight` and `bias` hold, side by
    side, input gate i, forget gate f, candidate g, output gate o: torch.nn.LSTMCell's order.

    Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate: Gers et al. 2000,
    "Learning to forget". Chapter 04.
    """
    hidden, cell = state
    gates = projected + F.linear(hidden, weight, bias)
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
    cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
    return output_gate.sigmoid() * cell.tanh(), cell


def gru_step(
    projected: Float[Tensor, "batch gates"],
    state: Float[Tensor, "batch state_dim"],
    *,
    weight: Float[Tensor, "gates state_dim"],
    bias: Float[Tensor, "gates"],
) -> Float[Tensor, "batch state_dim"]:
    """h' = (1 − z) ⊙ n + z ⊙ h with n = tanh(W x + b_x + r ⊙ (U h + b)).

    Side by side: reset gate r, update gate z, candidate n, as in torch.nn.GRUCell, where z *keeps*.
    r multiplies the product U h; the paper multiplies h before it, and its z is 1 − z here.

    Cho et al. 2014, https://arxiv.org/abs/1406.1078, eq. 5-8. Chapter 04.
    """
    reset_x, update_x, candidate_x = projected.chunk(3, dim=-1)
    reset_h, update_h, candidate_h = F.linear(state, weight, bias).chunk(3, dim=-1)
    update = (update_x + update_h).sigmoid()
    candidate = (candidate_x + (reset_x + reset_h).sigmoid() * candidate_h).tanh()
    return candidate + update * (state - candidate)


def mgu_step(
    projected: Float[Tensor, "batch gates"],
    state: Float[Tensor, "batch state_dim"],
    *,
    weight: Float[Tensor, "gates state_dim"],
    bias: Float[Tensor, "gates"],
) -> Float[Tensor, "batch state_dim"]:
    """h' = (1 − f) ⊙ h + f ⊙ tanh(W x + b_x + U (f ⊙ h) + b): one gate for reset and update.

    Side by side: forget gate f, candidate. f multiplies h *before* U, so there are two products.

    Zhou et al. 2016, https://arxiv.org/abs/1603.09420, eq. 7. Chapter 04.
    """
    forget_x, candidate_x = projected.chunk(2, dim=-1)
    forget_weight, candidate_weight = weight.chunk(2)
    forget_bias, candidate_bias = bias.chunk(2)
    forget = (forget_x + F.linear(state, forget_weight, forget_bias)).sigmoid()
    kept = F.linear(forget * state, candidate_weight, candidate_bias)
    return state + forget * ((candidate_x + kept).tanh() - state)


@dataclass(frozen=True)
class Cell:
    """A step, and how many times state_dim wide its projected input is."""

    step: Callable[..., State]
    num_gates: int


CELLS = {
    "rnn": Cell(rnn_step, 1),
    "lstm": Cell(lstm_step, 4),
    "gru": Cell(gru_step, 3),
    "mgu": Cell(mgu_step, 2),
}


class RecurrentLayer(nn.Module):
    """Runs one kind of cell over a sequence, from left to right; its parameters are PyTorch's.

    `kind` is a key of CELLS. Initial weights are uniform in ± 1 / sqrt(state_dim), as PyTorch's.
    ValueError names an unknown kind. Chapter 04.
    """

    def __init__(self, input_dim: int, state_dim: int, *, kind: str = "gru") -> None:
        super().__init__()
        if kind not in CELLS:
            raise ValueError(f"kind={kind!r} must be one of {', '.join(CELLS)}")
        self.kind, self.state_dim = kind, state_dim
        gates = CELLS[kind].num_gates * state_dim
        self.input_projection = nn.Linear(input_dim, gates)
        self.state_projection = nn.Linear(state_dim, gates)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(state_dim**-0.5), state_dim**-0.5)

    def initial_state(self, like: Float[Tensor, "batch ..."]) -> State:
        """Zeros for a batch like this one."""
        zeros = like.new_zeros(like.shape[0], self.state_dim)
        return (zeros, zeros) if self.kind == "lstm" else zeros

    def forward(
        self,
        x: Float[Tensor, "batch time input_dim"],
        state: State | None = None,
        *,
        mask: Bool[Tensor, "batch time"] | None = None,
    ) -> tuple[Float[Tensor, "batch time state_dim"], State]:
        """The hidden state after every step, and the last state.

        Where `mask` is False (padding) the state stays as it is: sequences of unequal length in
        one batch give what each gives alone.
        """
        state = self.initial_state(x) if state is None else state
        step, recurrent = CELLS[self.kind].step, self.state_projection
        all_real = mask is None or bool(mask.all())
        outputs = []
        for time, projected in enumerate(self.input_projection(x).unbind(1)):
            new = step(projected, state, weight=recurrent.weight, bias=recurrent.bias)
            state = new if all_real else _keep(state, new, mask[:, time, None])
            outputs.append(hidden_of(state))
        nothing = x.new_zeros(x.shape[0], 0, self.state_dim)
        return torch.stack(outputs, dim=1) if outputs else nothing, state


def hidden_of(state: State) -> Float[Tensor, "batch state_dim"]:
    """The part of a state that others see: of an LSTM's (hidden, cell) the first."""
    return state[0] if isinstance(state, tuple) else state


def _keep(old: State, new: State, is_real: Bool[Tensor, "batch 1"]) -> State:
    """The new state where the token is real, the old one where it is padding."""
    if isinstance(old, tuple):
        return tuple(torch.where(is_real, *pair) for pair in zip(new, old, strict=True))
    return torch.where(is_real, new, old)
