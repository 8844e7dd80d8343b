"""Checkpoints: `transformers` opens ours, ours opens theirs, and what is damaged is refused."""

import json
import os
import struct

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from course_lib import files
from course_lib.hub import load_pretrained, save_pretrained
from course_lib.model.config import gpt2_config, llama_config
from course_lib.model.transformer import Transformer

SPECIAL = {"bos_token": "<|start|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
HARD_TEXTS = [
    "the fox lost its key",
    "",
    " two  spaces\n\ttab  ",
    "лиса — ключ, ёж 1234567",
    "<|start|>written out<|end|>",
    "🦊 naïve e\u0301 中文",
]


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    return save_pretrained(model, tokenizer, tmp_path / "checkpoint", **SPECIAL)


def test_transformers_opens_it_with_equal_ids(folder, tokenizer):
    theirs = AutoTokenizer.from_pretrained(folder)
    for text in HARD_TEXTS:
        assert theirs(text)["input_ids"] == tokenizer.encode(text, special=True)
        ids = tokenizer.encode(text, special=True)
        assert theirs.decode(ids) == tokenizer.decode(ids)
    assert (theirs.bos_token, theirs.eos_token, theirs.pad_token) == tuple(SPECIAL.values())


def test_transformers_opens_it_with_equal_logits_and_greedy_text(folder, model, tokenizer):
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    tokens = torch.tensor([tokenizer.encode("the mole lost the fox")])
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-5)
        greedy = tokens
        for _ in range(12):
            greedy = torch.cat((greedy, model(greedy)[:, -1:].argmax(dim=-1)), dim=1)
            if greedy[0, -1] == tokenizer.vocab["<|end|>"]:
                break
    assert theirs.generate(tokens, max_new_tokens=12).tolist() == greedy.tolist()
    assert theirs.generation_config.eos_token_id == tokenizer.vocab["<|end|>"]


def test_it_comes_back_as_it_was(folder, model, tokenizer):
    loaded, loaded_tokenizer = load_pretrained(folder)
    assert loaded.config == model.config
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    for text in HARD_TEXTS:
        assert loaded_tokenizer.encode(text, special=True) == tokenizer.encode(text, special=True)


def test_a_loaded_model_can_be_trained(folder, tokenizer):
    loaded, _ = load_pretrained(folder)
    loaded(torch.tensor([tokenizer.encode("the fox")])).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_transformers_saved_opens_here(tokenizer, tmp_path, dtype):
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.vocab_size,
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=3,
            intermediate_size=40,
            rope_parameters={"rope_type": "default", "rope_theta": 321.0},
        )
    ).to(dtype)
    theirs.save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    ours, _ = load_pretrained(tmp_path)
    assert ours.config.rope_base == 321.0
    tokens = torch.tensor([tokenizer.encode("the mole found it")])
    torch.testing.assert_close(ours(tokens), theirs.float()(tokens).logits, atol=1e-5, rtol=1e-5)


def test_a_chat_template_is_the_tokenizers(model, tokenizer, tmp_path):
    template = "{% for message in messages %}<|start|>{{ message['content'] }}{% endfor %}"
    folder = save_pretrained(model, tokenizer, tmp_path, chat_template=template)
    theirs = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "user", "content": "the fox"}]
    assert theirs.apply_chat_template(chat, tokenize=False) == "<|start|>the fox"


def test_saving_twice_leaves_the_second_and_nothing_else(model, tokenizer, tmp_path):
    for _ in range(2):
        save_pretrained(model, tokenizer, tmp_path)
        with torch.no_grad():
            model.embedding.weight.add_(1)
    names = {"config.json", "generation_config.json", "model.safetensors"}
    assert set(os.listdir(tmp_path)) == names | {"tokenizer.json", "tokenizer_config.json"}
    loaded, _ = load_pretrained(tmp_path)
    torch.testing.assert_close(loaded.embedding.weight + 1, model.embedding.weight)


