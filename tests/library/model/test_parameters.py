"""The formula against what is allocated, and against published counts."""

import pytest
import torch

from course_lib.model.config import CHOICES, bert_config, gpt2_config, llama_config, t5_config
from course_lib.model.parameters import count_parameters
from course_lib.model.transformer import Transformer

SIZES = {"vocab_size": 31, "model_dim": 24, "num_layers": 3, "num_heads": 6, "context_length": 13}
CONFIGS = [
    *(family(**SIZES) for family in (gpt2_config, llama_config, bert_config, t5_config)),
    *(llama_config(**SIZES, positions=scheme) for scheme in CHOICES["positions"]),
    llama_config(**SIZES, num_kv_heads=2, head_dim=8, hidden_dim=50, tied_embeddings=False),
    t5_config(**SIZES, num_encoder_layers=1, gated=True, tied_embeddings=False),
    bert_config(**SIZES, positions="deberta"),
    gpt2_config(**SIZES, bias=False, embedding_norm=True, pre_norm=False),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.norm}-{c.positions}")
def test_the_formula_counts_what_is_allocated(config):
    allocated = sum(parameter.numel() for parameter in Transformer(config).parameters())
    assert count_parameters(config) == allocated


def test_published_counts():
    gpt2 = gpt2_config(
        vocab_size=50_257, context_length=1024, model_dim=768, num_layers=12, num_heads=12
    )
    llama = llama_config(
        vocab_size=32_000,
        model_dim=4096,
        num_layers=32,
        num_heads=32,
        hidden_dim=11_008,
        tied_embeddings=False,
    )
    smollm2 = llama_config(
        vocab_size=49_152,
        model_dim=576,
        num_layers=30,
        num_heads=9,
        num_kv_heads=3,
        hidden_dim=1536,
    )
    t5_small = t5_config(
        vocab_size=32_128,
        model_dim=512,
        num_layers=6,
        num_heads=8,
    )
    assert count_parameters(gpt2) == 124_439_808
    assert count_parameters(llama) == 6_738_415_616
    assert count_parameters(smollm2) == 134_515_008
    assert count_parameters(t5_small) == 60_506_624


def test_bert_base_has_its_published_count_without_segments():
    bert = bert_config(
        vocab_size=30_522, context_length=512, model_dim=768, num_layers=12, num_heads=12
    )
    assert count_parameters(bert) == 109_514_298 - 2 * 768


def test_counting_allocates_nothing():
    huge = llama_config(vocab_size=10**9, model_dim=10**6, num_heads=10**3)
    assert count_parameters(huge) > 10**15
    assert torch.empty(0).numel() == 0
