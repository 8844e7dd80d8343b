"""What happens between gradients and weights: groups for weight decay, AdamW, clipping."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def parameter_groups(model: nn.Module, weight_decay: float | int) -> list[dict[str, Any]]:
    """Two groups for an optimizer: matrices, which decay, and all the rest, which does not.

    The rest: vectors (norms, biases), which set scales rather than mix features, and embeddings,
    whose rows of rare tokens would shrink with hardly any gradient to hold them. A frozen
    parameter is in neither; one that is tied to an embedding is an embedding.
    """
    embeddings = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    }
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[parameter.ndim >= 2 and id(parameter) not in embeddings].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decays else 0.0}
        for decays, parameters in groups.items()
        if parameters
    ]


def adamw(
    model: nn.Module,
    *,
    learning_rate: float = 2e-3,
    weight_decay: float | int = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
) -> torch.optim.AdamW:
    """PyTorch's AdamW over `parameter_groups`, with language models' usual second beta, 0.95.

    Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101, algorithm 2. Chapters 07 and 16.
    """
    groups = parameter_groups(model, weight_decay)
    if not groups:
        raise ValueError("the model has no parameter to train: every requires_grad is False")
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=True)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float | int) -> Float[Tensor, ""]:
    """Scale all gradients by min(1, max_norm / norm); returns their norm before.

    One norm over all of them together, so the step keeps its direction. Parameters without a
    gradient are passed over. With max_norm = inf it only measures.

    Pascanu et al. 2012, https://arxiv.org/abs/1211.5063, algorithm 1. Chapter 07.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm = {max_norm} must be more than 0; inf clips nothing")
    gradients = [each.grad for each in parameters if each.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norms = [
        torch.linalg.vector_norm(each, dtype=torch.promote_types(each.dtype, torch.float32))
        for each in gradients
    ]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    scale = (max_norm / norm).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.to(gradient.dtype))
    return norm
