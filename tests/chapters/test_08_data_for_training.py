"""Checks of chapter 08: rules, exact and near duplicates, educational value, DoReMi's step.

Oracles: pages that break one rule by construction, worked by hand, integers of Python, brute force.
"""

import itertools
import math
from collections import Counter

import numpy
import pytest
import torch
from torch.testing import assert_close

from course_lib.text.duplicates import PRIME, hash_coefficients, stable_hash

HASH_A, HASH_B = 636_155_916, 776_998_164
PROSE = (
    "One morning a shy fox named Anya was walking in the forest with a red ball. "
    "The wind carried the ball into a deep pond. Anya could not swim and called a kind otter. "
    "The otter dived in, and soon the red ball was back. The fox gave the kind otter a cookie."
)
WORDS_19 = "The fox and the owl went to the old tree, and there they sat until the red sun had."
BROKEN = {
    "too short": WORDS_19.rsplit(" ", 1)[0] + " set.",
    "few stop words": "Cheap boots buy boots online, best boots price for sale here. " * 2
    + "Umbrellas cost little in this shop. Order now, pay later!",
    "symbols": "The fox = 1 & the owl = 2 ; with 3 - 4 they went to the wood. "
    "There they sat and sang of the moon until it was late.",
    "no sentences": "Home and about the zoo\nNews of the day and of the week\nPlaces to see with "
    "children\nThe end of the list\nThat is all there is to read here.",
    "repetition": "The fox ran to the hill. " * 4
    + "The owl sat in the tree and slept. It was late. That was all.",
    "boilerplate": f"This site uses cookies to improve the experience. {PROSE}",
    "markup": f"<p class='t3'>{PROSE}</p>.",
}
RUSSIAN = (
    "Однажды утром лиса гуляла в лесу с мячом и пела. Ветер унёс мяч в пруд, и лиса не могла "
    "его достать. Она позвала выдру, и скоро мяч был на берегу."
)
ENDS = {"stop": ".", "exclamation": "!", "question": "?", "ellipsis": "…", "quote": '"'}
ENDS["guillemet"] = "»"
MARKUP = ("<br>", "<IMG src='a.png'/>", "</div>", "<a\nhref='b'>", "{", "}")


def expect(quality_rules, page, *rules, language="en"):
    """The page breaks these rules; a failure shows the page."""
    assert quality_rules(page, language=language) == list(rules), f"the page: {page!r}"


def test_good_prose_breaks_no_rule(quality_rules):
    """Also when it tells of a cookie, and of sums: a < b."""
    expect(quality_rules, PROSE)
    expect(quality_rules, f"{PROSE} She knew that 3 < 4, and that b > a.")


@pytest.mark.parametrize("rule", BROKEN)
def test_a_page_that_breaks_one_rule(quality_rules, rule):
    """This page breaks exactly the rule that it is named after."""
    expect(quality_rules, BROKEN[rule], rule)


def test_all_broken_rules_are_named_in_the_order_of_the_table(quality_rules):
    """A menu breaks four at once; the first must not hide the others."""
    menu = "Home | News | Shop"
    expect(quality_rules, menu, "too short", "few stop words", "symbols", "no sentences")
    expect(quality_rules, "{} " * 20, "few stop words", "symbols", "no sentences", "markup")


def test_thresholds_are_still_allowed(quality_rules):
    """20 words are enough; 20 % without letters, half of the lines, 30 % repeated are allowed."""
    expect(quality_rules, WORDS_19 + " set.")
    symbols = " ".join(["the fox and an owl sat here with joy"] + ["7"] * 2) + ". "
    expect(quality_rules, symbols * 2, "repetition")
    fifth = "The fox and the owl of the wood sat down to eat with joy that day : + - ."
    assert len(fifth.split()) == 20
    expect(quality_rules, fifth)
    lines = "The fox and the owl sat with joy\nand then they went to the old hill.\n" * 2
    expect(quality_rules, lines.replace("went", "ran", 1))
    parts = [f"The fox saw {number} birds and a cat." for number in ["two", "six", "ten"]]
    repeated = " ".join(["The owl slept."] * 4 + parts + ["It ran.", "It sat.", "It ate."])
    expect(quality_rules, repeated)


