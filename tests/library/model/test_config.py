"""Configurations: derived sizes, refused values, and changed copies."""

import dataclasses

import pytest

from course_lib.model.config import (
    TransformerConfig,
    bert_config,
    gpt2_config,
    llama_config,
    t5_config,
)


def test_sizes_not_given_are_derived():
    config = TransformerConfig(model_dim=60, num_heads=5, gated=False)
    assert (config.num_kv_heads, config.head_dim, config.hidden_dim) == (5, 12, 240)


def test_a_gated_hidden_size_is_two_thirds_as_large_up_to_a_multiple_of_eight():
    assert TransformerConfig(model_dim=96, num_heads=3).hidden_dim == 256
    assert TransformerConfig(model_dim=100, num_heads=5).hidden_dim == 272


def test_replace_derives_anew_what_was_derived_and_keeps_what_was_given():
    small = TransformerConfig(model_dim=60, num_heads=6, num_kv_heads=2, gated=False)
    large = small.replace(model_dim=120)
    assert (large.head_dim, large.hidden_dim, large.num_kv_heads) == (20, 480, 2)
    assert small.replace(hidden_dim=7).hidden_dim == 7


def test_a_configuration_survives_its_dictionary():
    config = t5_config(model_dim=30, num_heads=3)
    assert TransformerConfig(**dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_dim": 100, "num_heads": 8}, "model_dim=100 must be divisible by num_heads=8"),
        ({"num_heads": 6, "num_kv_heads": 4, "model_dim": 12}, "num_heads=6 must be divisible"),
        ({"model_dim": 12, "num_heads": 4}, "head_dim=3 must be even"),
        ({"vocab_size": 0}, "vocab_size=0"),
        ({"num_heads": 0}, "num_heads=0"),
        ({"positions": "roppe"}, "positions='roppe' must be one of none, learned"),
        ({"kind": "seq2seq"}, "kind='seq2seq' must be one of decoder, encoder, encoder_decoder"),
        ({"norm": "batch"}, "norm='batch' must be one of layer, rms"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"norm_epsilon": float("nan")}, "norm_epsilon=nan"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_values(settings, message):
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**settings)


@pytest.mark.parametrize("family", [gpt2_config, llama_config, bert_config, t5_config])
def test_every_family_takes_changes_and_runs_by_default(family):
    assert family(vocab_size=7, dropout=0.5).vocab_size == 7
