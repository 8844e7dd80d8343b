"""The fused kernel against loops over the definition and against `attention`, gradients too."""

import itertools
import math

import pytest
import torch

from course_lib.model.attention import attention
from course_lib.model.config import llama_config
from course_lib.model.fused_attention import fused_attention
from course_lib.model.transformer import Transformer


def make_inputs(seed=0, batch=2, heads=6, kv_heads=3, queries=5, keys=7, dim=4, value_dim=3):
    """Query, key and value in fp64, every size different; the query is a strided view."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    query = normal(batch, queries, heads, dim).transpose(1, 2)
    inputs = query, normal(batch, kv_heads, keys, dim), normal(batch, kv_heads, keys, value_dim)
    return [each.requires_grad_() for each in inputs]


def by_definition(query, key, value, *, is_causal, window, lengths, documents, scale):
    """Each query by itself, over a list of the keys it sees."""
    batch, heads, queries, keys = *query.shape[:3], key.shape[2]
    groups = heads // key.shape[1]
    output = torch.zeros(batch, heads, queries, value.shape[-1], dtype=query.dtype)
    for b, h, i in itertools.product(range(batch), range(heads), range(queries)):
        p = i + keys - queries
        seen = [
            k
            for k in range(keys)
            if (not is_causal or k <= p)
            and (window is None or abs(p - k) < window)
            and (lengths is None or k < lengths[b])
            and (documents is None or (p >= 0 and documents[b, p] == documents[b, k]))
        ]
        if seen:
            scores = key[b, h // groups, seen] @ query[b, h, i] * scale
            output[b, h, i] = scores.softmax(0) @ value[b, h // groups, seen]
    return output


def assert_same_with_gradients(ours, theirs, inputs, **tolerance):
    """Outputs, and the gradients of one random projection of them."""
    torch.testing.assert_close(ours, theirs, **tolerance)
    weights = torch.randn(ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(5))
    gradients = [
        torch.autograd.grad((each * weights).sum(), inputs, retain_graph=True)
        for each in (ours, theirs)
    ]
    for our, their in zip(*gradients, strict=True):
        torch.testing.assert_close(our, their, **tolerance)


FLAGS = list(
    itertools.product(
        (False, True), (None, 2), (None, (7, 2)), (None, ((0, 0, 1, 1, 1, 0, 2),) * 2)
    )
)


@pytest.mark.parametrize("value_dim", [3, 4])  # kernels for unequal and for equal sizes
@pytest.mark.parametrize("queries", [1, 5, 7, 9])
@pytest.mark.parametrize(("is_causal", "window", "lengths", "documents"), FLAGS)
def test_flags_mean_what_the_contract_says(
    value_dim, queries, is_causal, window, lengths, documents
):
    inputs = make_inputs(queries=queries, value_dim=value_dim)
    flags = {
        "is_causal": is_causal,
        "window": window,
        "lengths": None if lengths is None else torch.tensor(lengths),
        "documents": None if documents is None else torch.tensor(documents),
        "scale": 0.7,
    }
    expected = by_definition(*inputs, **flags)
    assert_same_with_gradients(fused_attention(*inputs, **flags), expected, inputs)
    assert_same_with_gradients(attention(*inputs, **flags), expected, inputs)


PACKED = (
    ((5, 5, 5, 2, 2, 2, 2, 9, 9), (0, 0, 0, 0, 7, 7, 7, 3, 0)),  # 0 lies in two pieces
    ((1, 1, 1, 2, 2, 2, 2, 3, 0), (4, 4, 1, 1, 1, 3, 3, 3, 3)),
    ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 1, 1, 1, 1, 2, 2, 2, 2)),
    ((1, 1, 1, 1, 1, 1, 1, 1, 2), (1, 2, 2, 2, 2, 2, 2, 2, 2)),
)


@pytest.mark.parametrize("documents", PACKED)
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_packed_documents_are_kept_apart_whatever_their_lengths(documents, kv_heads):
    inputs = make_inputs(queries=9, keys=9, kv_heads=kv_heads)
    flags = {"is_causal": True, "documents": torch.tensor(documents), "scale": 0.7}
    expected = by_definition(*inputs, **flags, window=None, lengths=None)
    assert_same_with_gradients(fused_attention(*inputs, **flags), expected, inputs)


def test_a_nan_stays_within_its_document():
    query, key, value = (each.detach() for each in make_inputs(queries=9, keys=9, value_dim=4))
    for each in (query, key, value):
        each[0, :, 4] = math.nan
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2]] * 2)
    output = fused_attention(query, key, value, is_causal=True, documents=documents)
    assert output[0, :, 4].isnan().all()
    assert output[0, :, [0, 1, 2, 7, 8]].isfinite().all()
    assert output[1].isfinite().all()


@pytest.mark.parametrize("kv_heads", [1, 2, 6])
@pytest.mark.parametrize("is_causal", [False, True])
def test_mask_bias_and_scale_combine(kv_heads, is_causal):
    inputs = make_inputs(kv_heads=kv_heads, value_dim=4)
    generator = torch.Generator().manual_seed(2)
    mask = torch.rand(2, 6, 5, 7, generator=generator) < 0.6
    bias = torch.randn(6, 5, 7, generator=generator, dtype=torch.float64)
    bias[0, 1, 2] = -math.inf
    bias.requires_grad_()
    given = {"mask": mask, "bias": bias, "is_causal": is_causal, "scale": 0.3}
    ours, theirs = fused_attention(*inputs, **given), attention(*inputs, **given)
    assert_same_with_gradients(ours, theirs, [*inputs, bias])


def test_rows_that_see_nothing_give_zeros_and_zero_gradients():
    inputs = make_inputs(value_dim=4)
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    bias = torch.zeros(5, 7, dtype=torch.float64)
    bias[3] = -math.inf
    bias.requires_grad_()
    output = fused_attention(*inputs, mask=mask, bias=bias)
    assert (output[:, :, 2:4] == 0).all()
    output[:, :, 2:4].sum().backward()
    assert all((each.grad == 0).all() for each in (*inputs, bias))


@pytest.mark.parametrize("is_causal", [False, True])
def test_no_keys_give_zeros(is_causal):
    output = fused_attention(*make_inputs(keys=0, value_dim=4), is_causal=is_causal)
    assert output.shape == (2, 6, 5, 4)
    assert (output == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_longer_text_in_fewer_bits_is_right_to_rounding(dtype):
    inputs = make_inputs(heads=4, kv_heads=2, queries=150, keys=150, dim=16, value_dim=16)
    rounded = [each.detach().to(dtype) for each in inputs]
    documents = torch.arange(300).reshape(2, 150) // 37
    for flags in ({"is_causal": True}, {"is_causal": True, "documents": documents}):
        ours = fused_attention(*rounded, **flags)
        exact = attention(*(each.double() for each in rounded), **flags)
        assert ours.dtype is dtype
        # A mixture of values of about 1: a few roundings of numbers below 4.
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=4 * eps)


@pytest.mark.parametrize("keys", [40, 600])  # matrix products, and the kernel
@pytest.mark.parametrize(
    "restriction", ["none", "causal", "mask", "bias", "bias in fp32", "lengths", "blind"]
)
def test_in_bf16_outputs_and_gradients_are_right_to_rounding(keys, restriction):
    size = {"heads": 4, "kv_heads": 2, "queries": 30, "keys": keys, "dim": 16, "value_dim": 16}
    generator = torch.Generator().manual_seed(3)
    bias = torch.randn(4, 30, keys, generator=generator)
    flags = {
        "none": {},
        "causal": {"is_causal": True},
        "mask": {"mask": torch.rand(30, keys, generator=generator) < 0.7, "is_causal": True},
        "bias": {"bias": bias.bfloat16()},
        "bias in fp32": {"bias": bias},
        "lengths": {"lengths": torch.tensor([keys - 7, 3])},
        "blind": {"mask": torch.ones(30, keys, dtype=torch.bool).tril(-1)},
    }[restriction]
    rounded = [each.detach().bfloat16().requires_grad_() for each in make_inputs(**size)]
    exact = [each.detach().double().requires_grad_() for each in rounded]
    exact_flags = flags | ({"bias": flags["bias"].double()} if "bias" in flags else {})
    ours, theirs = fused_attention(*rounded, **flags), attention(*exact, **exact_flags)
    weights = torch.randn(ours.shape, generator=generator).bfloat16()
    our_gradients = torch.autograd.grad((ours * weights).sum(), rounded)
    their_gradients = torch.autograd.grad((theirs * weights).sum(), exact)
    pairs = zip((ours, *our_gradients), (theirs, *their_gradients), strict=True)
    for ours, theirs in pairs:
        assert ours.dtype is torch.bfloat16
        error = (ours.double() - theirs).abs().max() / theirs.abs().max()
        assert error < 4 * torch.finfo(torch.bfloat16).eps


@pytest.mark.parametrize("packed", [False, True])
def test_a_model_gives_the_same_logits_and_gradients_with_it(packed):
    config = llama_config(
        vocab_size=50, model_dim=24, num_layers=2, num_heads=6, num_kv_heads=2, context_length=16
    )
    tokens = torch.randint(50, (3, 11), generator=torch.Generator().manual_seed(1))
    given = {"documents": torch.arange(33).reshape(3, 11) // 4} if packed else {}
    plain, fused = (
        Transformer(config, attention=each).double() for each in (attention, fused_attention)
    )
    ours, theirs = fused(tokens, **given), plain(tokens, **given)
    torch.testing.assert_close(ours, theirs)
    for logits in (ours, theirs):
        logits.square().sum().backward()
    for (name, our), their in zip(fused.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(our.grad, their.grad, msg=lambda text, n=name: f"{n}: {text}")


def test_bad_input_is_refused_by_name():
    query, key, value = make_inputs()
    with pytest.raises(ValueError, match="num_heads=5"):
        fused_attention(query[:, :5], key, value)
    with pytest.raises(ValueError, match="window=0"):
        fused_attention(query, key, value, window=0)