def test_stop_words_are_different_words_whatever_their_capitals(quality_rules):
    """`The` and `(and)` are two of them; `the the the` is one; `other` holds none."""
    filler = " fox owl cat" * 8
    expect(quality_rules, f"the fox and{filler}.")
    expect(quality_rules, f"The (and){filler}.")
    expect(quality_rules, f"the the the{filler}.", "few stop words")
    expect(quality_rules, f"other hand thebes{filler}.", "few stop words")


@pytest.mark.parametrize("sign", ENDS.values(), ids=ENDS)
def test_a_sentence_may_end_in_any_of_six_signs(quality_rules, sign):
    """White space behind the sign does not matter."""
    lines = ("The fox and the owl sat down with joy and sang", "Then they went to the old hill")
    expect(quality_rules, "".join(f"{line} of the moon{sign} \n" for line in lines))


def test_repeats_are_found_in_other_capitals_and_spacing(quality_rules):
    """`It  RAN` is `it ran` again; `…` and a line break end a sentence, too."""
    expect(quality_rules, f"{PROSE} It ran! it  RAN. IT RAN?\nIt ran.", "repetition")
    expect(quality_rules, f"{PROSE} It ran… it  RAN\nIT RAN… It ran.", "repetition")


def test_repeats_need_not_be_neighbours(quality_rules):
    """Two sentences in turn: of eight, six stood before."""
    page = "The fox ran to the hill. The owl sang with the bear. " * 4
    expect(quality_rules, page, "repetition")


def test_boilerplate_is_found_across_a_line_break(quality_rules):
    """Phrases are looked for in lower case, white space being one blank."""
    expect(quality_rules, f"We USE\n  cookies on this site.\n{PROSE}", "boilerplate")


def test_a_russian_page_has_the_stop_words_of_its_language(quality_rules):
    expect(quality_rules, RUSSIAN, language="ru")
    expect(quality_rules, RUSSIAN, "few stop words")


def test_a_russian_page_has_the_phrases_of_its_language(quality_rules):
    """Файлы cookie are cookies; `cookie policy` is a phrase of English pages."""
    expect(quality_rules, f"Файлы  COOKIE нужны. {RUSSIAN}", "boilerplate", language="ru")
    expect(quality_rules, f"Cookie policy. {RUSSIAN}", language="ru")


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_is_found_anywhere_in_a_page(quality_rules, markup):
    """A tag that opens or closes, in either case, over two lines; either curly bracket."""
    expect(quality_rules, PROSE.replace("deep pond", f"deep {markup} pond"), "markup")


def test_an_empty_page_breaks_what_counts_and_not_what_shares(quality_rules):
    expect(quality_rules, "", "too short", "few stop words")
    expect(quality_rules, " \n ", "too short", "few stop words")


def test_the_first_of_equal_pages_stays(remove_exact_duplicates):
    """Numbers, in order; a copy may stand far from its original."""
    assert remove_exact_duplicates(["b", "a", "b", "c", "a", "b"]) == [0, 1, 3]


def test_capitals_and_white_space_make_no_difference(remove_exact_duplicates):
    pages = ["The fox\nran. ", "the  FOX ran.", "the fox ran", "\tthe fox ran.", "thefox ran."]
    assert remove_exact_duplicates(pages) == [0, 2, 4]


def test_other_words_or_another_order_are_another_page(remove_exact_duplicates):
    """Also where the pages begin alike for 500 words; an empty page is a page like others."""
    assert remove_exact_duplicates(["the fox ran", "ran the fox", "the fox ran ran"]) == [0, 1, 2]
    long = "the fox ran " * 500
    assert remove_exact_duplicates([f"{long}off", f"{long}home"]) == [0, 1]
    assert remove_exact_duplicates(["", "a", " \n", "a"]) == [0, 1]


def test_pages_of_one_stable_hash_are_two_pages(remove_exact_duplicates):
    """`stable_hash` has 32 bits, and these two pages have the same."""
    pages = ["page 60545", "page 108263"]
    assert stable_hash(pages[0]) == stable_hash(pages[1])
    assert remove_exact_duplicates(pages) == [0, 1]


