"""A small LLaMA and its tokenizer, for the tests of every format."""

import pytest
import torch

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.tokenizers import BPETokenizer, Tokenizer

TEXTS = ["the fox lost its key and the mole found it", "лиса потеряла ключ, крот нашёл его"] * 5


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return BPETokenizer.train(TEXTS, 330, special_tokens=("<|start|>", "<|end|>"))


@pytest.fixture(params=[{}, {"num_kv_heads": 4, "tied_embeddings": False, "head_dim": 10}])
def model(request: pytest.FixtureRequest, tokenizer: Tokenizer) -> Transformer:
    """Grouped heads and a tied embedding; and neither. Large weights, so that all parts matter."""
    settings = {"model_dim": 24, "num_heads": 4, "num_kv_heads": 2, "num_layers": 3}
    settings |= {"rope_base": 700.0, "norm_epsilon": 3e-4, "context_length": 40}
    config = llama_config(**settings | request.param, vocab_size=tokenizer.vocab_size + 3)
    model = Transformer(config, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6 if parameter.ndim > 1 else 1)
    return model
