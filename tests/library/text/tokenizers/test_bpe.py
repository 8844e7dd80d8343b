"""The plain algorithm against worked examples and two trainers; the fast forms against it."""

from collections import Counter

import regex
import rustbpe
import tokenizers as hf
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers.bpe import count_pairs, encode_bpe, merge_pair, train_bpe
from course_lib.text.tokenizers.bpe_fast import merge_word, train_bpe_fast
from course_lib.text.tokenizers.bpe_linear import LinearEncoder

TEXT = (
    "Жили-были старик со старухой у самого синего моря. The cat sat on the mat; the rat ate it. "
    "aaaa aaaaaaa aaaaa aaa bananaaaa bananas 1000000 100 🙂🙂🙂 e\u0301e\u0301 \n\n   \t x  y"
)
WORDS = st.dictionaries(
    st.lists(st.integers(0, 2), max_size=9).map(tuple), st.integers(1, 5), max_size=9
)


def byte_words(text: str, pattern: str) -> Counter[tuple[int, ...]]:
    return Counter(tuple(word.encode()) for word in regex.findall(pattern, text))


def spell(merges: list[tuple[int, int]]) -> list[bytes]:
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def test_pairs_are_counted_at_every_position_and_by_how_often_the_word_occurs():
    assert count_pairs({(7, 7, 7): 5, (7, 8): 2, (9,): 4}) == {(7, 7): 10, (7, 8): 2}
    assert count_pairs({}) == {}


def test_pairs_do_not_cross_from_word_to_word():
    assert (2, 3) not in count_pairs({(1, 2): 1, (3, 4): 1})


def test_a_pair_is_merged_from_the_left_without_overlap():
    assert merge_pair([1, 1, 1], (1, 1), 9) == (9, 1)
    assert merge_pair((5, 1, 2, 1, 2, 1), (1, 2), 9) == (5, 9, 9, 1)
    assert merge_pair([], (1, 2), 9) == ()
    ids = [1, 2, 3]
    merge_pair(ids, (2, 3), 9)
    assert ids == [1, 2, 3]


def test_training_follows_the_example_of_the_paper():
    # Sennrich et al. 2016, algorithm 1, "." for the end mark. es, st and t. occur 9 times each;
    # after es, of (es, t) and (t, .) the smaller pair is the latter. Then lo and low with 7.
    counts = {"low.": 5, "lower.": 2, "newest.": 6, "widest.": 3}
    merges = train_bpe({tuple(word.encode()): n for word, n in counts.items()}, 5)
    assert spell(merges)[256:] == [b"es", b"t.", b"est.", b"lo", b"low"]


def test_equally_frequent_pairs_are_merged_smaller_first():
    assert train_bpe({(3, 1): 2, (1, 3): 2, (2, 9): 2}, 2) == [(1, 3), (2, 9)]


def test_training_stops_when_every_word_is_one_token():
    assert train_bpe({(1, 2): 1, (3,): 8}, 50) == [(1, 2)]
    assert train_bpe({}, 5) == train_bpe_fast({}, 5) == []


def test_rustbpe_learns_the_same_merges():
    pattern = r" ?\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+|\s+"
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator([TEXT], 256 + 90, pattern=pattern)
    words = byte_words(TEXT, pattern)
    assert spell(train_bpe(words, 90)) == [token for token, _ in theirs.get_mergeable_ranks()]


@given(st.text("ab", min_size=1, max_size=60))
def test_rustbpe_breaks_ties_and_counts_repeats_as_we_do(text: str):
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator([text], 256 + 12, pattern="[ab]{1,15}")
    ours = spell(train_bpe(byte_words(text, "[ab]{1,15}"), 12))
    # rustbpe's ranks are a dictionary: a token that two merges make stands there once.
    assert {t: i for i, t in enumerate(ours)} == dict(theirs.get_mergeable_ranks())


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=9))
def test_hugging_face_learns_the_same_merges(words: list[str]):
    theirs = hf.Tokenizer(hf.models.BPE())
    theirs.pre_tokenizer = hf.pre_tokenizers.Whitespace()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=15, show_progress=False, initial_alphabet=["a", "b", "c"]
    )
    theirs.train_from_iterator([" ".join(words)], trainer)
    ours = train_bpe(Counter(tuple(word.encode()) for word in words), 12)
    spelled = [token.decode() for token in spell(ours)[256:]]
    if len(set(spelled)) == len(spelled):  # a token made twice has one id there
        by_id = sorted(theirs.get_vocab().items(), key=lambda item: item[1])
        assert spelled == [token for token, _ in by_id][3:]


