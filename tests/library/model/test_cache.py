"""The key/value cache: the same numbers as without it, and what it refuses."""

import pytest
import torch

from course_lib.model.cache import KeyValueCache
from course_lib.model.config import gpt2_config, llama_config, t5_config
from course_lib.model.transformer import Transformer

SIZES = {"vocab_size": 31, "model_dim": 24, "num_layers": 3, "num_heads": 6, "context_length": 13}


def make_tokens(batch=2, time=11):
    return torch.randint(31, (batch, time), generator=torch.Generator().manual_seed(1))


def make_model(config):
    """A model whose weights are large enough for positions and heads to matter."""
    model = Transformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(7 if parameter.ndim > 1 else 1)
    return model


CONFIGS = [
    gpt2_config(**SIZES),
    llama_config(**SIZES, num_kv_heads=2),
    gpt2_config(**SIZES, positions="alibi"),
    llama_config(**SIZES, positions="xpos"),
    llama_config(**SIZES, positions="transformer_xl"),
]


@torch.no_grad()
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.positions)
@pytest.mark.parametrize("cuts", [(11,), (4, 5, 10, 11), tuple(range(1, 12))])
def test_piece_by_piece_gives_what_the_whole_gives(config, cuts):
    model, tokens, cache = make_model(config), make_tokens(), KeyValueCache(config, 2)
    logits, start = [], 0
    for end in cuts:
        logits.append(model(tokens[:, start:end], cache=cache))
        start = end
    assert cache.length == 11
    torch.testing.assert_close(torch.cat(logits, dim=1), model(tokens), atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_an_encoder_decoder_continues_from_its_cache():
    config = t5_config(**SIZES, num_encoder_layers=2)
    model, tokens, cache = make_model(config), make_tokens(), KeyValueCache(config, 2)
    memory = model.encode(make_tokens(time=5))
    logits = [model(tokens[:, i : i + 1], memory=memory, cache=cache) for i in range(11)]
    expected = model(tokens, memory=memory)
    torch.testing.assert_close(torch.cat(logits, dim=1), expected, atol=2e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.positions)
def test_padding_on_the_left_changes_nothing(config):
    model, tokens, cache = make_model(config), make_tokens(), KeyValueCache(config, 2)
    seen = torch.ones(2, 11, dtype=torch.long)
    seen[1, :3] = 0
    positions = (seen.cumsum(1) - 1).clamp(min=0)
    model(tokens[:, :8], documents=seen[:, :8], positions=positions[:, :8], cache=cache)
    last = model(tokens[:, 8:], documents=seen, positions=positions[:, 8:], cache=cache)
    alone = model(tokens[1:, 3:])[:, 5:]
    torch.testing.assert_close(last[1:], alone, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(last[:1], model(tokens[:1])[:, 8:], atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_a_truncated_cache_goes_on_from_there():
    config = CONFIGS[1]
    model, tokens, cache = make_model(config), make_tokens(), KeyValueCache(config, 2)
    model(tokens.flip(1), cache=cache)
    cache.truncate(0)
    model(tokens[:, :7], cache=cache)
    cache.truncate(4)
    logits = model(tokens[:, 4:], cache=cache)
    torch.testing.assert_close(logits, model(tokens)[:, 4:], atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_reordered_rows_continue_their_own_sequences():
    config = CONFIGS[1]
    model, tokens, cache = make_model(config), make_tokens(batch=3), KeyValueCache(config, 3)
    rows = torch.tensor([2, 0, 0])
    model(tokens[:, :6], cache=cache)
    cache.reorder(rows)
    logits = model(tokens[rows][:, 6:], cache=cache)
    torch.testing.assert_close(logits, model(tokens[rows])[:, 6:], atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_a_full_cache_says_what_does_not_fit_and_stays_as_it_was():
    config = CONFIGS[0]
    model, cache = Transformer(config), KeyValueCache(config, 2, capacity=12)
    model(make_tokens(), cache=cache)
    with pytest.raises(ValueError, match="11 of capacity=12 tokens: 2 more do not fit"):
        model(make_tokens(time=2), cache=cache)
    assert cache.length == 11


@torch.no_grad()
def test_a_text_too_long_for_learned_positions_leaves_the_cache_as_it_was():
    config = CONFIGS[0]
    model, cache = Transformer(config), KeyValueCache(config, 2, capacity=30)
    model(make_tokens(), cache=cache)
    with pytest.raises(ValueError, match="position 13 has no vector"):
        model(make_tokens(time=3), cache=cache)
    assert cache.length == 11


def test_gradients_are_refused():
    config = CONFIGS[0]
    with pytest.raises(ValueError, match=r"use torch\.no_grad"):
        Transformer(config)(make_tokens(), cache=KeyValueCache(config, 2))


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="capacity=0"):
        KeyValueCache(CONFIGS[0], capacity=0)
    with pytest.raises(ValueError, match="length=1 must be from 0 to the 0"):
        KeyValueCache(CONFIGS[0]).truncate(1)


@torch.no_grad()
def test_another_batch_is_refused():
    config = CONFIGS[0]
    with pytest.raises(ValueError, match="batch_size=3"):
        Transformer(config)(make_tokens(), cache=KeyValueCache(config, 3))


def test_its_bytes_are_counted():
    cache = KeyValueCache(CONFIGS[1], 5, capacity=7, dtype=torch.float16)
    assert cache.cache_bytes == 2 * 3 * 5 * 2 * 7 * 4 * 2
