"""Log probabilities and their means, beside PyTorch's own and numbers worked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from course_lib.training.losses import bits_per_byte, cross_entropy, perplexity, token_log_probs


def make_logits(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_log_probs_agree_with_pytorch_whatever_the_scale(scale):
    logits = make_logits(2, 5, 7, scale=scale).float()
    tokens = torch.tensor([[0, 6, 3, 1, 2], [5, 5, 4, 0, 6]])
    theirs = F.log_softmax(logits, dim=-1).gather(-1, tokens[..., None])[..., 0]
    assert_close(token_log_probs(logits, tokens), theirs)


def test_a_forbidden_token_has_no_probability_and_spoils_no_gradient():
    logits = torch.tensor([[1.0, -math.inf, 2.0]], requires_grad=True)
    assert token_log_probs(logits, torch.tensor([1])).item() == -math.inf
    token_log_probs(logits, torch.tensor([0])).sum().backward()
    shares = torch.softmax(torch.tensor([1.0, -math.inf, 2.0]), dim=0)
    assert_close(logits.grad, torch.tensor([[1.0, 0.0, 0.0]]) - shares)


def test_gradients_are_right_by_finite_differences():
    logits = make_logits(3, 5).requires_grad_()
    targets = torch.tensor([4, -100, 0])
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets), (logits,))
    assert torch.autograd.gradcheck(lambda x: token_log_probs(x, targets.abs() % 5), (logits,))


def test_a_uniform_model_hesitates_between_all_tokens():
    log_probs = token_log_probs(torch.zeros(11, 50), torch.arange(11))
    assert perplexity(log_probs) == pytest.approx(50)


def test_perplexity_is_the_geometric_mean_of_one_over_p():
    assert perplexity(torch.tensor([1 / 2, 1 / 8]).log()) == pytest.approx(4)


def test_an_empty_text_is_answered_in_a_sentence():
    with pytest.raises(ValueError, match="text = ''"):
        bits_per_byte(torch.tensor([-1.0]), "")
