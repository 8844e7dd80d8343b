"""The originals of `transformers` and ours with the same weights: same outputs, same gradients.

Each family has a table of names, ours: theirs. The tables are compared first, names and shapes,
then the results, so that a failure says which half is wrong. Every weight is drawn anew, norms
and biases too: what is 0 or 1 at the start would hide a missing one.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BloomConfig,
    BloomForCausalLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from course_lib.model.config import (
    TransformerConfig,
    bert_config,
    gpt2_config,
    llama_config,
    t5_config,
)
from course_lib.model.transformer import Transformer

Get = Callable[[str], Tensor]
Names = Iterator[tuple[str, Tensor]]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}  # fp32 sums in another order
SIZES = {"model_dim": 24, "num_layers": 3, "num_heads": 4, "context_length": 19, "vocab_size": 37}
THEIR_SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 19,
    "vocab_size": 37,
    "intermediate_size": 52,
}
LAYERS = range(3)


def make_theirs(model_class, config_class, **settings) -> nn.Module:
    """A model of `transformers` whose every weight is random."""
    settings |= {"attn_implementation": "eager"}
    model = model_class(config_class(**settings)).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.2 * noise if parameter.mean() == 1 else 0.2 * noise)
    return model


def make_tokens(batch=2, time=11, seed=3) -> Tensor:
    return torch.randint(37, (batch, time), generator=torch.Generator().manual_seed(seed))


def make_ours(config: TransformerConfig, theirs: nn.Module, names) -> Transformer:
    """Our model with their weights; the tables must agree in names and shapes."""
    ours = Transformer(config).eval()
    weights = dict(names(theirs.state_dict().__getitem__))
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    assert shapes == {name: tuple(value.shape) for name, value in ours.state_dict().items()}
    ours.load_state_dict(weights)
    return ours


def assert_same(ours: nn.Module, our_logits: Tensor, theirs: nn.Module, their_logits, names):
    """Equal logits, and equal gradients of a cross-entropy over them."""
    torch.testing.assert_close(our_logits, their_logits, **TOLERANCE)
    targets = make_tokens(*our_logits.shape[:2], seed=4)
    for logits in (our_logits, their_logits):
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    theirs_by_name = dict(theirs.named_parameters())
    expected = dict(names(lambda name: theirs_by_name[name].grad))
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(
            parameter.grad, expected[name], **TOLERANCE, msg=lambda m, name=name: f"{name}: {m}"
        )


def linear(ours: str, theirs: str, get: Get, kinds=("weight", "bias")) -> Names:
    """The same layer under two names."""
    for kind in kinds:
        yield f"{ours}.{kind}", get(f"{theirs}.{kind}")


def gpt2_names(get: Get) -> Names:
    """GPT-2 keeps its matrices (inputs, outputs), and query, key and value in one."""
    yield "embedding.weight", get("transformer.wte.weight")
    yield "decoder.positions.0.table.weight", get("transformer.wpe.weight")
    yield from linear("decoder.norm", "transformer.ln_f", get)
    for i in LAYERS:
        ours, theirs = f"decoder.blocks.{i}", f"transformer.h.{i}"
        yield from linear(f"{ours}.attention_norm", f"{theirs}.ln_1", get)
        yield from linear(f"{ours}.feed_forward_norm", f"{theirs}.ln_2", get)
        for kind in ("weight", "bias"):
            fused = get(f"{theirs}.attn.c_attn.{kind}").chunk(3, dim=-1)
            for part, value in zip(("query", "key", "value"), fused, strict=True):
                yield f"{ours}.attention.{part}.{kind}", value.T if kind == "weight" else value
        for our_part, their_part in (
            ("attention.output", "attn.c_proj"),
            ("feed_forward.up", "mlp.c_fc"),
            ("feed_forward.down", "mlp.c_proj"),
        ):
            yield f"{ours}.{our_part}.weight", get(f"{theirs}.{their_part}.weight").T
            yield f"{ours}.{our_part}.bias", get(f"{theirs}.{their_part}.bias")


def make_gpt2() -> tuple[Transformer, nn.Module]:
    theirs = make_theirs(
        GPT2LMHeadModel,
        GPT2Config,
        n_embd=24,
        n_layer=3,
        n_head=4,
        n_positions=19,
        vocab_size=37,
        n_inner=52,
    )
    return make_ours(gpt2_config(**SIZES, hidden_dim=52), theirs, gpt2_names), theirs


def test_gpt2():
    ours, theirs = make_gpt2()
    tokens = make_tokens()
    assert_same(ours, ours(tokens), theirs, theirs(tokens).logits, gpt2_names)


def test_gpt2_with_padding_on_the_left():
    ours, theirs = make_gpt2()
    tokens, seen = make_tokens(), torch.ones(2, 11, dtype=torch.long)
    seen[1, :4] = 0
    positions = (seen.cumsum(1) - 1).clamp(min=0)
    expected = theirs(tokens, attention_mask=seen, position_ids=positions).logits
    logits = ours(tokens, documents=seen, positions=positions)
    torch.testing.assert_close(logits[seen == 1], expected[seen == 1], **TOLERANCE)


def llama_names(get: Get) -> Names:
    yield "embedding.weight", get("model.embed_tokens.weight")
    yield "head.weight", get("lm_head.weight")
    yield "decoder.norm.weight", get("model.norm.weight")
    parts = {
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
    for i in LAYERS:
        for ours, theirs in parts.items():
            yield f"decoder.blocks.{i}.{ours}.weight", get(f"model.layers.{i}.{theirs}.weight")


@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
def test_llama_with_grouped_heads(num_kv_heads):
    theirs = make_theirs(
        LlamaForCausalLM,
        LlamaConfig,
        **THEIR_SIZES,
        num_key_value_heads=num_kv_heads,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        rms_norm_eps=1e-4,
        tie_word_embeddings=False,
    )
    config = llama_config(
        **SIZES,
        num_kv_heads=num_kv_heads,
        hidden_dim=52,
        rope_base=500.0,
        norm_epsilon=1e-4,
        tied_embeddings=False,
    )
    ours, tokens = make_ours(config, theirs, llama_names), make_tokens()
    assert_same(ours, ours(tokens), theirs, theirs(tokens).logits, llama_names)


def encoder_layer_names(ours: str, theirs: str, get: Get, self_attention: dict[str, str]) -> Names:
    """A layer of BERT or DeBERTa."""
    parts = {f"attention.{our}": f"attention.self.{their}" for our, their in self_attention.items()}
    parts |= {
        "attention.output": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "feed_forward.up": "intermediate.dense",
        "feed_forward.down": "output.dense",
        "feed_forward_norm": "output.LayerNorm",
    }
    for our_part, their_part in parts.items():
        yield from linear(f"{ours}.{our_part}", f"{theirs}.{their_part}", get)


def masked_head_names(get: Get) -> Names:
    yield from linear("head.dense", "cls.predictions.transform.dense", get)
    yield from linear("head.norm", "cls.predictions.transform.LayerNorm", get)
    yield "head.bias", get("cls.predictions.bias")


def bert_names(get: Get) -> Names:
    yield "embedding.weight", get("bert.embeddings.word_embeddings.weight")
    yield "encoder.positions.0.table.weight", get("bert.embeddings.position_embeddings.weight")
    yield from linear("encoder.embedding_norm", "bert.embeddings.LayerNorm", get)
    yield from masked_head_names(get)
    for i in LAYERS:
        ours, theirs = f"encoder.blocks.{i}", f"bert.encoder.layer.{i}"
        same = {part: part for part in ("query", "key", "value")}
        yield from encoder_layer_names(ours, theirs, get, same)


def make_bert() -> tuple[Transformer, nn.Module]:
    """Their first segment's vector, added to every token, is moved into the positions."""
    theirs = make_theirs(BertForMaskedLM, BertConfig, **THEIR_SIZES)
    embeddings = theirs.bert.embeddings
    with torch.no_grad():
        embeddings.position_embeddings.weight += embeddings.token_type_embeddings.weight[0]
        embeddings.token_type_embeddings.weight.zero_()
        embeddings.word_embeddings.weight[theirs.config.pad_token_id] = 0.1
    embeddings.word_embeddings.padding_idx = None  # else this row would have no gradient
    return make_ours(bert_config(**SIZES, hidden_dim=52), theirs, bert_names), theirs


