"""Heads against loops, the module against PyTorch's, cross-attention against the module."""

import pytest
import torch
from torch import nn

from course_lib.model.attention import scaled_dot_product_attention
from course_lib.model.config import TransformerConfig
from course_lib.model.multi_head import (
    MultiHeadAttention,
    cross_attention,
    merge_heads,
    split_heads,
)


def normal(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def make_module(**settings):
    config = TransformerConfig(**{"model_dim": 12, "num_heads": 3, "positions": "none"} | settings)
    return MultiHeadAttention(config).double()


def test_a_head_is_a_run_of_each_tokens_vector():
    x = normal(2, 5, 12)
    heads = split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    for head in range(3):
        torch.testing.assert_close(heads[:, head], x[:, :, 4 * head : 4 * head + 4])


def test_merging_undoes_splitting():
    x = normal(2, 5, 12)
    torch.testing.assert_close(merge_heads(split_heads(x, 3)), x, rtol=0, atol=0)


@pytest.mark.parametrize("num_heads", [0, 5])
def test_a_width_that_the_heads_do_not_divide_is_refused(num_heads):
    with pytest.raises(ValueError, match=f"width=12 must be divisible by num_heads={num_heads}"):
        split_heads(normal(2, 5, 12), num_heads)


def test_the_module_equals_pytorch():
    module, x = make_module(bias=True), normal(2, 5, 12)
    peer = nn.MultiheadAttention(12, 3, batch_first=True).double()
    parts = module.query, module.key, module.value
    peer.in_proj_weight.data = torch.cat([part.weight for part in parts])
    peer.in_proj_bias.data = torch.cat([part.bias for part in parts])
    peer.out_proj.load_state_dict(module.output.state_dict())
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    torch.testing.assert_close(module(x, is_causal=True), peer(x, x, x, attn_mask=later)[0])
    memory = normal(2, 7, 12, seed=2)
    torch.testing.assert_close(module(x, memory), peer(x, memory, memory)[0])


def test_grouped_heads_equal_repeated_ones():
    grouped = make_module(num_heads=6, num_kv_heads=2)
    full = make_module(num_heads=6)
    weights = dict(grouped.state_dict())
    for name in ("key.weight", "value.weight"):
        weights[name] = weights[name].unflatten(0, (2, 2)).repeat_interleave(3, 0).flatten(0, 1)
    full.load_state_dict(weights)
    x = normal(2, 5, 12)
    torch.testing.assert_close(grouped(x, is_causal=True), full(x, is_causal=True))


def test_cross_attention_equals_the_module():
    module, x, memory = make_module(), normal(2, 5, 12), normal(2, 7, 12, seed=2)
    lengths = torch.tensor([7, 3])
    parts = module.query, module.key, module.value, module.output
    weights = [part.weight for part in parts]
    output = cross_attention(x, memory, *weights, num_heads=3, lengths=lengths)
    torch.testing.assert_close(output, module(x, memory, lengths=lengths))


def test_one_head_of_cross_attention_is_attention():
    x, memory, eye = normal(2, 5, 4), normal(2, 7, 4, seed=2), torch.eye(4, dtype=torch.float64)
    output = cross_attention(x, memory, eye, eye, 2 * eye, 3 * eye, num_heads=1)
    torch.testing.assert_close(output, 6 * scaled_dot_product_attention(x, memory, memory))


def test_the_attention_function_is_the_one_passed_in():
    calls = []

    def mean_of_values(query, key, value, **given):
        calls.append(given)
        return value.mean(dim=2, keepdim=True).expand_as(query)

    config = TransformerConfig(model_dim=12, num_heads=3, attention_scale=0.5)
    module = MultiHeadAttention(config, attention=mean_of_values)
    module(normal(2, 5, 12).float(), is_causal=True)
    assert calls == [{"scale": 0.5, "is_causal": True}]
