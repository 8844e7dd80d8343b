"""The numpy LLaMA against the model that it stands in for, and what it leaves to PyTorch."""

import sys

import pytest
import torch
from torch import nn

from course_lib.inference.generate import generate
from course_lib.inference.numpy_llama import NumpyLlama, can_read_in_numpy
from course_lib.model.attention import attention
from course_lib.model.cache import KeyValueCache
from course_lib.model.config import gpt2_config, llama_config
from course_lib.model.fused_attention import fused_attention
from course_lib.model.transformer import Transformer

SIZES = {"vocab_size": 30, "model_dim": 24, "num_layers": 3, "num_heads": 6, "context_length": 16}
TOKENS = [[3, 1, 4, 1, 5, 9, 2, 6, 5]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_kv_heads": 2, "head_dim": 8, "hidden_dim": 20},
        {"num_kv_heads": 1, "tied_embeddings": False, "norm_epsilon": 0.1},
        {"attention_scale": 0.3, "embedding_scale": 3.0, "logit_scale": 0.5},
        {"positions": "interpolation", "rope_scale": 2.0},
        {"positions": "yarn", "rope_scale": 2.0, "rope_base": 100.0},
    ],
)
def test_each_token_gets_the_models_logits(dtype, changes):
    model = Transformer(llama_config(**SIZES | changes), attention=fused_attention).to(dtype).eval()
    for parameter in model.parameters():  # 0.02 would leave every part close to linear
        parameter.data.mul_(4)
    tokens = torch.tensor(TOKENS)
    cache = KeyValueCache(model.config, capacity=12, dtype=dtype)
    with torch.no_grad():
        expected = model(tokens)[0]
        model(tokens[:, :4], cache=cache)
        decoder = NumpyLlama(model, cache)
        for place in range(4, 8):
            logits = torch.from_numpy(decoder(TOKENS[0][place]))
            assert logits.dtype == dtype
            # Sums in another order, through three layers with large weights.
            torch.testing.assert_close(logits, expected[place], rtol=1e-4, atol=1e-4)
        # The cache goes back to the model as if that had filled it.
        torch.testing.assert_close(model(tokens[:, 8:], cache=cache)[0, -1], expected[8])
    assert cache.positions[0, :9].tolist() == list(range(9))


def test_gates_beyond_the_range_of_exp_are_no_trouble(recwarn):
    model = Transformer(llama_config(**SIZES)).eval()
    for block in model.decoder.blocks:
        block.feed_forward.gate.weight.data.mul_(1e6)
    with torch.no_grad():
        expected = model(torch.tensor([[7]]))[0, 0]
        logits = NumpyLlama(model, KeyValueCache(model.config))(7)
    torch.testing.assert_close(torch.from_numpy(logits), expected)
    assert not recwarn.list


def test_weights_trained_on_are_seen():
    """They are shared, not copied."""
    model = Transformer(llama_config(**SIZES)).eval()
    decoder = NumpyLlama(model, KeyValueCache(model.config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
        torch.testing.assert_close(
            torch.from_numpy(decoder(7)), model(torch.tensor([[7]]))[0, 0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_generation_with_it_is_generation_without(monkeypatch, temperature):
    model = Transformer(llama_config(**SIZES), seed=3)
    for parameter in model.parameters():
        parameter.data.mul_(3)

    def answer(**options):
        generator = torch.Generator().manual_seed(0)
        return generate(
            model,
            [1, 2, 3],
            max_new_tokens=12,
            temperature=temperature,
            generator=generator,
            **options,
        )

    generating = sys.modules[generate.__module__]  # the package's `generate` is the function
    calls = []
    monkeypatch.setattr(
        generating, "NumpyLlama", lambda *given: calls.append(given) or NumpyLlama(*given)
    )
    with_it = answer()
    assert len(calls) == 1
    assert with_it == answer(use_cache=False)
    monkeypatch.setattr(generating, "can_read_in_numpy", lambda model: False)
    assert with_it == answer()
    assert model.training


def with_part(change):
    model = Transformer(llama_config(**SIZES))
    change(model)
    return model


class Doubled(nn.Linear):
    """A part of one's own."""

    def forward(self, x):
        return 2 * super().forward(x)


def replace_a_matrix(model):
    model.decoder.blocks[1].feed_forward.up = Doubled(24, 64, bias=False)


def add_a_hook(model):
    model.decoder.blocks[1].register_forward_hook(lambda *given: None)


def watch_attention(model):
    model.decoder.blocks[2].attention.attention = lambda *given, **flags: attention(*given, **flags)


@pytest.mark.parametrize("change", [replace_a_matrix, add_a_hook, watch_attention])
def test_parts_of_ones_own_are_left_to_pytorch(change):
    assert can_read_in_numpy(Transformer(llama_config(**SIZES)))
    assert not can_read_in_numpy(with_part(change))


@pytest.mark.parametrize(
    "config",
    [
        gpt2_config(**SIZES),
        llama_config(**SIZES, positions="xpos"),
        llama_config(**SIZES, positions="alibi"),
        llama_config(**SIZES, bias=True),
        llama_config(**SIZES, gated=False),
        llama_config(**SIZES, activation="relu"),
        llama_config(**SIZES, pre_norm=False),
    ],
)
def test_other_families_are_left_to_pytorch(config):
    assert not can_read_in_numpy(Transformer(config))


def test_other_devices_and_dtypes_are_left_to_pytorch():
    assert not can_read_in_numpy(Transformer(llama_config(**SIZES)).bfloat16())
    with torch.device("meta"):
        assert not can_read_in_numpy(Transformer(llama_config(**SIZES)))
    assert not can_read_in_numpy(lambda tokens: tokens)