def test_bert():
    ours, theirs = make_bert()
    tokens = make_tokens()
    assert_same(ours, ours(tokens), theirs, theirs(tokens).logits, bert_names)


def test_bert_with_padding_on_the_right():
    ours, theirs = make_bert()
    tokens, lengths = make_tokens(), torch.tensor([11, 5])
    seen = (torch.arange(11) < lengths[:, None]).long()
    expected = theirs(tokens, attention_mask=seen).logits
    logits = ours(tokens, lengths=lengths)
    torch.testing.assert_close(logits[seen == 1], expected[seen == 1], **TOLERANCE)


def t5_names(gated: bool) -> Callable[[Get], Names]:
    """T5's decoder layer: self-attention 0, cross-attention 1, feed-forward 2."""

    def attention_names(ours: str, theirs: str, get: Get) -> Names:
        for our_part, their_part in zip(("query", "key", "value", "output"), "qkvo", strict=True):
            yield f"{ours}.{our_part}.weight", get(f"{theirs}.{their_part}.weight")

    def names(get: Get) -> Names:
        yield "embedding.weight", get("shared.weight")
        if gated:
            yield "head.weight", get("lm_head.weight")
        for stack in ("encoder", "decoder"):
            table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            yield f"{stack}.positions.0.table.weight", get(table)
            yield f"{stack}.norm.weight", get(f"{stack}.final_layer_norm.weight")
            for i in range(3 if stack == "decoder" else 2):
                ours, theirs = f"{stack}.blocks.{i}", f"{stack}.block.{i}.layer"
                yield from attention_names(f"{ours}.attention", f"{theirs}.0.SelfAttention", get)
                norms = ["attention_norm", "feed_forward_norm"]
                if stack == "decoder":
                    yield from attention_names(f"{ours}.cross", f"{theirs}.1.EncDecAttention", get)
                    norms.insert(1, "cross_norm")
                for j, norm in enumerate(norms):
                    yield f"{ours}.{norm}.weight", get(f"{theirs}.{j}.layer_norm.weight")
                parts = {"gate": "wi_0", "up": "wi_1"} if gated else {"up": "wi"}
                for our_part, their_part in (parts | {"down": "wo"}).items():
                    their_name = f"{theirs}.{len(norms) - 1}.DenseReluDense.{their_part}.weight"
                    yield f"{ours}.feed_forward.{our_part}.weight", get(their_name)

    return names


