"""Fused kernels against PyTorch in fp64: interpreted on a CPU, compiled on a GPU."""

import pytest
import torch
import torch.nn.functional as F

from kernels import IS_INTERPRETED, fused_loss
from kernels.fused import rms_norm, swiglu
from kernels.fused_loss import linear_cross_entropy

DTYPES = [torch.float32, torch.float16]
if not IS_INTERPRETED:  # the interpreter's bf16 arithmetic is wrong
    DTYPES.append(torch.bfloat16)


def normal(*shape: int, seed: int = 0, dtype=torch.float32, device="cpu") -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(device, dtype)


def results(function, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """The output and the gradients, for an incoming gradient that is not constant."""
    inputs = [each.detach().requires_grad_() for each in inputs]
    output = function(*inputs)
    weights = normal(*output.shape, seed=9, device=output.device).to(output.dtype)
    return [output.detach(), *torch.autograd.grad(output, inputs, weights)]


def assert_within_bound(ours, theirs, inputs: list[torch.Tensor]) -> None:
    """Error against fp64 <= 2x PyTorch's in the same dtype + 8 eps of the largest value."""
    exact = results(theirs, [each.double() for each in inputs])
    for our, their, right in zip(
        results(ours, inputs), results(theirs, inputs), exact, strict=True
    ):
        assert our.dtype == their.dtype
        assert our.shape == their.shape
        eps = torch.finfo(our.dtype).eps
        bound = 2 * (their - right).abs().max() + 8 * eps * right.abs().max()
        assert (our.double() - right).abs().max() <= bound


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(5, 7), (2, 35, 48), (3, 130)], ids=str)
@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_rms_norm(shape, dtype, factor, device):
    x = factor * normal(*shape, dtype=dtype, device=device)
    weight = normal(shape[-1], seed=1, dtype=dtype, device=device)

    def theirs(x, weight):
        return F.rms_norm(x, weight.shape, weight, eps=1e-5)

    assert_within_bound(lambda x, weight: rms_norm(x, weight, eps=1e-5), theirs, [x, weight])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_swiglu_of_strided_halves(dtype, factor, device):
    both = factor * normal(3, 5, 2 * 143, dtype=dtype, device=device)
    gate, up = both.chunk(2, dim=-1)
    assert_within_bound(swiglu, lambda gate, up: F.silu(gate) * up, [gate, up])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("tokens", "dim", "vocab_size"), [(11, 8, 37), (6, 48, 5), (1, 3, 2)])
@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_linear_cross_entropy(tokens, dim, vocab_size, dtype, factor, device, monkeypatch):
    monkeypatch.setattr(fused_loss, "LOGITS_ROWS", 4)
    hidden = factor * normal(tokens, dim, dtype=dtype, device=device)
    weight = normal(vocab_size, dim, seed=1, dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(2)
    targets = torch.randint(vocab_size, (tokens,), generator=generator).to(device)
    targets[tokens // 2 + 1 : -1] = -100

    def ours(hidden, weight):
        return linear_cross_entropy(hidden, weight, targets).to(hidden.dtype)

    def theirs(hidden, weight):
        return F.cross_entropy(hidden @ weight.T, targets)

    assert_within_bound(ours, theirs, [hidden, weight])


def test_the_logits_exist_for_a_few_rows_at_a_time(device, allocated, monkeypatch):
    monkeypatch.setattr(fused_loss, "LOGITS_ROWS", 2)
    hidden, weight = normal(64, 16, device=device), normal(500, 16, seed=1, device=device)
    targets = torch.arange(64, device=device)
    allocated.clear()
    linear_cross_entropy(hidden.requires_grad_(), weight.requires_grad_(), targets).backward()
    logits = 2 * 500
    assert sorted(allocated)[-3:] == [logits, hidden.numel(), weight.numel()]  # and two gradients


def test_a_vocabulary_of_several_blocks(device):
    hidden, weight = normal(3, 4, device=device), normal(9000, 4, seed=1, device=device)
    targets = torch.tensor([0, 5000, 8999], device=device)
    assert_within_bound(
        lambda hidden, weight: linear_cross_entropy(hidden, weight, targets),
        lambda hidden, weight: F.cross_entropy(hidden @ weight.T, targets),
        [hidden, weight],
    )


@pytest.mark.parametrize("target", [7, -1])
def test_a_target_that_is_no_id_gives_nan(target, device):
    hidden, weight = normal(3, 4, device=device), normal(7, 4, seed=1, device=device)
    targets = torch.tensor([0, target, 6], device=device)
    assert linear_cross_entropy(hidden, weight, targets).isnan()


def operations(device: str) -> dict:
    """name -> a small model around one fused operation, and its inputs."""
    x, weight = normal(5, 7, device=device), normal(7, seed=1, device=device)
    targets = torch.tensor([0, 3, -100, 10, 2], device=device)
    vocabulary = normal(11, 7, seed=2, device=device)
    return {
        "rms_norm": (lambda x, weight: rms_norm(2 * x, weight) + 1, [x, weight]),
        "swiglu": (lambda x, y: swiglu(2 * x, y.T.contiguous().T) + 1, [x, x + 1]),
        "linear_cross_entropy": (
            lambda x, vocabulary: linear_cross_entropy(2 * x, vocabulary, targets) + 1,
            [x, vocabulary],
        ),
    }


@pytest.mark.slow
@pytest.mark.budget(40)
@pytest.mark.parametrize("name", ["rms_norm", "swiglu", "linear_cross_entropy"])
def test_torch_compile_takes_it_whole(name, device):
    step, inputs = operations(device)[name]
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for ours, eager in zip(results(compiled, inputs), results(step, inputs), strict=True):
        assert torch.equal(ours, eager)


@pytest.mark.slow
@pytest.mark.budget(20)
def test_pytorchs_own_checks_of_the_operators_pass(device):
    x, weight = (normal(*shape, device=device).requires_grad_() for shape in ((5, 7), (7,)))
    strided = normal(7, 5, device=device).T.detach().requires_grad_()
    targets = torch.tensor([0, 3, -100, 1, 2], device=device)
    torch.library.opcheck(torch.ops.course.rms_norm.default, (strided, weight, 1e-5))
    torch.library.opcheck(torch.ops.course.swiglu.default, (strided, x))
    torch.library.opcheck(
        torch.ops.course.linear_cross_entropy.default, (strided, x.detach(), targets, -100)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: rms_norm(x, x[0, :3]), "weight must have shape"),
        (lambda x: rms_norm(x, x[0].double()), "weight.dtype=torch.float64"),
        (lambda x: swiglu(x, x[:, :3]), "gate and up must have one shape"),
        (lambda x: linear_cross_entropy(x, x[:, :3], x[:, 0].long()), "hidden and weight must be"),
        (lambda x: linear_cross_entropy(x, x, x[:, 0]), "targets must be int64"),
    ],
)
def test_wrong_input_is_refused_by_name(call, message, device):
    with pytest.raises(ValueError, match=message):
        call(normal(4, 6, device=device))
