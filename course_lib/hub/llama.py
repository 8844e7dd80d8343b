"""LLaMA in the ecosystem's words: its config.json and the names of its weights.

In reading order: `llama_settings` and `config_from_settings` (config.json), then `THEIR_NAMES`
and `weight_names`.
"""

from collections.abc import Mapping
from typing import Any

from course_lib.model.config import TransformerConfig, llama_config

# Ours: theirs. What config.json must have, as a whole number of at least 1.
SIZES = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "model_dim": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "intermediate_size",
}
OPTIONAL_SIZES = {"num_kv_heads": "num_key_value_heads", "head_dim": "head_dim"}
# What this library's LLaMA has no switch for; absent is as good.
FIXED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "rope_scaling": None,
    "quantization_config": None,
}
THEIR_NAMES = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}


def llama_settings(config: TransformerConfig) -> dict[str, Any]:
    """What config.json says of a configuration; ValueError if it is no LLaMA's."""
    own = ("norm_epsilon", "rope_base", "tied_embeddings", "dropout")
    named = {name: getattr(config, name) for name in (*SIZES, *OPTIONAL_SIZES, *own)}
    plain = llama_config(**named)
    different = [name for name in vars(config) if getattr(config, name) != getattr(plain, name)]
    different = [name for name in different if name != "num_encoder_layers"]
    if different:
        settings = ", ".join(f"{name}={getattr(config, name)!r}" for name in different)
        raise ValueError(f"only a LLaMA can be saved as one: this model has {settings}")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **{theirs: named[ours] for ours, theirs in (SIZES | OPTIONAL_SIZES).items()},
        "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rope_base,
        "tie_word_embeddings": config.tied_embeddings,
        **{name: value for name, value in FIXED.items() if value is not None},
    }


def config_from_settings(settings: Mapping[str, Any]) -> TransformerConfig:
    """The configuration that a parsed config.json describes; ValueError names what is wrong."""
    if settings.get("model_type") != "llama":
        raise ValueError(f"model_type={settings.get('model_type')!r} must be 'llama'")
    for name, value in FIXED.items():
        if settings.get(name, value) != value:
            raise ValueError(f"{name}={str(settings[name])[:80]} is not supported, only {value}")
    sizes = {
        ours: read_size(settings, theirs)
        for ours, theirs in (SIZES | OPTIONAL_SIZES).items()
        if ours in SIZES or settings.get(theirs) is not None
    }
    tied = settings.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        raise ValueError(f"tie_word_embeddings={str(tied)[:80]!r} must be true or false")
    return llama_config(
        **sizes,
        norm_epsilon=read_number(settings, "rms_norm_eps", 1e-6),
        rope_base=read_rope_base(settings),
        tied_embeddings=tied,
    )


def read_rope_base(settings: Mapping[str, Any]) -> float:
    """`rope_theta`, which newer files keep in `rope_parameters` with the kind of RoPE."""
    rope = settings.get("rope_parameters")
    if rope is None:
        return read_number(settings, "rope_theta", 10_000.0)
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_parameters={str(rope)[:80]} is not supported, only plain RoPE")
    return read_number(rope, "rope_theta", 10_000.0)


def read_size(settings: Mapping[str, Any], name: str) -> int:
    """A whole number from 1 to 2^31."""
    value = settings.get(name)
    if type(value) is not int or not 1 <= value < 2**31:
        raise ValueError(f"{name}={str(value)[:80]!r} must be a whole number of at least 1")
    return value


def read_number(settings: Mapping[str, Any], name: str, default: float) -> float:
    """A number above 0."""
    value = settings.get(name, default)
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise ValueError(f"{name}={str(value)[:80]!r} must be a number above 0")
    return float(value)


def weight_names(config: TransformerConfig) -> dict[str, str]:
    """{ours: theirs} of every weight."""
    names = {
        "embedding.weight": "model.embed_tokens.weight",
        "decoder.norm.weight": "model.norm.weight",
    }
    if not config.tied_embeddings:
        names["head.weight"] = "lm_head.weight"
    for i in range(config.num_layers):
        for ours, theirs in THEIR_NAMES.items():
            names[f"decoder.blocks.{i}.{ours}.weight"] = f"model.layers.{i}.{theirs}.weight"
    return names