@pytest.mark.parametrize("gated", [False, True])
def test_t5(gated):
    theirs = make_theirs(
        T5ForConditionalGeneration,
        T5Config,
        d_model=24,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        d_kv=5,
        d_ff=52,
        vocab_size=37,
        dropout_rate=0.0,
        relative_attention_num_buckets=10,
        relative_attention_max_distance=12,
        feed_forward_proj="gated-gelu" if gated else "relu",
        tie_word_embeddings=not gated,
    )
    if gated:  # version 1.1, whose head is not tied; `transformers` ties it all the same
        theirs.lm_head.weight = nn.Parameter(theirs.lm_head.weight.detach().flip(0).clone())
    version_1_1 = {
        "activation": "gelu_tanh",
        "gated": True,
        "tied_embeddings": False,
        "logit_scale": 1.0,
    }
    config = t5_config(
        **SIZES,
        num_encoder_layers=2,
        head_dim=5,
        hidden_dim=52,
        position_buckets=10,
        max_distance=12,
        **(version_1_1 if gated else {}),
    )
    names = t5_names(gated)
    ours = make_ours(config, theirs, names)
    source, tokens, lengths = make_tokens(time=13, seed=5), make_tokens(), torch.tensor([13, 6])
    seen = (torch.arange(13) < lengths[:, None]).long()
    expected = theirs(input_ids=source, attention_mask=seen, decoder_input_ids=tokens).logits
    memory = ours.encode(source, lengths=lengths)
    logits = ours(tokens, memory=memory, memory_lengths=lengths)
    assert_same(ours, logits, theirs, expected, names)


