"""How many parameters a transformer has, by formula: nothing is allocated.

In reading order: `count_parameters`, then its parts: a stack, positions, a head.
"""

from course_lib.model.config import TransformerConfig


def count_parameters(config: TransformerConfig) -> int:
    """The embedding, the stacks and the head; a tied head's matrix counts once.

    A layer of a plain decoder has about 12 model_dim² of them: 4 in attention, 8 in the
    feed-forward part, whose size therefore decides.

    Kaplan et al. 2020, https://arxiv.org/abs/2001.08361, table 1 (without biases and norms).
    Chapter 05.
    """
    total = config.vocab_size * config.model_dim + _count_head(config)
    if config.kind != "decoder":
        total += _count_stack(config, config.num_encoder_layers, has_cross_attention=False)
    if config.kind != "encoder":
        is_t5 = config.kind == "encoder_decoder"
        total += _count_stack(config, config.num_layers, has_cross_attention=is_t5)
    return total


def _count_stack(config: TransformerConfig, num_layers: int, *, has_cross_attention: bool) -> int:
    width, kv_width = (n * config.head_dim for n in (config.num_heads, config.num_kv_heads))
    attention = _count_linear(config.model_dim, width, bias=config.bias)
    attention += 2 * _count_linear(config.model_dim, kv_width, bias=config.bias)
    attention += _count_linear(width, config.model_dim, bias=config.bias)
    feed_forward = _count_linear(config.model_dim, config.hidden_dim, bias=config.bias)
    feed_forward *= 2 if config.gated else 1
    feed_forward += _count_linear(config.hidden_dim, config.model_dim, bias=config.bias)
    num_attentions = 2 if has_cross_attention else 1
    layer = num_attentions * attention + feed_forward + (num_attentions + 1) * _count_norm(config)
    outside = (config.embedding_norm + config.pre_norm) * _count_norm(config)
    return num_layers * layer + outside + _count_positions(config, num_layers)


def _count_head(config: TransformerConfig) -> int:
    total = 0 if config.tied_embeddings else config.vocab_size * config.model_dim
    if config.head == "masked":
        total += _count_linear(config.model_dim, config.model_dim, bias=True)
        total += _count_norm(config) + config.vocab_size
    return total


def _count_linear(inputs: int, outputs: int, *, bias: bool) -> int:
    return inputs * outputs + (outputs if bias else 0)


def _count_norm(config: TransformerConfig) -> int:
    return config.model_dim * (2 if config.norm == "layer" and config.bias else 1)


def _count_positions(config: TransformerConfig, num_layers: int) -> int:
    """Sinusoids, ALiBi and the rotary schemes have none."""
    width = config.num_heads * config.head_dim
    return {
        "learned": config.context_length * config.model_dim,
        "t5": config.position_buckets * config.num_heads,
        "transformer_xl": num_layers * (config.model_dim * width + 2 * width),
        "deberta": num_layers
        * (
            2 * config.max_distance * config.model_dim
            + 2 * _count_linear(config.model_dim, width, bias=True)
        ),
    }.get(config.positions, 0)
