"""Flash attention against PyTorch in fp64: interpreted on a CPU, compiled on a GPU."""

import pytest
import torch
from attention_cases import Case, assert_within_bound, gradients, make_inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import IS_INTERPRETED
from kernels.flash_attention import flash_attention

DTYPES = [torch.float32, torch.float16]
if not IS_INTERPRETED:  # the interpreter's bf16 arithmetic is wrong
    DTYPES.append(torch.bfloat16)
FLAGS = [
    {},
    {"is_causal": True},
    {"window": 9},
    {"is_causal": True, "window": 33},
    {"lengths": torch.tensor([23, 75])},
    {"is_causal": True, "lengths": torch.tensor([64, 0])},
    {"documents": torch.tensor([[7, 3, 7], [5, 5, 6]]).repeat_interleave(40, dim=1)},
    {"is_causal": True, "window": 20, "documents": (torch.arange(240) // 25).reshape(2, 120)},
]
SHAPES = [  # batch, heads, kv_heads, queries, keys, head_dim: as many keys, more, fewer
    (2, 1, 1, 100, 100, 32),
    (1, 2, 1, 70, 110, 48),
    (1, 1, 1, 120, 65, 16),
]


def fit(flags: dict, batch: int, keys: int, device: str = "cpu") -> dict:
    """The flags with their tensors cut to this batch and these keys."""
    cut = dict(flags)
    if "lengths" in cut:
        cut["lengths"] = cut["lengths"][:batch].to(device)
    if "documents" in cut:
        cut["documents"] = cut["documents"][:batch, :keys].to(device)
    return cut


def check(case: Case, dtype: torch.dtype, device: str) -> None:
    inputs = make_inputs(case, dtype, device)
    copies = [each.clone() for each in inputs]
    assert_within_bound(case, inputs, gradients(case, inputs, flash_attention))
    assert all(map(torch.equal, inputs, copies)), "an input was changed"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: "-".join(flags) or "plain")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_exact_attention_within_the_bound(shape, flags, dtype, device):
    check(Case(*shape, flags=fit(flags, shape[0], shape[4], device)), dtype, device)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("head_dim", [16, 20, 64, 72, 80, 96, 128, 160, 256])
def test_every_head_dim(head_dim, dtype, device):
    check(Case(1, 1, 1, 40, 66, head_dim, flags={"is_causal": True}), dtype, device)


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 1), (4, 2), (2, 2)])
def test_grouped_and_multi_query_heads(heads, kv_heads, device):
    check(Case(2, heads, kv_heads, 33, 47, 24, flags={"is_causal": True}), torch.float32, device)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("flags", [{}, {"is_causal": True, "window": 40}], ids=["plain", "window"])
def test_logits_times_100(flags, dtype, device):
    check(Case(1, 1, 1, 90, 100, 32, factor=100.0, flags=flags), dtype, device)


def test_longer_than_three_blocks(device):
    check(Case(1, 1, 1, 256, 256, 64, flags={"is_causal": True}), torch.float32, device)
    window = {"is_causal": True, "window": 130}
    check(Case(1, 1, 1, 200, 256, 64, flags=window), torch.float32, device)


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (1, 1), (1, 130)], ids=str)
def test_no_query_no_key_or_one(sizes, device):
    check(Case(1, 2, 1, *sizes, 16, flags={"is_causal": True}), torch.float32, device)


@st.composite
def cases(draw) -> Case:
    batch, kv_heads, groups = (draw(st.integers(1, 2)) for _ in range(3))
    queries, keys = draw(st.integers(0, 80)), draw(st.integers(0, 80))
    flags = {"is_causal": draw(st.booleans()), "scale": draw(st.sampled_from([None, 0.05, 1.5]))}
    if draw(st.booleans()):
        flags["window"] = draw(st.integers(1, 90))
    if draw(st.booleans()):
        flags["lengths"] = torch.tensor([draw(st.integers(0, 90)) for _ in range(batch)])
    if draw(st.booleans()):
        ids = st.lists(st.integers(0, 2), min_size=keys, max_size=keys)
        flags["documents"] = torch.tensor([draw(ids) for _ in range(batch)]).reshape(batch, keys)
        flags["documents"] = flags["documents"].to(torch.int32)
    head_dim = draw(st.integers(16, 80))
    return Case(batch, kv_heads * groups, kv_heads, queries, keys, head_dim, flags=flags)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(cases())
@pytest.mark.budget(15)
@pytest.mark.slow
def test_any_shape_and_any_flags(case):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    flags = {
        name: each.to(device) if isinstance(each, torch.Tensor) else each
        for name, each in case.flags.items()
    }
    check(Case(**(vars(case) | {"flags": flags})), torch.float32, device)


def test_rows_that_see_nothing_give_zeros_and_zero_gradients(device):
    case = Case(1, 1, 1, 80, 30, 16, flags={"is_causal": True})
    query, key, value, grad_output = make_inputs(case, torch.float32, device)
    grad_output[:, :, 50:] = 0.0  # only the blind rows, before the first key, have a gradient
    output, *grads = gradients(case, [query, key, value, grad_output], flash_attention)
    assert (output[:, :, :50] == 0).all()
    assert (output[:, :, 50:] != 0).all()
    assert all((grad == 0).all() for grad in grads)


def test_any_strides_are_read_in_place(device):
    generator = torch.Generator().manual_seed(1)
    case = Case(2, 2, 2, 20, 30, 16)
    wide = torch.randn(2, 2, 20, 32, generator=generator).to(device)
    one_for_all = torch.randn(1, 2, 30, 16, generator=generator).to(device).expand(2, -1, -1, -1)
    reversed_heads = torch.randn(30, 2, 2, 16, generator=generator).to(device).permute(2, 1, 0, 3)
    grad_output = torch.ones((), device=device).expand(2, 2, 20, 16)
    inputs = [wide[..., ::2], one_for_all, reversed_heads, grad_output]
    assert_within_bound(case, inputs, gradients(case, inputs, flash_attention))