def deberta_names(get: Get) -> Names:
    """One table of distances serves all their layers; each layer projects it for itself."""
    yield "embedding.weight", get("deberta.embeddings.word_embeddings.weight")
    yield from linear("encoder.embedding_norm", "deberta.embeddings.LayerNorm", get)
    yield from masked_head_names(get)
    for i in LAYERS:
        ours, theirs = f"encoder.blocks.{i}", f"deberta.encoder.layer.{i}"
        parts = {part: f"{part}_proj" for part in ("query", "key", "value")}
        yield from encoder_layer_names(ours, theirs, get, parts)
        scheme, attention = f"encoder.positions.{i}", f"{theirs}.attention.self"
        yield f"{scheme}.table.weight", get("deberta.encoder.rel_embeddings.weight")
        yield from linear(f"{scheme}.query_projection", f"{attention}.pos_query_proj", get)
        yield from linear(f"{scheme}.key_projection", f"{attention}.pos_key_proj", get)


def test_deberta():
    theirs = make_theirs(
        DebertaV2ForMaskedLM,
        DebertaV2Config,
        **THEIR_SIZES,
        relative_attention=True,
        max_relative_positions=6,
        pos_att_type=["c2p", "p2c"],
        position_biased_input=False,
    )
    theirs.deberta.embeddings.word_embeddings.padding_idx = None
    config = bert_config(
        **SIZES, hidden_dim=52, positions="deberta", max_distance=6, norm_epsilon=1e-7
    )
    ours, tokens = make_ours(config, theirs, deberta_names), make_tokens(time=17)
    for scheme in ours.encoder.positions:
        scheme.table = ours.encoder.positions[0].table
    assert_same(ours, ours(tokens), theirs, theirs(tokens).logits, deberta_names)


def bloom_names(num_heads: int) -> Callable[[Get], Names]:
    """BLOOM keeps query, key and value of a head side by side."""

    def names(get: Get) -> Names:
        yield "embedding.weight", get("transformer.word_embeddings.weight")
        yield from linear("decoder.embedding_norm", "transformer.word_embeddings_layernorm", get)
        yield from linear("decoder.norm", "transformer.ln_f", get)
        parts = {
            "attention_norm": "input_layernorm",
            "attention.output": "self_attention.dense",
            "feed_forward_norm": "post_attention_layernorm",
            "feed_forward.up": "mlp.dense_h_to_4h",
            "feed_forward.down": "mlp.dense_4h_to_h",
        }
        for i in LAYERS:
            ours, theirs = f"decoder.blocks.{i}", f"transformer.h.{i}"
            for our_part, their_part in parts.items():
                yield from linear(f"{ours}.{our_part}", f"{theirs}.{their_part}", get)
            for kind in ("weight", "bias"):
                fused = get(f"{theirs}.self_attention.query_key_value.{kind}")
                by_head = fused.unflatten(0, (num_heads, 3, -1))
                for j, part in enumerate(("query", "key", "value")):
                    yield f"{ours}.attention.{part}.{kind}", by_head[:, j].flatten(0, 1)

    return names


@pytest.mark.parametrize("num_heads", [4, 6])
def test_bloom_with_alibi(num_heads):
    theirs = make_theirs(
        BloomForCausalLM,
        BloomConfig,
        vocab_size=37,
        hidden_size=24,
        n_layer=3,
        n_head=num_heads,
    )
    sizes = SIZES | {"num_heads": num_heads}
    config = gpt2_config(**sizes, positions="alibi", embedding_norm=True)
    names = bloom_names(num_heads)
    ours, tokens = make_ours(config, theirs, names), make_tokens(time=23)
    assert_same(ours, ours(tokens), theirs, theirs(tokens).logits, names)