def test_a_failed_write_leaves_the_old_file(folder, model, tokenizer, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full_disk(handle):
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        files.write_atomically(folder / "model.safetensors", b"new")
    assert (folder / "model.safetensors").read_bytes() == before
    assert not list(folder.glob(".*"))


def test_only_a_llama_is_saved(tokenizer, tmp_path):
    with pytest.raises(ValueError, match=r"only a LLaMA .* norm='layer'.* positions='learned'"):
        save_pretrained(Transformer(gpt2_config()), tokenizer, tmp_path / "new")
    with pytest.raises(ValueError, match="positions='yarn'"):
        save_pretrained(Transformer(llama_config(positions="yarn")), tokenizer, tmp_path / "new")
    with pytest.raises(ValueError, match=r"vocab_size=\d+ must not exceed .* vocab_size=9"):
        save_pretrained(Transformer(llama_config(vocab_size=9)), tokenizer, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_token_that_is_not_there_is_refused(model, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="eos_token='<eos>' is not in the tokenizer"):
        save_pretrained(model, tokenizer, tmp_path / "new", eos_token="<eos>")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_every_missing_or_truncated_file_is_one_sentence(folder, name):
    content = (folder / name).read_bytes()
    for cut in (0, 1, 7, 8, 20, len(content) // 2, len(content) - 3):
        (folder / name).write_bytes(content[:cut])
        with pytest.raises(ValueError, match=name) as refused:
            load_pretrained(folder)
        assert "\n" not in str(refused.value)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} does not exist"):
        load_pretrained(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no folder"):
        load_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type='gpt2' must be 'llama'"),
        ({"hidden_size": "24"}, "hidden_size='24' must be a whole number"),
        ({"hidden_size": True}, "hidden_size='True' must be a whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers='0' must be"),
        ({"num_hidden_layers": None}, "num_hidden_layers='None' must be"),
        ({"num_hidden_layers": 2**30}, "bytes cannot hold the"),
        ({"hidden_size": 2**30}, "bytes cannot hold the"),
        ({"num_hidden_layers": 2}, "has an unknown weight 'model.layers.2"),
        ({"num_hidden_layers": 4}, "has no weight 'model.layers.3"),
        ({"intermediate_size": 63}, r"mlp.gate_proj.weight has shape \[64, 24\], not \[63, 24\]"),
        ({"num_attention_heads": 3}, "num_heads=3 must be divisible by num_kv_heads"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps='nan' must be a number above 0"),
        ({"rope_theta": -1}, "rope_theta='-1' must be a number above 0"),
        ({"rope_scaling": {"factor": 2}}, "rope_scaling=.* is not supported"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters=.* is not supported"),
        ({"attention_bias": True}, "attention_bias=True is not supported"),
        ({"hidden_act": "relu"}, "hidden_act=relu is not supported"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings='yes' must be true or false"),
        ({"vocab_size": 300}, "must not exceed|embed_tokens.weight has shape"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_sentence(folder, change, message):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | change))
    with pytest.raises(ValueError, match=message) as refused:
        load_pretrained(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["[]", "null", "{", '{"model_type": ' + "[" * 10**5, "\x00"])
def test_a_configuration_that_is_no_object_is_one_sentence(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json") as refused:
        load_pretrained(folder)
    assert "\n" not in str(refused.value)


def test_a_header_that_lies_about_its_length_is_refused(folder):
    file = folder / "model.safetensors"
    content = file.read_bytes()
    for length in (0, 2**63, 2**64 - 1, len(content), len(content) - 7):
        file.write_bytes(struct.pack("<Q", length) + content[8:])
        with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
            load_pretrained(folder)


def test_an_odd_dtype_is_refused(folder, model):
    import safetensors.torch

    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"].double()
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.norm\.weight is in F64, not in F32, F16, BF16"):
        load_pretrained(folder)