def test_gradients_agree_with_finite_differences(device):
    case = Case(1, 2, 1, 7, 9, 16, flags={"is_causal": True, "window": 5})
    *leaves, grad_output = make_inputs(case, torch.float32, device)
    _, *grads = gradients(case, [*leaves, grad_output], flash_attention)

    def loss(tensors: list[torch.Tensor]) -> float:
        return (flash_attention(*tensors, **case.flags).double() * grad_output).sum().item()

    generator = torch.Generator().manual_seed(2)
    for index, grad in enumerate(grads):
        direction = torch.randn(grad.shape, generator=generator).to(device)
        step = 1e-2  # in fp32 the rounding error is about 1e-6 / step, the curvature's step^2
        above, below = (
            [
                each + sign * step * direction if i == index else each
                for i, each in enumerate(leaves)
            ]
            for sign in (1, -1)
        )
        slope = (loss(above) - loss(below)) / (2 * step)
        assert slope == pytest.approx((grad * direction).sum().item(), rel=3e-3, abs=3e-3)


def test_the_same_input_gives_the_same_bits(device):
    case = Case(1, 2, 1, 40, 70, 16, flags={"is_causal": True})
    inputs = make_inputs(case, torch.float16, device)
    first = gradients(case, inputs, flash_attention)
    for _ in range(19):
        again = gradients(case, inputs, flash_attention)
        assert all(map(torch.equal, first, again))


def test_memory_is_linear_in_the_length(device, allocated):
    totals = []
    for length in (128, 256):
        case = Case(1, 1, 1, length, length, 16)
        inputs = make_inputs(case, torch.float32, device)
        allocated.clear()
        gradients(case, inputs, flash_attention)
        assert max(allocated) == length * 16  # nothing is larger than the query
        totals.append(sum(allocated))
    assert totals[1] == 2 * totals[0]
    # output and log-sum-exp, delta, and three gradients
    assert totals[0] == 128 * (16 + 1 + 1 + 3 * 16)


@pytest.mark.slow
@pytest.mark.budget(40)
def test_torch_compile_takes_it_whole(device):
    case = Case(1, 2, 1, 20, 30, 16)
    query, key, value, grad_output = make_inputs(case, torch.float32, device)
    lengths = torch.tensor([25], device=device)

    def step(query, key, value):
        return flash_attention(2 * query, key, value, is_causal=True, lengths=lengths) + 1

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    inputs = [query, key, value, grad_output]
    for ours, eager in zip(
        gradients(case, inputs, compiled), gradients(case, inputs, step), strict=True
    ):
        assert torch.equal(ours, eager)


@pytest.mark.slow
@pytest.mark.budget(20)
def test_pytorchs_own_checks_of_the_operator_pass(device):
    case = Case(1, 2, 1, 20, 30, 16)
    leaves = [each.requires_grad_() for each in make_inputs(case, torch.float32, device)[:3]]
    torch.library.opcheck(
        torch.ops.course.flash_attention.default, (*leaves, None, None, True, 7, 0.25)
    )


def replace(name: str, change) -> dict:
    """Good arguments, one of them changed."""
    query, key, value, _ = make_inputs(Case(2, 4, 2, 5, 7, 16), torch.float32, "cpu")
    good = {"query": query, "key": key, "value": value}
    return good | {name: change(good.get(name))}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mask", lambda _: torch.ones(5, 7, dtype=torch.bool), "mask is not supported"),
        ("bias", lambda _: torch.zeros(5, 7), "bias is not supported"),
        ("window", lambda _: 0, "window=0"),
        ("scale", lambda _: -1.0, "scale=-1.0"),
        ("lengths", lambda _: torch.tensor([1, 2, 3]), r"lengths .*\(2,\).*\(3,\)"),
        ("lengths", lambda _: torch.tensor([1.0, 2.0]), "lengths.dtype=torch.float32"),
        ("documents", lambda _: torch.zeros(2, 5, dtype=torch.int64), r"documents .*\(2, 7\)"),
        ("query", lambda query: query[0], "query must be"),
        ("query", lambda query: query.double(), "query.dtype=torch.float64"),
        ("key", lambda key: key.half(), "key.dtype=torch.float16"),
        ("query", lambda query: query[:, :3], "num_heads=3"),
        ("key", lambda key: key[:, :, 1:], "key and value"),
        ("query", lambda query: query[:1], "batch and head_dim"),
    ],
)
def test_wrong_input_is_refused_by_name(name, change, message, device):
    arguments = {
        key: each.to(device) if isinstance(each, torch.Tensor) else each
        for key, each in replace(name, change).items()
    }
    query, key, value = (arguments.pop(each) for each in ("query", "key", "value"))
    with pytest.raises(ValueError, match=message):
        flash_attention(query, key, value, **arguments)


@pytest.mark.parametrize("head_dim", [8, 257])
def test_a_head_dim_out_of_range_is_refused(head_dim, device):
    inputs = make_inputs(Case(head_dim=head_dim), torch.float32, device)
    with pytest.raises(ValueError, match=f"head_dim={head_dim}"):
        flash_attention(*inputs[:3])


@pytest.mark.skipif(not IS_INTERPRETED, reason="a GPU computes bf16")
def test_the_interpreter_refuses_bf16():
    inputs = make_inputs(Case(), torch.bfloat16, "cpu")
    with pytest.raises(ValueError, match="bf16 needs a GPU"):
        flash_attention(*inputs[:3])
