"""A LLaMA that reads one token at a time, in numpy: generation without a framework's overhead.

In reading order: `NumpyLlama` and its parts; `can_read_in_numpy`, for which models it stands in.
"""

from dataclasses import dataclass

import numpy
import torch
from jaxtyping import Float
from torch import nn

from course_lib.model.attention import attention
from course_lib.model.blocks import Block
from course_lib.model.cache import KeyValueCache
from course_lib.model.fused_attention import fused_attention
from course_lib.model.positions import XposPositions
from course_lib.model.positions.rotary import RotaryPositions
from course_lib.model.transformer import Transformer

Array = numpy.ndarray


@dataclass(frozen=True)
class LayerWeights:
    """A block's matrices and norms, as arrays that share the parameters' memory."""

    attention_norm: Float[Array, "dim"]
    query: Float[Array, "width dim"]
    key: Float[Array, "kv_width dim"]
    value: Float[Array, "kv_width dim"]
    output: Float[Array, "dim width"]
    feed_forward_norm: Float[Array, "dim"]
    gate: Float[Array, "hidden dim"]
    up: Float[Array, "hidden dim"]
    down: Float[Array, "dim hidden"]


class NumpyLlama:
    """The logits after one more token, for a batch of one: the model's own, up to rounding.

    A token is some forty products of a matrix and a vector. In a small model each takes less time
    than PyTorch needs to start it; numpy needs a few times less. Weights and cache are the model's
    memory, not copies: the cache may be filled by the model and go back to it.

    Touvron et al. 2023, https://arxiv.org/abs/2302.13971, section 2.2. Chapter 14.
    """

    def __init__(self, model: Transformer, cache: KeyValueCache):
        self.config, self.cache = model.config, cache
        turns = model.decoder.positions[0].turns(torch.arange(cache.capacity), cache.keys.dtype)
        cos, sin = (each.reshape(cache.capacity, 1, -1).numpy() for each in turns)
        self.cos, self.sin = cos, numpy.concatenate((-sin, sin), axis=1)
        self.layers = [_weights_of(block) for block in model.decoder.blocks]
        self.keys, self.values = cache.keys[:, 0].numpy(), cache.values[:, 0].numpy()
        self.norm = _array(model.decoder.norm.weight)
        self.embedding = _array(model.embedding.weight)
        self.head = self.embedding if model.head.weight is None else _array(model.head.weight)

    def __call__(self, token: int) -> Float[Array, "vocab"]:
        """Scores of what comes after `token`, which the cache has from now on."""
        self.cache.reserve(torch.tensor([self.cache.length]))
        x = self.embedding[token] * self.config.embedding_scale
        with numpy.errstate(over="ignore"):  # exp(-gate) may be inf, and gate / inf is right
            for index, layer in enumerate(self.layers):
                x = x + self._attend(index, self._normalise(x, layer.attention_norm))
                x = x + _feed_forward(layer, self._normalise(x, layer.feed_forward_norm))
        return self.head @ (self._normalise(x, self.norm) * self.config.logit_scale)

    def _attend(self, index: int, x: Array) -> Float[Array, "dim"]:
        layer, config, length = self.layers[index], self.config, self.cache.length
        projected = numpy.concatenate((layer.query @ x, layer.key @ x))
        turned = _turn(projected, self.cos[length - 1], self.sin[length - 1])
        by_head = (config.num_kv_heads, -1, config.head_dim)  # query heads lie beside their key's
        width = config.num_heads * config.head_dim
        query = turned[:width].reshape(by_head)
        keys, values = self.keys[index], self.values[index]
        keys[:, length - 1] = turned[width:].reshape(by_head)[:, 0]
        values[:, length - 1] = (layer.value @ x).reshape(by_head)[:, 0]
        scale = config.head_dim**-0.5 if config.attention_scale is None else config.attention_scale
        scores = query * scale @ keys[:, :length].transpose(0, 2, 1)  # (kv_heads, group, keys)
        weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        mixture = weights @ values[:, :length] / weights.sum(axis=-1, keepdims=True)
        return layer.output @ mixture.reshape(-1)

    def _normalise(self, x: Array, weight: Array) -> Float[Array, "dim"]:
        return x * (x @ x / len(x) + self.config.norm_epsilon) ** -0.5 * weight


def can_read_in_numpy(model: object) -> bool:
    """True for a plain LLaMA-type model on the CPU, in fp32 or fp64, whose parts are the library's.

    Parts put in their place (adapters, quantised matrices, an attention of one's own) and hooks are
    left to PyTorch: numpy would pass them over without a word.
    """
    if type(model) is not Transformer or model.config.kind != "decoder":
        return False
    config, scheme = model.config, model.decoder.positions[0]
    family = config.norm, config.activation, config.gated, config.bias, config.pre_norm, config.head
    return (
        family == ("rms", "silu", True, False, True, "linear")
        and not config.embedding_norm
        and isinstance(scheme, RotaryPositions)
        and not isinstance(scheme, XposPositions)
        and all(map(_is_plain, model.parameters()))
        and all(map(_is_the_librarys, model.modules()))
    )


def _is_plain(parameter: nn.Parameter) -> bool:
    return parameter.device.type == "cpu" and parameter.dtype in (torch.float32, torch.float64)


def _is_the_librarys(module: nn.Module) -> bool:
    of_the_library = type(module).__module__.startswith(("course_lib.model.", "torch.nn.modules."))
    function = getattr(module, "attention", attention)
    is_plain = isinstance(function, nn.Module) or function in (attention, fused_attention)
    return of_the_library and is_plain and not (module._forward_hooks or module._forward_pre_hooks)


def _weights_of(block: Block) -> LayerWeights:
    attend, feed_forward = block.attention, block.feed_forward
    return LayerWeights(
        attention_norm=_array(block.attention_norm.weight),
        query=_array(attend.query.weight),
        key=_array(attend.key.weight),
        value=_array(attend.value.weight),
        output=_array(attend.output.weight),
        feed_forward_norm=_array(block.feed_forward_norm.weight),
        gate=_array(feed_forward.gate.weight),
        up=_array(feed_forward.up.weight),
        down=_array(feed_forward.down.weight),
    )


def _array(parameter: nn.Parameter) -> Array:
    return parameter.detach().numpy()


def _turn(x: Array, cos: Array, sin: Array) -> Float[Array, "width"]:
    """Every head's pairs (x_i, x_{i + dim/2}) turned; sin comes as (-sin, sin)."""
    halves = x.reshape(-1, 2, cos.shape[-1])
    return (halves * cos + halves[:, ::-1] * sin).reshape(-1)


def _feed_forward(layer: LayerWeights, x: Array) -> Float[Array, "dim"]:
    gate = layer.gate @ x
    return layer.down @ (gate / (1 + numpy.exp(-gate)) * (layer.up @ x))
