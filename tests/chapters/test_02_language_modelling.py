"""Checks of chapter 02: log probabilities, n-grams, cross-entropy, bits per byte, infilling.

Oracles: worked by hand, brute force over all sequences of a tiny vocabulary, PyTorch, exact sums.
"""

import itertools
import math
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from course_lib.text.infilling import Sentinels


def make_logits(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=dtype)


def test_three_tokens_worked_by_hand(sequence_log_prob):
    """The first token is given; then 1/4 and 1/2: together 1/8. The last logits are not used."""
    rows = torch.tensor([[[1.0, 2.0, 1.0], [2.0, 1.0, 1.0], [9.0, 1.0, 1.0]]])
    tokens = torch.tensor([[2, 0, 0]])
    assert_close(sequence_log_prob(rows.log(), tokens), torch.tensor([math.log(1 / 8)]))


def test_all_sequences_together_have_probability_one(sequence_log_prob):
    """Chain rule: 3 tokens, 4 places after the given one, 81 sequences. A table is the model."""
    table = make_logits(3, 3, seed=1, dtype=torch.float64)
    sequences = torch.tensor([(1, *rest) for rest in itertools.product(range(3), repeat=4)])
    log_probs = sequence_log_prob(table[sequences], sequences)
    assert log_probs.shape == (81,)
    assert_close(log_probs.exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_agrees_with_pytorch_on_two_dimensions_of_batch(sequence_log_prob):
    """Longer texts are less probable: the token losses are added, not averaged."""
    logits = make_logits(2, 3, 6, 7, seed=2)
    tokens = torch.randint(7, (2, 3, 6), generator=torch.Generator().manual_seed(3))
    losses = F.cross_entropy(
        logits[:, :, :-1].reshape(-1, 7), tokens[:, :, 1:].reshape(-1), reduction="none"
    )
    assert_close(sequence_log_prob(logits, tokens), -losses.reshape(2, 3, 5).sum(dim=-1))


def test_large_logits_stay_finite(sequence_log_prob):
    """A token whose probability underflows in fp32 still has a log probability: -2000 here."""
    logits = torch.tensor([[[0.0, 2000.0], [1000.0, 1000.0]]])
    result = sequence_log_prob(logits, torch.tensor([[1, 0]]))
    assert_close(result, torch.tensor([-2000.0]))


def test_a_text_of_one_token_is_certain(sequence_log_prob):
    """Nothing is left to predict: log 1 = 0."""
    result = sequence_log_prob(make_logits(4, 1, 5), torch.tensor([[0], [1], [2], [3]]))
    assert_close(result, torch.zeros(4))


def make_counts():
    """New for every check: an answer that changes them spoils no other."""
    return {
        (): Counter({5: 4, 6: 3, 7: 1}),
        (5,): Counter({6: 3, 7: 1}),
        (5, 6): Counter({5: 2}),
    }


def context_name(context):
    return f"after {' '.join(map(str, context))}" if context else "empty context"


def test_add_k_worked_by_hand(ngram_probability):
    """After 5 came 6 three times and 7 once; with k = 1 and ten tokens: (3 + 1) / (4 + 10)."""
    counts = make_counts()
    assert ngram_probability(6, (5,), counts, vocab_size=10) == pytest.approx(4 / 14)
    assert ngram_probability(0, (5,), counts, vocab_size=10) == pytest.approx(1 / 14)
    assert ngram_probability(5, (5, 6), counts, vocab_size=10, k=0.5) == pytest.approx(2.5 / 7)
    assert ngram_probability(7, (), counts, vocab_size=10, k=2.0) == pytest.approx(3 / 28)


@pytest.mark.parametrize("k", [1.0, 0.01, 3.0], ids="k = {:g}".format)
@pytest.mark.parametrize("context", [(), (5,), (5, 6), (9, 9)], ids=context_name)
def test_the_probabilities_of_all_tokens_sum_to_one(ngram_probability, context, k):
    """k is given to each of the tokens, seen or not: the denominator has to know."""
    counts = make_counts()
    probabilities = [ngram_probability(t, context, counts, vocab_size=11, k=k) for t in range(11)]
    assert sum(probabilities) == pytest.approx(1)


def test_without_smoothing_it_is_plain_counting(ngram_probability):
    """k = 0: shares of the counts, and 1/V where a context was never seen (0 / 0)."""
    counts = make_counts()
    assert ngram_probability(6, (5,), counts, vocab_size=10, k=0.0) == pytest.approx(3 / 4)
    assert ngram_probability(9, (5,), counts, vocab_size=10, k=0.0) == 0
    assert ngram_probability(9, (8,), counts, vocab_size=10, k=0.0) == pytest.approx(1 / 10)


def test_after_an_unseen_context_every_token_is_as_likely(ngram_probability):
    """Add-k asks no shorter context: k / (k V) is 1/V, for frequent tokens and for unseen ones."""
    counts = make_counts()
    assert ngram_probability(9, (8,), counts, vocab_size=10) == pytest.approx(1 / 10)
    assert ngram_probability(5, (8, 5, 6), counts, vocab_size=10) == pytest.approx(1 / 10)


def test_counts_are_only_read(ngram_probability):
    """Asking for an unseen context must not make an entry; a list is a context too."""
    counts = make_counts()
    assert ngram_probability(6, [5], counts, vocab_size=10) == pytest.approx(4 / 14)
    ngram_probability(6, (8, 8), counts, vocab_size=10)
    assert counts == make_counts()


def make_continuations():
    """Of the empty context: how many different tokens stood before each; the rest are counts."""
    return {
        (): Counter({5: 2, 6: 1, 7: 1}),
        (5,): Counter({6: 3, 7: 1}),
        (6, 5): Counter({7: 1}),
    }


def test_kneser_ney_worked_by_hand(kneser_ney_probability):
    """Ten tokens, D = 3/4. p(7) = (1 - 3/4)/4 + (3/4 · 3/4)(1/10) = 0.11875. After 5, seen four
    times with two types: (1 - 3/4)/4 + (3/4 · 2/4) p(7) = 0.10703125.
    """
    counts = make_continuations()
    unigram = kneser_ney_probability(7, (), counts, vocab_size=10)
    assert unigram == pytest.approx(0.11875)
    bigram = kneser_ney_probability(7, (5,), counts, vocab_size=10)
    assert bigram == pytest.approx(0.10703125)
    trigram = kneser_ney_probability(7, (6, 5), counts, vocab_size=10)
    assert trigram == pytest.approx(0.25 + 0.75 * 0.10703125)


def test_another_discount_worked_by_hand(kneser_ney_probability):
    """`discount` is an argument. D = 1/2: p(7) = (1 - 1/2)/4 + (1/2 · 3/4)(1/10) = 0.1625, and
    after 5: (1 - 1/2)/4 + (1/2 · 2/4) p(7) = 0.165625.
    """
    counts = make_continuations()
    unigram = kneser_ney_probability(7, (), counts, vocab_size=10, discount=0.5)
    assert unigram == pytest.approx(0.1625)
    bigram = kneser_ney_probability(7, (5,), counts, vocab_size=10, discount=0.5)
    assert bigram == pytest.approx(0.165625)


@pytest.mark.parametrize("discount", [0.75, 0.3, 1.0], ids="D = {:g}".format)
@pytest.mark.parametrize("context", [(), (5,), (6, 5), (5, 6), (9, 5), (9, 9)], ids=context_name)
def test_what_is_taken_is_given_away_again(kneser_ney_probability, context, discount):
    """The sum over all tokens is one, for contexts seen, half seen and never seen; and no token is
    impossible.
    """
    counts, options = make_continuations(), {"vocab_size": 11, "discount": discount}
    shares = [kneser_ney_probability(t, context, counts, **options) for t in range(11)]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0


def test_an_unseen_context_asks_the_shorter_one(kneser_ney_probability):
    """(9, 5) was never seen: the answer is that of (5,), the *newest* token."""
    asked = kneser_ney_probability(6, (9, 5), make_continuations(), vocab_size=10)
    assert asked == pytest.approx(0.5625 + 0.375 * (0.0625 + 0.5625 * 0.1))


def test_a_large_discount_never_makes_a_negative_count(kneser_ney_probability):
    """Unseen tokens have count 0: max(0 - D, 0) is 0, not -D."""
    counts = {(): Counter({3: 2})}
    unseen = kneser_ney_probability(0, (), counts, vocab_size=4, discount=1.0)
    assert unseen == pytest.approx(1 / 2 * 1 / 4)


def test_nothing_counted_knows_nothing(kneser_ney_probability):
    """Down to 1/V, and the counts are only read."""
    counts = {}
    assert kneser_ney_probability(2, (1, 0), counts, vocab_size=8) == pytest.approx(1 / 8)
    assert counts == {}


TARGETS = torch.tensor([[0, 6, 3, -100, 2], [-100, 5, 4, 0, 6]])


def test_agrees_with_pytorch(cross_entropy):
    """The mean of -log p over the targets that count."""
    logits = make_logits(2, 5, 7)
    theirs = F.cross_entropy(logits.reshape(-1, 7), TARGETS.reshape(-1))
    assert_close(cross_entropy(logits, TARGETS), theirs)


@pytest.mark.parametrize("scale", [100.0, 10_000.0], ids="times {:g}".format)
def test_agrees_with_pytorch_at_large_logits(cross_entropy, scale):
    """The same mean. If it is right for small logits only: exp overflows, or a probability
    underflows to 0 and its logarithm is -inf.
    """
    logits = make_logits(2, 5, 7, scale=scale)
    theirs = F.cross_entropy(logits.reshape(-1, 7), TARGETS.reshape(-1))
    assert_close(cross_entropy(logits, TARGETS), theirs)


def test_each_row_has_its_own_maximum(cross_entropy):
    """Rows 1000 apart, each with equal scores: ln 2, though beside 1000 the exp of 0 vanishes."""
    logits = torch.tensor([[0.0, 0.0], [1000.0, 1000.0]])
    assert_close(cross_entropy(logits, torch.tensor([0, 1])), torch.tensor(math.log(2)))


def test_a_sure_model_at_large_logits_loses_little(cross_entropy):
    """10,000 against 9,999.5: the loss is log(1 + e^-0.5) = 0.4741. fp32 has a grain of 0.001 at
    10,000, so the difference has to be taken before the logarithm is added.
    """
    loss = cross_entropy(torch.tensor([[10_000.0, 9_999.5]]), torch.tensor([0]))
    assert_close(loss, torch.tensor(math.log1p(math.exp(-0.5))))


def test_the_mean_is_over_what_counts(cross_entropy):
    """One target of three is counted: its loss, undivided; ln 5 for equal scores."""
    targets = torch.tensor([-100, 3, -100])
    assert_close(cross_entropy(torch.zeros(3, 5), targets), torch.tensor(math.log(5)))


def test_every_target_that_counts_weighs_the_same(cross_entropy):
    """Three targets in one row, one in the other: a mean over four, not a mean of two means."""
    logits, targets = make_logits(2, 3, 5, seed=6), torch.tensor([[0, 4, 2], [-100, -100, 1]])
    theirs = F.cross_entropy(logits.reshape(-1, 5), targets.reshape(-1))
    assert_close(cross_entropy(logits, targets), theirs)


@pytest.mark.parametrize("ignore_index", [0, 4, -1])
def test_any_number_can_be_the_ignored_one(cross_entropy, ignore_index):
    """Also a token's id, as padding often is."""
    logits, targets = make_logits(6, 5, seed=4), torch.tensor([0, 4, 2, 1, 3, 2])
    targets = torch.where(targets == 3, ignore_index, targets)
    theirs = F.cross_entropy(logits, targets, ignore_index=ignore_index)
    assert_close(cross_entropy(logits, targets, ignore_index=ignore_index), theirs)


def test_a_batch_without_targets_changes_nothing(cross_entropy):
    """0, with zero gradients; a nan would spoil every parameter."""
    logits = make_logits(3, 5).requires_grad_()
    loss = cross_entropy(logits, torch.full((3,), -100))
    assert loss.item() == 0
    loss.backward()
    assert_close(logits.grad, torch.zeros(3, 5))


def test_gradient_is_probability_minus_target(cross_entropy):
    """softmax(x) - one-hot, divided by the number that counts; zero where ignored."""
    logits = make_logits(3, 4, seed=5, dtype=torch.float64).requires_grad_()
    cross_entropy(logits, torch.tensor([2, -100, 0])).backward()
    expected = torch.softmax(logits.detach(), dim=-1) - F.one_hot(torch.tensor([2, 0, 0]), 4)
    expected[1] = 0
    assert logits.grad is not None, "no gradient reached the logits"
    assert_close(logits.grad, expected / 2)


def test_four_tokens_of_probability_one_half(bits_per_byte):
    """One bit each: 4 bits for the 8 bytes of the text, however many tokens it was cut into."""
    assert bits_per_byte(torch.full((4,), math.log(0.5)), "abcdefgh") == pytest.approx(0.5)
    assert bits_per_byte(torch.full((8,), math.log(0.5)), "abcdefgh") == pytest.approx(1.0)


def test_a_russian_letter_is_two_bytes(bits_per_byte):
    """Bytes of UTF-8, not characters: лес has 6, an emoji 4."""
    assert bits_per_byte(torch.tensor([math.log(1 / 8)]), "лес") == pytest.approx(0.5)
    assert bits_per_byte(torch.tensor([math.log(1 / 4)] * 2), "🙂") == pytest.approx(1.0)


def test_how_the_text_was_cut_makes_no_difference(bits_per_byte):
    """One token of probability 1/64 or three of 1/4: the text is as probable."""
    whole = bits_per_byte(torch.tensor([1 / 64]).log(), "ring")
    assert type(whole) is float
    assert bits_per_byte(torch.tensor([[1 / 4] * 3]).log(), "ring") == pytest.approx(whole)


def test_a_nearly_impossible_token_has_a_price_too(bits_per_byte):
    """log p = -200: e^-200 is 0 in fp32, and log2(0) is -inf. No need for it: 200 / ln 2 bits."""
    assert bits_per_byte(torch.tensor([-200.0]), "ab") == pytest.approx(100 / math.log(2))


def test_an_empty_text_is_refused(bits_per_byte):
    with pytest.raises(ValueError):
        bits_per_byte(torch.tensor([-1.0]), "")


SENTINELS = Sentinels(prefix=1001, suffix=1002, middle=1003)


def parts_of(tokens: list[int]) -> tuple[list[int], list[int], list[int]]:
    """What stands after <PRE>, <SUF> and <MID>."""
    assert type(tokens) is list, "return a list"
    found = [token for token in tokens if token in SENTINELS]
    assert found == [1001, 1002, 1003], f"the sentinels come as {found}"
    assert tokens[0] == 1001, "something stands before <PRE>"
    suffix, middle = tokens.index(1002), tokens.index(1003)
    return tokens[1:suffix], tokens[suffix + 1 : middle], tokens[middle + 1 :]


def cuts_of(size: int, seed: int) -> list[int]:
    cuts = torch.randint(size + 1, (2,), generator=torch.Generator().manual_seed(seed))
    return sorted(cuts.tolist())


@pytest.mark.parametrize("seed", range(6))
def test_psm_has_prefix_then_suffix_then_middle(fill_in_the_middle, seed):
    """<PRE> prefix <SUF> suffix <MID> middle, cut where one draw of two numbers, sorted, says."""
    document, (start, end) = list(range(10, 21)), cuts_of(11, seed)
    generator = torch.Generator().manual_seed(seed)
    tokens = fill_in_the_middle(document, generator, mode="psm", sentinels=SENTINELS)
    assert parts_of(tokens) == (document[:start], document[end:], document[start:end])


@pytest.mark.parametrize("seed", range(6))
def test_spm_has_suffix_first_and_nothing_after_pre(fill_in_the_middle, seed):
    """<PRE> <SUF> suffix <MID> prefix middle: the gap is reached by reading on."""
    document, (_, end) = list(range(10, 21)), cuts_of(11, seed)
    generator = torch.Generator().manual_seed(seed)
    tokens = fill_in_the_middle(document, generator, mode="spm", sentinels=SENTINELS)
    assert parts_of(tokens) == ([], document[end:], document[:end])


@pytest.mark.parametrize("seed", range(4))
def test_a_text_is_cut_between_letters_and_then_encoded(fill_in_the_middle, seed):
    """Eleven letters are twelve places to cut, though they are 21 bytes: first cut, then encode
    each part. Otherwise no gap begins inside a token.
    """
    document, (start, end) = "Белка рыжая", cuts_of(11, seed)
    generator = torch.Generator().manual_seed(seed)
    options = {"mode": "psm", "sentinels": SENTINELS, "encode": lambda text: list(text.encode())}
    parts = parts_of(fill_in_the_middle(document, generator, **options))
    expected = document[:start], document[end:], document[start:end]
    assert [bytes(part).decode(errors="replace") for part in parts] == list(expected)


@pytest.mark.parametrize("mode", ["psm", "spm"])
def test_every_text_can_be_put_together_again(fill_in_the_middle, mode):
    """Not a letter is lost or doubled, whatever the cuts; each part is encoded for itself."""
    for seed, document in enumerate(["Белка 🙂 ring", "a", "", "aaaa", "The owl flew.\n"] * 4):
        tokens = fill_in_the_middle(
            document,
            torch.Generator().manual_seed(seed),
            mode=mode,
            sentinels=SENTINELS,
            encode=lambda text: list(text.encode()),
        )
        prefix, suffix, middle = parts_of(tokens)
        assert bytes([*prefix, *middle, *suffix]).decode() == document


def test_every_pair_of_cuts_occurs_and_the_ends_too(fill_in_the_middle):
    """Three tokens have four places to cut: all ten (start, end) come up in 400 draws."""
    generator, seen = torch.Generator().manual_seed(0), set()
    for _ in range(400):
        tokens = fill_in_the_middle([10, 11, 12], generator, mode="psm", sentinels=SENTINELS)
        prefix, _, middle = parts_of(tokens)
        seen.add((len(prefix), len(prefix) + len(middle)))
    assert len(seen) == 10


def test_the_document_is_unchanged_and_other_orders_are_refused(fill_in_the_middle):
    document = [5, 6, 7]
    generator = torch.Generator().manual_seed(0)
    fill_in_the_middle(document, generator, mode="psm", sentinels=SENTINELS)
    assert document == [5, 6, 7]
    with pytest.raises(ValueError):
        fill_in_the_middle(document, generator, mode="mps", sentinels=SENTINELS)
