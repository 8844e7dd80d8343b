"""What a transformer is made of: one frozen dataclass, and the four families as settings of it.

In reading order: `TransformerConfig`, then `gpt2_config`, `llama_config`, `bert_config` and
`t5_config`. The sizes' defaults run on two cores.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from course_lib.model.positions.schemes import ROTARY, SCHEMES

CHOICES: Mapping[str, tuple[str, ...]] = {
    "kind": ("decoder", "encoder", "encoder_decoder"),
    "norm": ("layer", "rms"),
    "activation": ("gelu", "gelu_tanh", "relu", "silu"),
    "head": ("linear", "masked"),
    "positions": SCHEMES,
}


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and switches of a transformer; ValueError names what does not fit.

    Sizes left None are derived: num_kv_heads = num_heads, head_dim = model_dim / num_heads,
    num_encoder_layers = num_layers, hidden_dim = 4 model_dim, or 8/3 of it when gated (the same
    parameters in three matrices), embedding_scale = sqrt(model_dim) where sinusoids are added, in
    which small embeddings would drown, else 1.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, table 3. Chapter 05.
    """

    vocab_size: int = 1024
    context_length: int = 128
    model_dim: int = 128
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int | None = None
    head_dim: int | None = None
    hidden_dim: int | None = None
    kind: str = "decoder"
    num_encoder_layers: int | None = None
    norm: str = "rms"
    norm_epsilon: float = 1e-5
    pre_norm: bool = True
    embedding_norm: bool = False
    activation: str = "silu"
    gated: bool = True
    bias: bool = False
    head: str = "linear"
    tied_embeddings: bool = True
    embedding_scale: float | None = None
    logit_scale: float = 1.0
    attention_scale: float | None = None
    dropout: float = 0.0
    positions: str = "rope"
    rope_base: float = 10_000.0
    rope_scale: float = 1.0
    position_buckets: int = 32
    max_distance: int = 128

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} must be one of {', '.join(choices)}"
                )
        self._check_at_least_one("model_dim", "num_heads")
        if self.head_dim is None and self.model_dim % self.num_heads:
            raise ValueError(
                f"model_dim={self.model_dim} must be divisible by num_heads={self.num_heads}, "
                "or give head_dim"
            )
        for name, size in self._derived_sizes().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, size)
        self._check_at_least_one(
            *("vocab_size", "context_length", "num_layers", "num_kv_heads", "head_dim"),
            *("hidden_dim", "num_encoder_layers", "position_buckets", "max_distance"),
        )
        self._check_fit()

    def _check_at_least_one(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name}={value!r} must be a whole number of at least 1")

    def _check_fit(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads={self.num_heads} must be divisible by num_kv_heads={self.num_kv_heads}"
            )
        if self.positions in ROTARY and self.head_dim % 2:
            raise ValueError(
                f"head_dim={self.head_dim} must be even: positions={self.positions!r} turns pairs"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and less than 1")
        for name in ("norm_epsilon", "embedding_scale", "logit_scale", "rope_base"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)} must be greater than 0")

    def _derived_sizes(self) -> dict[str, int | float]:
        # Two matrices of 4 model_dim have as many parameters as three of 8/3; a multiple of 8.
        hidden_dim = (8 * self.model_dim // 3 + 7) // 8 * 8 if self.gated else 4 * self.model_dim
        return {
            "num_kv_heads": self.num_heads,
            "head_dim": self.model_dim // self.num_heads,
            "hidden_dim": hidden_dim,
            "num_encoder_layers": self.num_layers,
            "embedding_scale": self.model_dim**0.5 if self.positions == "sinusoidal" else 1.0,
        }

    @property
    def is_causal(self) -> bool:
        """True if a token sees only those before it: in every kind but an encoder."""
        return self.kind != "encoder"

    def replace(self, **changes: Any) -> "TransformerConfig":
        """A changed copy, in which sizes that equal their derived value are derived anew.

        `dataclasses.replace` would keep the old hidden_dim beside a new model_dim.
        """
        derived = {
            name: None
            for name, size in self._derived_sizes().items()
            if getattr(self, name) == size
        }
        return dataclasses.replace(self, **derived | changes)


def gpt2_config(**changes: Any) -> TransformerConfig:
    """GPT-2: a decoder with learned positions, LayerNorm before each part, GELU, biases.

    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    Chapter 05.
    """
    family = {
        "norm": "layer",
        "activation": "gelu_tanh",
        "gated": False,
        "bias": True,
        "positions": "learned",
    }
    return TransformerConfig(**family | changes)


def llama_config(**changes: Any) -> TransformerConfig:
    """LLaMA: a decoder with RoPE, RMSNorm before each part, SwiGLU, no biases: the defaults.

    Touvron et al. 2023, https://arxiv.org/abs/2302.13971, section 2.2. Chapter 05.
    """
    return TransformerConfig(**changes)


def bert_config(**changes: Any) -> TransformerConfig:
    """BERT: an encoder with learned positions, LayerNorm after each part, a head for masked words.

    Without BERT's two segment vectors, which only its next-sentence task needs.

    Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3. Chapter 05.
    """
    family = {
        "kind": "encoder",
        "norm": "layer",
        "norm_epsilon": 1e-12,
        "pre_norm": False,
        "embedding_norm": True,
        "activation": "gelu",
        "gated": False,
        "bias": True,
        "head": "masked",
        "positions": "learned",
    }
    return TransformerConfig(**family | changes)


def t5_config(**changes: Any) -> TransformerConfig:
    """T5: encoder and decoder, bucketed relative positions, RMSNorm, ReLU, unscaled scores.

    Logits are scaled by model_dim^-1/2. For T5 1.1: activation="gelu_tanh", gated=True,
    tied_embeddings=False, logit_scale=1.0.

    Raffel et al. 2019, https://arxiv.org/abs/1910.10683, section 2.1. Chapter 05.
    """
    family = {
        "kind": "encoder_decoder",
        "norm_epsilon": 1e-6,
        "activation": "relu",
        "gated": False,
        "attention_scale": 1.0,
        "logit_scale": changes.get("model_dim", TransformerConfig.model_dim) ** -0.5,
        "positions": "t5",
    }
    return TransformerConfig(**family | changes)
