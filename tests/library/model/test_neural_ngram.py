"""The neural n-gram model against its equation, position by position."""

import pytest
import torch
from torch.testing import assert_close

from course_lib.model.neural_ngram import NeuralNGram, NeuralNGramConfig, context_windows

CONFIG = NeuralNGramConfig(vocab_size=11, context_length=3, embedding_dim=5, hidden_dim=7)


def make_model(seed=0):
    return NeuralNGram(CONFIG, generator=torch.Generator().manual_seed(seed))


def test_windows_worked_by_hand():
    windows = context_windows(torch.tensor([[5, 6, 7], [1, 2, 3]]), 2, fill=0)
    assert windows.tolist() == [[[0, 5], [5, 6], [6, 7]], [[0, 1], [1, 2], [2, 3]]]


def test_logits_are_those_of_the_equation():
    model, tokens = make_model(), torch.tensor([[4, 10, 0, 7], [1, 1, 3, 2]])
    vectors, hidden, output = model.embedding.weight, model.hidden, model.output
    logits = model(tokens)
    for row in range(2):
        for end in range(1, 5):
            last = ([11] * 3 + tokens[row, :end].tolist())[-3:]
            x = torch.cat([vectors[token] for token in last])
            theirs = output.bias + output.weight @ torch.tanh(hidden.bias + hidden.weight @ x)
            assert_close(logits[row, end - 1], theirs)


def test_later_and_older_tokens_have_no_influence():
    model, tokens = make_model(), torch.tensor([[4, 10, 0, 7, 2, 6]])
    before = model(tokens)
    changed = tokens.clone()
    changed[0, 5] = 9
    assert torch.equal(model(changed)[:, :5], before[:, :5])
    changed = tokens.clone()
    changed[0, 0] = 9
    assert torch.equal(model(changed)[:, 3:], before[:, 3:])
    assert not torch.equal(model(changed)[:, :3], before[:, :3])


def test_the_same_generator_makes_the_same_model():
    weights = [
        torch.cat([p.flatten() for p in make_model(seed).parameters()]) for seed in (3, 3, 4)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_size_of_zero_is_answered_with_the_rule():
    with pytest.raises(ValueError, match="context_length=0 must be at least 1"):
        NeuralNGramConfig(context_length=0)
