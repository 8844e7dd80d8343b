"""Soft prompts: batches of completions by hand, generation behind a prompt against real tokens."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.finetuning import (
    PromptedModel,
    PromptTuning,
    PTuning,
    completion_batch,
    soft_prompt_logits,
)
from course_lib.inference import generate
from course_lib.model.config import bert_config, llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import IGNORED

SIZES = {"vocab_size": 17, "context_length": 32, "model_dim": 12, "num_layers": 2, "num_heads": 3}


def make_model():
    model = Transformer(llama_config(**SIZES), seed=2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.requires_grad_(False)


def test_only_completions_are_targets():
    batch = completion_batch([([5, 6, 7], [8, 9]), ([3], [4])])
    assert batch.tokens.tolist() == [[5, 6, 7, 8], [3, 0, 0, 0]]
    assert batch.targets.tolist() == [[IGNORED, IGNORED, 8, 9], [4, IGNORED, IGNORED, IGNORED]]
    assert batch.num_tokens == 3


def test_padding_changes_no_loss():
    """The loss of a batch is that of its rows alone, weighted by their targets."""
    model, pairs = make_model(), [([5, 6, 7], [8, 9]), ([3], [4]), ([1, 2], [3, 4, 5, 6])]

    def loss(batch):
        logits = model(batch.tokens).flatten(0, 1)
        return F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORED).item()

    rows = [completion_batch([pair]) for pair in pairs]
    expected = sum(loss(row) * row.num_tokens for row in rows) / 7
    assert loss(completion_batch(pairs)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pairs", [[], [([], [4])], [([4], [])]])
def test_a_pair_without_a_prompt_or_a_completion_is_refused(pairs):
    with pytest.raises(ValueError, match=r"give|must"):
        completion_batch(pairs)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_prompted_model_writes_what_the_model_writes_behind_those_tokens(use_cache):
    """Prompts of unequal length in one batch, with a cache and without."""
    model, words = make_model(), [3, 14, 15]
    prompted = PromptedModel(model, model.embedding(torch.tensor(words)))
    texts = [[9, 2, 6], [5], [3, 5, 8, 9, 7]]
    choice = {"max_new_tokens": 6, "temperature": 0, "use_cache": use_cache}
    expected = generate(model, [words + text for text in texts], **choice)
    soft = [prompted.prompt_tokens + text for text in texts]
    assert generate(prompted, soft, **choice) == expected


def test_a_prompted_model_gives_the_logits_of_a_soft_prompt():
    model = make_model()
    prompt = torch.randn(4, 12, generator=torch.Generator().manual_seed(1))
    prompted = PromptedModel(model, prompt)
    tokens = torch.tensor([[1, 2, 3], [16, 0, 5]])
    soft = torch.tensor([prompted.prompt_tokens, prompted.prompt_tokens])
    logits = prompted(torch.cat([soft, tokens], dim=1))[:, 4:]
    torch.testing.assert_close(logits, soft_prompt_logits(model, prompt, tokens))


def test_free_vectors_begin_as_given_and_a_network_begins_elsewhere():
    vectors = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(PromptTuning(vectors)(), vectors)
    made = PTuning(vectors, hidden_dim=7, seed=1)
    assert made().shape == (5, 12)
    assert torch.equal(made(), PTuning(vectors, hidden_dim=7, seed=1)())
    assert not torch.equal(made(), PTuning(vectors, hidden_dim=7, seed=2)())


def test_a_network_ties_the_vectors_to_one_another():
    """Moving one input moves every vector of p-tuning, and one alone of prompt tuning."""
    vectors = torch.zeros(4, 12)
    moved = vectors.clone()
    moved[2] += 1
    networks = [PTuning(each, hidden_dim=7) for each in (vectors, moved)]
    assert (networks[0]() != networks[1]()).any(dim=-1).all()
    free = [PromptTuning(each) for each in (vectors, moved)]
    assert (free[0]() != free[1]()).any(dim=-1).tolist() == [False, False, True, False]


def test_a_prompt_of_another_width_and_an_encoder_are_refused():
    tokens = torch.tensor([[1, 2]])
    with pytest.raises(ValueError, match="11 numbers and the model's 12"):
        soft_prompt_logits(make_model(), torch.zeros(3, 11), tokens)
    encoder = Transformer(bert_config(**SIZES)).eval()
    with pytest.raises(ValueError, match="'encoder'"):
        soft_prompt_logits(encoder, torch.zeros(3, 12), tokens)
