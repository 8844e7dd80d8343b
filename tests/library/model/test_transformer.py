"""The model as a whole: who sees whom, both block orders, frozen randomness, refusals."""

import pytest
import torch

from course_lib.model.attention import attention
from course_lib.model.blocks import decoder_block
from course_lib.model.config import bert_config, gpt2_config, llama_config, t5_config
from course_lib.model.transformer import Transformer

SIZES = {"vocab_size": 31, "model_dim": 24, "num_layers": 2, "num_heads": 6, "context_length": 13}


def make_tokens(batch=2, time=11, seed=1):
    return torch.randint(31, (batch, time), generator=torch.Generator().manual_seed(seed))


def make_model(config, **options):
    """A model whose weights are large enough for every token to matter."""
    model = Transformer(config, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(7 if parameter.ndim > 1 else 1)
    return model


def influence(model, tokens, **given):
    """(time, time), True where changing the token of the column changes the row's logits."""
    with torch.no_grad():
        before = model(tokens, **given)
        rows = []
        for place in range(tokens.shape[1]):
            changed = tokens.clone()
            changed[:, place] = (changed[:, place] + 1) % 31
            rows.append((model(changed, **given) != before).any(dim=-1).any(dim=0))
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize("family", [gpt2_config, llama_config])
def test_a_decoders_token_depends_on_itself_and_those_before(family):
    expected = torch.ones(11, 11, dtype=torch.bool).tril()
    assert (influence(make_model(family(**SIZES)), make_tokens()) == expected).all()


def test_an_encoders_token_depends_on_all():
    assert influence(make_model(bert_config(**SIZES)), make_tokens()).all()


def test_padding_at_the_end_has_no_influence():
    lengths = torch.tensor([8, 8])
    seen = influence(make_model(bert_config(**SIZES)), make_tokens(), lengths=lengths)
    assert seen[:8, :8].all()
    assert not seen[:8, 8:].any()


def test_packed_documents_do_not_see_each_other():
    documents = torch.tensor([[4] * 5 + [2] * 6] * 2)
    seen = influence(make_model(llama_config(**SIZES)), make_tokens(), documents=documents)
    assert not seen[5:, :5].any()
    assert (seen[5:, 5:] == torch.ones(6, 6, dtype=torch.bool).tril()).all()


def test_a_decoder_reads_its_whole_source_and_no_padding():
    model, tokens = make_model(t5_config(**SIZES)), make_tokens()
    source, lengths = make_tokens(time=5, seed=2), torch.tensor([5, 3])
    memory = model.encode(source, lengths=lengths)
    before = model(tokens, memory=memory, memory_lengths=lengths)
    padded = source.clone()
    padded[1, 3:] = 0
    memory = model.encode(padded, lengths=lengths)
    after = model(tokens, memory=memory, memory_lengths=lengths)
    torch.testing.assert_close(after, before)
    padded[1, 2] = (padded[1, 2] + 1) % 31
    memory = model.encode(padded, lengths=lengths)
    changed = model(tokens, memory=memory, memory_lengths=lengths) != after
    assert changed[1].any(dim=-1).all()
    assert not changed[0].any()


def test_decoder_block_by_hand():
    def double(x):
        return 2 * x

    def add_one(x):
        return x + 1

    x = torch.tensor([[[3.0]]])
    # pre: 3 + 2 (3 + 1) = 11, then 11 + 2 (11 + 1) = 35; post: 3 + 6 + 1 = 10, 10 + 20 + 1 = 31
    assert decoder_block(x, [double] * 2, [add_one] * 2).item() == 35
    assert decoder_block(x, [double] * 2, [add_one] * 2, pre_norm=False).item() == 31


def test_a_post_norm_model_ends_with_its_last_blocks_norm():
    model = Transformer(llama_config(**SIZES, pre_norm=False))
    vectors = model.hidden(make_tokens())
    torch.testing.assert_close(vectors.square().mean(-1), torch.ones(2, 11), atol=1e-3, rtol=0)


def test_hidden_vectors_are_what_the_head_reads():
    model, tokens = make_model(llama_config(**SIZES)), make_tokens()
    torch.testing.assert_close(model.hidden(tokens) @ model.embedding.weight.T, model(tokens))


def test_the_seed_alone_draws_the_weights():
    state = torch.random.get_rng_state()
    one, two, other = (
        Transformer(gpt2_config(**SIZES), seed=seed).state_dict() for seed in (5, 5, 6)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])


@pytest.mark.parametrize("family", [gpt2_config, llama_config, bert_config])
def test_a_new_model_finds_all_tokens_about_equally_likely(family):
    logits = Transformer(family(vocab_size=31))(make_tokens())
    entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
    assert entropy > 0.8 * torch.tensor(31.0).log()


def test_every_parameter_gets_a_gradient():
    model = make_model(t5_config(**SIZES))
    tokens = make_tokens()
    model(tokens, memory=model.encode(tokens)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_a_rope_decoder_asks_its_attention_for_no_mask_and_no_bias():
    given = []

    def watching(query, key, value, **options):
        given.append(options)
        return attention(query, key, value, **options)

    Transformer(llama_config(**SIZES), attention=watching)(make_tokens())
    assert (
        given
        == [{"scale": None, "is_causal": True, "documents": None, "lengths": None}]
        * SIZES["num_layers"]
    )


def test_dropout_acts_only_in_training():
    model, tokens = make_model(llama_config(**SIZES, dropout=0.5)), make_tokens()
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_what_does_not_fit_is_refused_in_a_sentence():
    decoder, tokens = Transformer(llama_config(**SIZES)), make_tokens()
    with pytest.raises(ValueError, match=r"tokens from 0 to 31 must be .* less than vocab_size=31"):
        decoder(torch.tensor([[0, 31]]))
    with pytest.raises(ValueError, match="kind='decoder' reads no memory"):
        decoder(tokens, memory=torch.zeros(2, 3, 24))
    with pytest.raises(ValueError, match="kind='decoder' has no encoder"):
        decoder.encode(tokens)
    with pytest.raises(ValueError, match="needs memory="):
        Transformer(t5_config(**SIZES))(tokens)
    with pytest.raises(ValueError, match=r"documents of shape \(2, 4\) .* keys=11"):
        decoder(tokens, documents=torch.zeros(2, 4, dtype=torch.long))