@given(WORDS, st.integers(0, 20))
def test_fast_training_is_plain_training(words: dict, num_merges: int):
    assert train_bpe_fast(words, num_merges) == train_bpe(words, num_merges)


def test_fast_training_is_plain_training_on_text():
    words = byte_words(TEXT * 2, r"\S+|\s+")
    assert train_bpe_fast(words, 200) == train_bpe(words, 200)


def test_encoding_goes_by_rank_and_not_by_length():
    # "abc": ab was learned first, so bcd, the longest token, is never reached in abcd.
    ids = encode_bpe("abcd", [(97, 98), (99, 100), (98, 99), (258, 100)])
    assert ids == [256, 257]
    assert encode_bpe("", [(97, 98)]) == []
    assert encode_bpe([97, 98, 97], [(97, 98)]) == [256, 97]


@given(WORDS, st.lists(st.integers(0, 2), max_size=40))
def test_heap_and_linear_encoding_are_plain_encoding(words: dict, ids: list[int]):
    merges = train_bpe(words, 25, first_id=3)
    plain = encode_bpe(ids, merges, first_id=3)
    assert_all_forms_agree(merges, ids, plain)


@given(st.data(), st.lists(st.integers(0, 1), max_size=30))
def test_encoding_forms_agree_on_merges_that_no_training_made(data, ids: list[int]):
    merges: list[tuple[int, int]] = []
    for i in range(data.draw(st.integers(0, 12))):
        pair = data.draw(st.tuples(st.integers(0, i + 1), st.integers(0, i + 1)))
        if pair not in merges:
            merges.append(pair)
    merges = [pair for i, pair in enumerate(merges) if max(pair) < i + 2]
    merges = merges if all(max(p) < i + 2 for i, p in enumerate(merges)) else []
    assert_all_forms_agree(merges, ids, encode_bpe(ids, merges, first_id=2), first_id=2)


def assert_all_forms_agree(merges, ids, plain, first_id: int = 3):
    ranks = {pair: (i, first_id + i) for i, pair in enumerate(merges)}
    by_heap = merge_word(ids, ranks)
    assert [token for token, _ in by_heap] == plain
    assert sum(length for _, length in by_heap) == len(ids)
    names = ["a", "b", "c"][:first_id]
    for left, right in merges:
        names.append(names[left] + names[right])
    if len(set(names)) == len(names):
        vocab = {name: i for i, name in enumerate(names)}
        linear = LinearEncoder.of(vocab, [(names[a], names[b]) for a, b in merges])
        assert linear("".join(names[i] for i in ids)) == plain


def test_linear_encoding_refuses_merges_out_of_order_and_unknown_letters():
    vocab = {"a": 0, "b": 1, "ab": 2, "aba": 3}
    assert LinearEncoder.of(vocab, [("ab", "a"), ("a", "b")]) is None
    encode = LinearEncoder.of(vocab, [("a", "b"), ("ab", "a")])
    assert encode("abaab") == [3, 2]
    assert encode("abxab") is None
    assert encode("") == []


def test_linear_encoding_goes_back_where_the_longest_token_leads_nowhere():
    # Of aab, aa is longest; but ab was learned first, so aa|b is no BPE.
    vocab = {"a": 0, "b": 1, "ab": 2, "aa": 3, "aaab": 4}
    encode = LinearEncoder.of(vocab, [("a", "b"), ("a", "a"), ("aa", "ab")])
    assert encode("aab") == [0, 2]
    assert encode("aaab") == [4]
    assert encode("aaaab") == [3, 0, 2]
