"""The flash kernel inside the course's transformer, unchanged."""

import pytest
import torch

from kernels.flash_attention import flash_attention

# `make gpu` also runs where only torch, triton and pytest are.
pytest.importorskip("jaxtyping")
pytest.importorskip("einops")
from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer


@pytest.mark.slow
@pytest.mark.budget(20)
def test_a_rope_decoder_runs_with_flash_attention_and_gives_the_same_numbers():
    config = llama_config(
        vocab_size=31, model_dim=64, num_heads=4, num_kv_heads=2, num_layers=1, hidden_dim=96
    )
    plain, flash = Transformer(config), Transformer(config, attention=flash_attention)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = torch.randint(31, (2, 37), generator=torch.Generator().manual_seed(2)).to(device)
    documents = (torch.arange(37) // 20).expand(2, 37).to(device)
    outputs = []
    for model in (plain.to(device), flash.to(device)):
        outputs.append(model(tokens, documents=documents))
        outputs[-1].square().sum().backward()
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(flash.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)