def test_any_iterable_of_pages_will_do(remove_exact_duplicates):
    """A crawl does not fit into memory: it is read once."""
    assert remove_exact_duplicates(page for page in ("x", "y", "x")) == [0, 1]
    assert remove_exact_duplicates([]) == []


def test_many_pages_with_planted_copies(remove_exact_duplicates):
    """1,000 pages; every third is a copy of the page 3 · k / 2 before: brute force agrees."""
    numbers = [number // 2 if number % 3 == 0 else number for number in range(1000)]
    expected = [i for i, number in enumerate(numbers) if number not in numbers[:i]]
    assert remove_exact_duplicates([f"page {number}" for number in numbers]) == expected


def exact_signature(shingles, multipliers, offsets):
    """The formula in Python's unbounded integers."""
    pairs = zip(multipliers.tolist(), offsets.tolist(), strict=True)
    return [min((a * stable_hash(x) + b) % PRIME for x in shingles) for a, b in pairs]


def signature_of(minhash_signature, shingles, multipliers, offsets):
    given = multipliers.copy(), offsets.copy()
    result = minhash_signature(shingles, multipliers=multipliers, offsets=offsets)
    unchanged = numpy.array_equal((multipliers, offsets), given)
    assert unchanged, "multipliers and offsets must stay unchanged"
    assert isinstance(result, numpy.ndarray), f"a numpy array, not {type(result).__name__}"
    assert result.dtype == numpy.uint64
    assert result.shape == multipliers.shape
    return result


def test_two_shingles_and_three_functions_worked_by_hand(minhash_signature):
    """stable_hash("a") = 636,155,916 and stable_hash("b") = 776,998,164; x, 2x + 5, -x."""
    assert [stable_hash("a"), stable_hash("b")] == [HASH_A, HASH_B]
    multipliers = numpy.array([1, 2, PRIME - 1], dtype=numpy.uint64)
    offsets = numpy.array([0, 5, 0], dtype=numpy.uint64)
    result = signature_of(minhash_signature, {"a", "b"}, multipliers, offsets)
    expected = [
        min(HASH_A, HASH_B),
        min((2 * HASH_A + 5) % PRIME, (2 * HASH_B + 5) % PRIME),
        PRIME - max(HASH_A, HASH_B),
    ]
    assert result.tolist() == expected


def test_large_coefficients_do_not_overflow(minhash_signature):
    """Exactly the integers of Python, up to multipliers of 4,294,967,290."""
    multipliers, offsets = hash_coefficients(50, seed=3)
    multipliers[:2] = PRIME - 1
    offsets[:2] = PRIME - 1, 0
    words = {f"shingle {number}" for number in range(40)}
    result = signature_of(minhash_signature, words, multipliers, offsets)
    assert result.tolist() == exact_signature(words, multipliers, offsets)


def test_neither_order_nor_repetition_matters(minhash_signature):
    """A set has no order; a list of the same shingles gives the same signature."""
    multipliers, offsets = hash_coefficients(31, seed=5)
    words = ["the fox ran", "fox ran off", "ran off and"]
    signatures = [
        signature_of(minhash_signature, order, multipliers, offsets).tolist()
        for order in (words, words[::-1], [*words, *words[:2]], set(words))
    ]
    assert signatures == [exact_signature(words, multipliers, offsets)] * 4


@pytest.mark.parametrize("common", [20, 120, 180], ids="{} of 200 in common".format)
def test_the_share_of_equal_entries_estimates_jaccard(minhash_signature, common):
    """512 functions; |estimate - J| stays within four standard deviations of the estimate."""
    multipliers, offsets = hash_coefficients(512, seed=11)
    first = {f"word {number}" for number in range(200)}
    second = {f"word {number}" for number in range(200 - common, 400 - common)}
    pair = [signature_of(minhash_signature, each, multipliers, offsets) for each in (first, second)]
    similarity = common / (400 - common)
    allowed = 4 * math.sqrt(similarity * (1 - similarity) / 512)
    assert (pair[0] == pair[1]).mean() == pytest.approx(similarity, abs=allowed)


def test_a_set_without_shingles_is_above_every_hash(minhash_signature):
    """It agrees with no page that has some: every entry is PRIME, which no hash reaches."""
    multipliers, offsets = hash_coefficients(7)
    assert signature_of(minhash_signature, set(), multipliers, offsets).tolist() == [PRIME] * 7


def make_signatures(*rows):
    return numpy.array(rows, dtype=numpy.uint64)


def test_four_documents_and_two_bands_worked_by_hand(near_duplicates):
    """0 and 1 share the second band and 3 of 4 entries, 0 and 3 a band and just half."""
    signatures = make_signatures([1, 2, 3, 4], [9, 2, 3, 4], [7, 7, 7, 7], [1, 2, 8, 8])
    assert near_duplicates(signatures, num_bands=2, threshold=0.7) == [(0, 1)]
    assert near_duplicates(signatures, num_bands=2, threshold=0.5) == [(0, 1), (0, 3)]
    assert near_duplicates(signatures, num_bands=2, threshold=0.75) == [(0, 1)]


def test_similar_pairs_that_share_no_band_are_not_found(near_duplicates):
    """Half of the entries agree, one in each band: never compared. With more bands they meet."""
    signatures = make_signatures([1, 2, 3, 4], [1, 9, 3, 9])
    assert near_duplicates(signatures, num_bands=2, threshold=0.5) == []
    assert near_duplicates(signatures, num_bands=4, threshold=0.5) == [(0, 1)]
    assert near_duplicates(signatures, num_bands=1, threshold=0.1) == []


def test_the_same_numbers_in_another_band_are_no_match(near_duplicates):
    """The entries of different bands come from different hash functions."""
    signatures = make_signatures([5, 6, 7, 8, 0, 1], [7, 8, 5, 6, 0, 1], [0, 1, 2, 3, 5, 6])
    assert near_duplicates(signatures, num_bands=3, threshold=0.0) == [(0, 1)]


def test_a_shared_band_is_not_enough(near_duplicates):
    """Documents that only share one band of five agree in a fifth of the entries; the same numbers
    in other places do not count.
    """
    signatures = make_signatures([1, 2, 3, 4, 5], [1, 7, 7, 7, 7], [1, 2, 3, 4, 6])
    assert near_duplicates(signatures, num_bands=5) == [(0, 2)]
    signatures = make_signatures([1, 2, 3, 4, 5], [1, 3, 2, 5, 4], [1, 7, 7, 7, 7])
    assert near_duplicates(signatures, num_bands=5) == []


def test_three_of_a_kind_are_three_pairs_each_once(near_duplicates):
    """Pairs are (i, j) with i < j, in order, however many bands they share."""
    signatures = make_signatures([8, 8, 8], [1, 2, 3], [1, 2, 3], [8, 8, 8], [1, 2, 3])
    assert near_duplicates(signatures, num_bands=3) == [(0, 3), (1, 2), (1, 4), (2, 4)]
    assert near_duplicates(signatures[:1], num_bands=3) == []


def test_agrees_with_brute_force_on_sixty_documents(near_duplicates):
    """Random signatures of few values, 12 entries: every pair compared in every band."""
    generator = numpy.random.default_rng(2)
    signatures = generator.integers(0, 3, (60, 12)).astype(numpy.uint64)
    original = signatures.copy()
    expected = []
    for i, j in itertools.combinations(range(60), 2):
        equal = signatures[i] == signatures[j]
        if equal.reshape(4, 3).all(axis=1).any() and equal.sum() >= 6:
            expected.append((i, j))
    assert 20 < len(expected) < 300
    assert near_duplicates(signatures, num_bands=4, threshold=0.5) == expected
    assert (signatures == original).all()


def test_bands_must_divide_the_signature(near_duplicates):
    with pytest.raises(ValueError, match="num_bands"):
        near_duplicates(make_signatures([1, 2, 3, 4]), num_bands=3)


def value_by_hand(features, weights, bias):
    """sigmoid(w · x / |x| + bias), the counts added up in Python."""
    buckets = Counter()
    for feature, count in features.items():
        buckets[stable_hash(feature) % len(weights)] += count
    length = math.sqrt(sum(count**2 for count in buckets.values()))
    score = sum(weights[bucket] * count for bucket, count in buckets.items()) / length + bias
    return 1 / (1 + math.exp(-score))


def make_weights(num_buckets, seed=0):
    return numpy.random.default_rng(seed).normal(size=num_buckets)


SUM = ("3 + 4 = 7.", {"0": 3, "+": 1, "=": 1, ".": 1, "0 +": 1, "+ 0": 1, "0 =": 1, "= 0": 1})
SUM[1]["0 ."] = 1
OWL = ("The owl saw the owl", {"the": 2, "owl": 2, "saw": 1, "the owl": 2, "owl saw": 1})
OWL[1]["saw the"] = 1
RUSSIAN_OWL = ("Сова! Сова", {"сова": 2, "!": 1, "сова !": 1, "! сова": 1})


@pytest.mark.parametrize("page", [SUM, OWL, RUSSIAN_OWL], ids=["a sum", "the owl", "a Russian owl"])
@pytest.mark.parametrize("num_buckets", [1009, 5], ids="{} buckets".format)
def test_words_and_pairs_counted_by_hand(educational_value, page, num_buckets):
    """In 5 buckets most features share one: their counts are added."""
    weights = make_weights(num_buckets)
    expected = value_by_hand(page[1], weights, 0.3)
    assert educational_value(page[0], weights, bias=0.3) == pytest.approx(expected, abs=1e-6)


def test_twice_the_page_is_worth_as_much(educational_value):
    """Length does not count: the vector has norm 1. One weight of 2: sigmoid(2) for any page."""
    weights = numpy.array([2.0])
    expected = 1 / (1 + math.exp(-2))
    assert educational_value("owl", weights) == pytest.approx(expected)
    assert educational_value("The owl saw the owl. " * 20, weights) == pytest.approx(expected)


def test_an_empty_page_scores_as_the_bias(educational_value):
    weights = make_weights(11)
    assert educational_value("", weights, bias=1.0) == pytest.approx(1 / (1 + math.exp(-1)))
    assert educational_value("  \n", weights) == pytest.approx(0.5)


def test_extreme_scores_stay_between_zero_and_one(educational_value):
    """exp(1000) overflows; a sigmoid need not."""
    weights = numpy.array([1000.0])
    with numpy.errstate(over="raise"):
        assert educational_value("owl", weights) == pytest.approx(1.0)
        assert educational_value("owl", -weights) == pytest.approx(0.0)
    assert isinstance(educational_value("owl", weights), float)


def test_three_domains_worked_by_hand(doremi_step):
    """Means of the clipped excess: ln 2, 0 and 0. α' = (1/2 · 2, 1/4, 1/4), normalised
    (2/3, 1/6, 1/6); a tenth of 1/3 each is mixed in: (0.6 + 1/30, 0.15 + 1/30, the same).
    """
    weights = torch.tensor([0.5, 0.25, 0.25])
    excess = torch.tensor([1.5 * math.log(2), -3.0, -1.0, 0.0, 1.5 * math.log(2)])
    domains = torch.tensor([0, 1, 0, 2, 0])
    result = doremi_step(weights, excess, domains=domains, step_size=1.0, smoothing=0.1)
    assert_close(result, torch.tensor([0.6 + 1 / 30, 0.15 + 1 / 30, 0.15 + 1 / 30]))


def test_each_token_is_clipped_before_the_mean(doremi_step):
    """Excess 4, 2 and -3 in one domain: the mean of 4, 2 and 0 is 2; the clipped mean would be 1,
    the mean of the positive ones 3.
    """
    weights = torch.tensor([0.5, 0.5])
    excess = torch.tensor([4.0, -3.0, -1.0, 2.0])
    domains = torch.tensor([0, 0, 1, 0])
    result = doremi_step(weights, excess, domains=domains, smoothing=0.0)
    raised = math.exp(2) / (math.exp(2) + 1)
    assert_close(result, torch.tensor([raised, 1 - raised]))


def test_a_domain_where_the_proxy_is_ahead_is_not_pushed_down(doremi_step):
    """Negative excess counts as 0: with nothing above 0 the weights only drift to uniform."""
    weights = torch.tensor([0.7, 0.2, 0.1])
    excess = torch.tensor([-5.0, -0.5, 0.0, -2.0])
    result = doremi_step(weights, excess, domains=torch.tensor([0, 1, 2, 1]), smoothing=0.3)
    assert_close(result, 0.7 * weights + 0.1)


def test_a_domain_counts_by_its_mean_and_not_by_its_tokens(doremi_step):
    """Five tokens of excess 1 and one of excess 1 are raised alike."""
    excess = torch.ones(6)
    domains = torch.tensor([0, 0, 0, 0, 0, 1])
    result = doremi_step(torch.tensor([0.4, 0.6]), excess, domains=domains, smoothing=0.0)
    assert_close(result, torch.tensor([0.4, 0.6]))


def test_a_domain_that_is_not_in_the_batch_has_no_excess(doremi_step):
    """No 0 / 0: its weight is carried along, here 1/4 beside 1/4 · e and 1/2 · e²."""
    weights = torch.tensor([0.25, 0.25, 0.5])
    excess = torch.tensor([2.0, 1.0])
    result = doremi_step(weights, excess, domains=torch.tensor([2, 0]), smoothing=0.0)
    raised = torch.tensor([0.25 * math.e, 0.25, 0.5 * math.e**2])
    assert_close(result, raised / raised.sum())
    result = doremi_step(weights, excess, domains=torch.tensor([1, 0]), smoothing=0.0)
    raised = torch.tensor([0.25 * math.e, 0.25 * math.e**2, 0.5])
    assert_close(result, raised / raised.sum())


def test_the_defaults_are_the_papers(doremi_step):
    """η = 1 and c = 0.001."""
    weights = torch.tensor([0.5, 0.5])
    result = doremi_step(weights, torch.tensor([1.0, 0.0]), domains=torch.tensor([0, 1]))
    raised = math.e / (math.e + 1)
    expected = 0.999 * torch.tensor([raised, 1 - raised]) + 0.0005
    assert_close(result, expected, atol=1e-6, rtol=0)


def test_a_thousand_steps_stay_on_the_simplex_and_above_zero(doremi_step):
    """Domain 0 is always ahead; the others keep at least c / k, so they can come back."""
    weights = torch.full((4,), 0.25)
    excess, domains = torch.tensor([1.5, 0.1, 0.0, 0.2]), torch.arange(4)
    for _ in range(1000):
        weights = doremi_step(weights, excess, domains=domains, smoothing=0.02)
    assert_close(weights.sum(), torch.tensor(1.0))
    assert (weights >= 0.02 / 4 - 1e-6).all()
    assert weights[0] > 0.9


def test_a_huge_excess_gives_no_infinity(doremi_step):
    """exp(500) overflows; exp of differences does not."""
    weights, excess = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([500.0, 499.0, 0.0])
    result = doremi_step(weights, excess, domains=torch.arange(3), smoothing=0.0)
    raised = torch.tensor([0.5 * math.e, 0.3, 0.0])
    assert_close(result, raised / raised.sum())


def test_the_arguments_stay_as_they_are(doremi_step):
    weights, excess = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([1.0, -2.0, 0.0])
    given = weights.clone(), excess.clone()
    doremi_step(weights, excess, domains=torch.arange(3))
    assert torch.equal(weights, given[0]), "the weights have changed"
    assert torch.equal(excess, given[1]), "the excess losses have changed"


def test_no_gradient_flows_to_the_excess(doremi_step):
    """The proxy learns from the weighted loss, not by moving the weights."""
    excess = torch.tensor([1.0, 0.5], requires_grad=True)
    result = doremi_step(torch.tensor([0.5, 0.5]), excess, domains=torch.tensor([0, 1]))
    assert not result.requires_grad, "detach the excess, or compute under torch.no_grad()"


def test_the_step_size_scales_the_excess(doremi_step):
    excess, domains = torch.tensor([1.0, 0.0]), torch.tensor([0, 1])
    weights = torch.tensor([0.5, 0.5])
    result = doremi_step(weights, excess, domains=domains, step_size=0.2, smoothing=0.0)
    raised = math.exp(0.2) / (math.exp(0.2) + 1)
    assert_close(result, torch.tensor([raised, 1 - raised]))
