"""Muon: an update of a matrix with all its singular values made about equal.

In reading order: `orthogonalize`, `hidden_matrices` (what it is for), `Muon`, and `muon`, which
gives it a model's hidden matrices and AdamW's rule to everything else.
"""

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.training.optimizers import parameter_groups

# The polynomial a x + b x³ + c x⁵ of Jordan 2024: steep at 0, so that small singular values grow
# 3.4-fold with each application, and between about 0.7 and 1.2 once they are there.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315


def orthogonalize(
    matrix: Float[Tensor, "rows columns"], *, num_iterations: int = 5
) -> Float[Tensor, "rows columns"]:
    """U Vᵀ of the matrix U S Vᵀ, roughly: every singular value ends between about 0.7 and 1.2.

    By Newton-Schulz iteration, matrix products only: a few times cheaper than an SVD, and faster on
    a GPU by far. Singular values below 1/300 of the Frobenius norm are not up there yet after five.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. Chapter 16.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix  # the smaller of the two Gram matrices
    x = x / matrix.norm().clamp(min=1e-7)
    for _ in range(num_iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=CUBIC, alpha=QUINTIC), x, beta=LINEAR)
    return x.T if is_tall else x


def hidden_matrices(
    model: nn.Module, *, heads: Collection[str] = ("head", "lm_head")
) -> list[nn.Parameter]:
    """Trainable weights of nn.Linear, but those of a head (by name) or tied to an embedding.

    They map vectors to vectors, where the size of an update is how far it can turn one. A row of an
    embedding or a head belongs to one token, and most have no gradient in a batch.
    """
    embeddings = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
    return [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and not set(name.split(".")) & set(heads)
        and module.weight.requires_grad
        and id(module.weight) not in embeddings
    ]


class Muon(torch.optim.Optimizer):
    """Groups with `orthogonalized` are updated by Muon's rule, the others by AdamW's.

    Muon's: W -= lr (0.2 √max(rows, columns) orthogonalize(g + momentum m) + weight_decay W), m the
    running mean of gradients g. The factor gives the update the root mean square of AdamW's
    usual ones, so both rules share a learning rate and a schedule. One state a weight, not two.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; the factor: Liu et al. 2025,
    https://arxiv.org/abs/2502.16982, eq. 4. Chapters 07 and 16.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        epsilon: float = 1e-8,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": betas,
            "epsilon": epsilon,
            "weight_decay": 0.0,
            "orthogonalized": False,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rule = _muon_direction if group["orthogonalized"] else _adamw_direction
            for parameter in group["params"]:
                if parameter.grad is not None:
                    direction = rule(parameter.grad, self.state[parameter], group)
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(direction, alpha=group["lr"])
        return loss


def _muon_direction(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    mean = state["momentum"].lerp_(gradient, 1 - group["momentum"])
    ahead = gradient.lerp(mean, group["momentum"])  # Nesterov's: as if the mean were one step on
    return 0.2 * math.sqrt(max(gradient.shape)) * orthogonalize(ahead)


def _adamw_direction(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    """Mean of the gradients / root of the mean of their squares, both corrected for zero starts."""
    if not state:
        state["step"] = torch.tensor(0.0)
        state["mean"], state["mean_square"] = (torch.zeros_like(gradient) for _ in range(2))
    state["step"] += 1
    number, (beta, beta_square) = state["step"].item(), group["betas"]
    mean = state["mean"].lerp_(gradient, 1 - beta)
    mean_square = state["mean_square"].lerp_(gradient.square(), 1 - beta_square)
    root = (mean_square / (1 - beta_square**number)).sqrt()
    return mean / (1 - beta**number) / (root + group["epsilon"])


def muon(
    model: nn.Module,
    *,
    learning_rate: float = 2e-2,
    weight_decay: float | int = 0.1,
    momentum: float = 0.95,
    betas: tuple[float, float] = (0.9, 0.95),
) -> Muon:
    """`Muon` for the model's `hidden_matrices`; AdamW's rule for embeddings, head and vectors.

    Matrices decay and the rest does not, as in `parameter_groups`. Models of a million parameters
    learn fastest at 2e-2 to 4e-2, and in runs of about a hundred updates with a momentum of 0.9.
    ValueError where there is no hidden matrix.

    Liu et al. 2025, https://arxiv.org/abs/2502.16982, section 2.2. Chapters 07 and 16.
    """
    matrices = hidden_matrices(model)
    if not matrices:
        raise ValueError("the model has no hidden matrix to train (a weight of nn.Linear): adamw")
    taken = {id(each) for each in matrices}
    rest = [
        {**group, "params": [each for each in group["params"] if id(each) not in taken]}
        for group in parameter_groups(model, weight_decay)
    ]
    groups = [
        {"params": matrices, "weight_decay": weight_decay, "orthogonalized": True},
        *(group for group in rest if group["params"]),
    ]
    return Muon(groups, lr=learning_rate, momentum=momentum, betas=betas)
