"""Inputs for attention, the exact answer in fp64, and the one bound on the error."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Case:
    """One call of attention; `flags` may hold is_causal, window, lengths, documents, scale."""

    batch: int = 1
    heads: int = 2
    kv_heads: int = 1
    queries: int = 70
    keys: int = 90
    head_dim: int = 32
    factor: float = 1.0  # of the query: 100 makes a softmax of almost one key
    flags: dict = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = "x".join(
            map(
                str, (self.batch, self.heads, self.kv_heads, self.queries, self.keys, self.head_dim)
            )
        )
        return "-".join([sizes, *self.flags, *(["logits*100"] if self.factor != 1 else [])])


def make_inputs(case: Case, dtype: torch.dtype, device: str, seed: int = 0) -> list[torch.Tensor]:
    """Query, key, value and the output's gradient; query and gradient are strided views."""
    generator = torch.Generator().manual_seed(seed)

    def normal(time: int, heads: int) -> torch.Tensor:
        values = torch.randn(case.batch, time, heads, case.head_dim, generator=generator)
        return values.to(device, dtype).transpose(1, 2)

    query = normal(case.queries, case.heads) * case.factor
    key, value = (normal(case.keys, case.kv_heads).contiguous() for _ in range(2))
    return [query, key, value, normal(case.queries, case.heads)]


def visible_keys(case: Case, device: str) -> torch.Tensor:
    """(batch, 1, queries, keys), True = may look: the contract, word for word."""
    flags = case.flags
    positions = (torch.arange(case.queries) + case.keys - case.queries)[:, None]
    keys = torch.arange(case.keys)[None, :]
    visible = torch.ones(case.batch, 1, case.queries, case.keys, dtype=torch.bool)
    if flags.get("is_causal"):
        visible &= keys <= positions
    if flags.get("window") is not None:
        visible &= (positions - keys).abs() < flags["window"]
    if flags.get("lengths") is not None:
        visible &= keys < flags["lengths"].cpu()[:, None, None, None]
    if flags.get("documents") is not None:
        documents = flags["documents"].cpu()
        if case.keys:
            of_queries = documents[:, positions[:, 0].clamp(min=0)]
            visible &= (of_queries[:, :, None] == documents[:, None, :])[:, None]
        visible &= positions >= 0
    return visible.to(device)


def pytorch_gradients(case: Case, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output and gradients of PyTorch's attention with an explicit mask, in the inputs' dtype."""
    *leaves, grad_output = inputs
    query, key, value = (each.detach().requires_grad_() for each in leaves)
    visible = visible_keys(case, query.device)
    is_blind = ~visible.any(dim=-1, keepdim=True)
    groups = case.heads // case.kv_heads
    output = F.scaled_dot_product_attention(
        query,
        key.repeat_interleave(groups, dim=1),
        value.repeat_interleave(groups, dim=1),
        attn_mask=visible | is_blind,  # a row without keys would be nan; it is zeroed below
        scale=case.flags.get("scale"),
    ).masked_fill(is_blind, 0.0)
    return [output.detach(), *torch.autograd.grad(output, (query, key, value), grad_output)]


def gradients(case: Case, inputs: list[torch.Tensor], attend) -> list[torch.Tensor]:
    """Output and gradients of `attend`."""
    *leaves, grad_output = inputs
    leaves = [each.detach().requires_grad_() for each in leaves]
    output = attend(*leaves, **case.flags)
    return [output.detach(), *torch.autograd.grad(output, leaves, grad_output)]


def assert_within_bound(case: Case, inputs: list[torch.Tensor], ours: list[torch.Tensor]) -> None:
    """Error against fp64 <= 2x PyTorch's in the same dtype + 8 eps of the largest value.

    The largest of the three gradients counts for each: where every query sees one key, the
    query's gradient is exactly 0, reached by cancelling numbers as large as the others.
    """
    theirs = pytorch_gradients(case, inputs)
    exact = pytorch_gradients(case, [each.double() for each in inputs])
    sizes = [right.abs().max().item() if right.numel() else 0.0 for right in exact]
    names = ("output", "grad query", "grad key", "grad value")
    for name, our, their, right in zip(names, ours, theirs, exact, strict=True):
        assert our.dtype == their.dtype
        assert our.shape == their.shape
        if not right.numel():
            continue
        their_error = (their.double() - right).abs().max().item()
        largest = sizes[0] if name == "output" else max(sizes[1:])
        bound = 2 * their_error + 8 * torch.finfo(our.dtype).eps * largest
        error = (our.double() - right).abs().max().item()
        assert error <= bound, f"{name}: {error=:.3g} {bound=:.3g} {their_error=:.3g}"
