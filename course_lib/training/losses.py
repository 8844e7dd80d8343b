"""What a language model is trained on and judged by: log probabilities of tokens.

In reading order: `token_log_probs`, then its sum over a text (`sequence_log_prob`), its mean
(`cross_entropy`), and the two ways to read that mean (`perplexity`, `bits_per_byte`).
"""

import math

from jaxtyping import Float, Int
from torch import Tensor


def token_log_probs(
    logits: Float[Tensor, "*batch vocab"], tokens: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """log softmax(logits)[token]: how probable the model finds each token, in nats below zero.

    The maximum is subtracted first: log(softmax(x)) is -inf wherever a probability underflows.

    Goodfellow et al. 2016, "Deep Learning", section 6.2.2.3. Chapter 02.
    """
    shifted = logits - logits.detach().amax(dim=-1, keepdim=True)
    chosen = shifted.gather(-1, tokens[..., None]).squeeze(-1)
    return chosen - shifted.exp().sum(dim=-1).log()


def sequence_log_prob(
    logits: Float[Tensor, "*batch time vocab"], tokens: Int[Tensor, "*batch time"]
) -> Float[Tensor, "*batch"]:
    """Σ_t log p(w_t | w_1 ... w_{t-1}): the chain rule, from one pass of the model over a text.

    The logits at a position are for the token *after* it, so the first token is given and the
    last logits are not used. A sum, no mean: longer texts are less probable.

    Bengio et al. 2003, https://jmlr.org/papers/v3/bengio03a.html, section 1. Chapter 02.
    """
    return token_log_probs(logits[..., :-1, :], tokens[..., 1:]).sum(dim=-1)


def cross_entropy(
    logits: Float[Tensor, "*batch vocab"],
    targets: Int[Tensor, "*batch"],
    *,
    ignore_index: int = -100,
) -> Float[Tensor, ""]:
    """-(1/n) Σ log p(target), over the n targets that are not `ignore_index`; in nats.

    Ignored positions (padding, a prompt) count in neither sum nor n and get no gradient. If all are
    ignored the loss is 0, where PyTorch's is nan: such a batch then changes nothing.

    Shannon 1948, "A Mathematical Theory of Communication", section 7. Chapter 02.
    """
    counted = targets != ignore_index
    log_probs = token_log_probs(logits, targets.where(counted, 0))
    return -log_probs.where(counted, 0.0).sum() / counted.sum().clamp(min=1)


def perplexity(log_probs: Float[Tensor, "*tokens"]) -> float:
    """exp of the mean loss: between how many equally likely tokens the model hesitates.

    Per token: of two models with different tokenizers it says nothing (see `bits_per_byte`).

    Jelinek et al. 1977, "Perplexity - a measure of the difficulty of speech recognition tasks".
    Chapter 02.
    """
    return math.exp(-log_probs.double().mean().item())


def bits_per_byte(log_probs: Float[Tensor, "*tokens"], text: str) -> float:
    """-Σ log2 p(token) / bytes of the text in UTF-8: the same scale for every tokenizer.

    It is the size of the text compressed by the model (with arithmetic coding), in bits per byte.
    `log_probs` are natural logarithms, one for each token that the text was cut into.

    Gao et al. 2020, https://arxiv.org/abs/2101.00027, section 3.1. Chapter 02.
    """
    num_bytes = len(text.encode())
    if num_bytes == 0:
        raise ValueError("text = '': an empty text has no bytes to share the bits among")
    return -log_probs.double().sum().item() / math.log(2) / num_bytes
