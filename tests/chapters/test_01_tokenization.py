"""Checks of chapter 01: BPE, byte fallback, Unigram and WordPiece.

Oracles: worked by hand, Python's str.replace, `tiktoken`, Hugging Face's `tokenizers`, brute force.
"""

import copy
import itertools
import math
import random

import pytest


def test_one_pair_worked_by_hand(merge_pair):
    """5 6 becomes 256, wherever it stands; everything else stays in its place."""
    assert merge_pair((5, 6, 7, 5, 6), (5, 6), 256) == (256, 7, 256)
    assert merge_pair((5, 6), (5, 6), 256) == (256,)
    assert merge_pair((6, 5, 7), (5, 6), 256) == (6, 5, 7)


def test_a_token_is_merged_only_once(merge_pair):
    """In 1 1 1 the middle 1 can belong to one pair only: left to right, the first."""
    assert merge_pair((1, 1, 1), (1, 1), 9) == (9, 1)
    assert merge_pair((1, 1, 1, 1), (1, 1), 9) == (9, 9)
    assert merge_pair((1, 1, 1, 2), (1, 2), 9) == (1, 1, 9)


def test_nothing_to_merge_leaves_the_ids_alone(merge_pair):
    """Short words are common: the empty one and the single byte must pass."""
    assert merge_pair((), (1, 2), 9) == ()
    assert merge_pair((1,), (1, 2), 9) == (1,)
    assert merge_pair((2, 1), (1, 2), 9) == (2, 1)


def test_result_is_a_new_tuple_and_the_input_is_unchanged(merge_pair):
    """Words are keys of a dictionary, so they are tuples."""
    ids = [3, 4, 3, 4, 3]
    merged = merge_pair(ids, (3, 4), 300)
    assert merged == (300, 300, 3)
    assert ids == [3, 4, 3, 4, 3]


def test_merging_agrees_with_replacing_in_a_string(merge_pair):
    """str.replace also works from left to right and never reuses a letter."""
    rng = random.Random(0)
    for _ in range(60):
        ids = tuple(rng.choices(range(1, 4), k=rng.randrange(12)))
        pair = (rng.randrange(1, 4), rng.randrange(1, 4))
        replaced = "".join(map(chr, ids)).replace("".join(map(chr, pair)), chr(9))
        assert merge_pair(ids, pair, 9) == tuple(map(ord, replaced)), f"ids = {ids}, pair = {pair}"


def as_words(counts: dict[str, int]) -> dict[tuple[int, ...], int]:
    return {tuple(word.encode()): count for word, count in counts.items()}


def spelled(merges: list[tuple[int, int]]) -> list[str]:
    """Merges in letters: [(108, 111), (256, 119)] -> ['l+o', 'lo+w']."""
    names = {number: bytes([number]) for number in range(256)}
    shown = []
    for new_id, (left, right) in enumerate(merges, start=256):
        names[new_id] = names[left] + names[right]
        shown.append(f"{names[left].decode()}+{names[right].decode()}")
    return shown


def test_example_of_the_paper(train_bpe):
    """Sennrich et al., low lower newest widest: e+s and s+t are the most frequent, 9 times each."""
    words = as_words({"low": 5, "lower": 2, "newest": 6, "widest": 3})
    assert spelled(train_bpe(words, 4)) == ["e+s", "es+t", "l+o", "lo+w"]


def test_a_words_frequency_counts(train_bpe):
    """A pair in a word seen 100 times beats one in ten words seen once each."""
    words = as_words({"xy": 100} | {f"{letter}ab": 1 for letter in "cdefghijkl"})
    assert spelled(train_bpe(words, 1)) == ["x+y"]


def test_pairs_do_not_cross_words(train_bpe):
    """'ba' never stands inside a word here, however often one word follows another."""
    assert train_bpe(as_words({"ab": 3}), 5) == [(97, 98)]


def test_equally_frequent_pairs_the_smaller_one_first(train_bpe):
    """A convention, the one of Hugging Face's trainer: without one, results differ by accident."""
    words = as_words({"zy": 2, "cd": 2, "ce": 2, "ab": 2})
    assert spelled(train_bpe(words, 4)) == ["a+b", "c+d", "c+e", "z+y"]


def test_training_ends_when_nothing_is_left_to_merge(train_bpe):
    """Every word has become one token; no merges asked for is a case too."""
    assert train_bpe(as_words({"abc": 2}), 10) == [(97, 98), (256, 99)]
    assert train_bpe(as_words({"abc": 2}), 0) == []
    assert train_bpe({}, 3) == []


def test_counts_are_taken_anew_after_every_merge(train_bpe):
    """After a+b is merged, b+c is no longer there to be merged."""
    words = as_words({"abc": 10, "bd": 3})
    assert spelled(train_bpe(words, 3)) == ["a+b", "ab+c", "b+d"]


def test_word_counts_are_left_unchanged(train_bpe):
    """The caller trains again with another size on the same counts."""
    words = as_words({"banana": 4, "bandana": 2})
    before = copy.deepcopy(words)
    train_bpe(words, 6)
    assert words == before


@pytest.mark.parametrize("seed", range(4))
def test_merges_agree_with_hugging_face(train_bpe, seed):
    """The same text, the same merges as the `tokenizers` package, ties included."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    rng = random.Random(seed)
    counts = {}
    for _ in range(25):
        word = "".join(rng.choices("abcdef", weights=[6, 5, 4, 3, 2, 1], k=rng.randrange(1, 9)))
        counts[word] = rng.randrange(1, 6)
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    alphabet = len(set("".join(counts)))
    trainer = trainers.BpeTrainer(vocab_size=alphabet + 12, min_frequency=0, show_progress=False)
    theirs.train_from_iterator([" ".join([word] * n) for word, n in counts.items()], trainer)
    by_id = sorted(theirs.get_vocab(), key=theirs.get_vocab().get)[alphabet:]
    mine = [pair.replace("+", "") for pair in spelled(train_bpe(as_words(counts), 12))]
    assert mine[: len(by_id)] == by_id


def random_merges(rng: random.Random, num_merges: int, letters: bytes) -> list[tuple[int, int]]:
    """Merges in an order that a trainer could have found, whose tokens are all different."""
    names = {number: bytes([number]) for number in letters}
    seen, merges = set(names.values()), []
    while len(merges) < num_merges:
        pair = rng.choice(list(names)), rng.choice(list(names))
        joined = names[pair[0]] + names[pair[1]]
        if joined not in seen and len(joined) < 7:
            seen.add(joined)
            names[256 + len(merges)] = joined
            merges.append(pair)
    return merges


def test_first_learned_merge_wins_over_the_longest_token(encode_bpe):
    """a+b was learned first, so in 'abc' the longer token 'bc' of the later b+c has no chance."""
    a, b, c, d = b"abcd"
    assert encode_bpe("abc", [(a, b), (b, c)]) == [256, c]
    assert encode_bpe("abcd", [(b, c), (a, b), (257, c), (258, d)]) == [a, 256, d]


def test_merges_build_on_each_other(encode_bpe):
    """l+o, lo+w, e+r, low+er: 'lower' ends as one token."""
    low, o, w, e, r = b"lower"
    merges = [(low, o), (256, w), (e, r), (257, 258)]
    assert encode_bpe("lower", merges) == [259]
    assert encode_bpe("slower", merges) == [ord("s"), 259]


def test_ids_are_taken_as_they_are(encode_bpe):
    """A sequence of ids, a list or a tuple, may hold merged tokens already."""
    a, b, c = b"abc"
    merges = [(a, b), (256, c)]
    assert encode_bpe((a, b, c, a), merges) == [257, a]
    assert encode_bpe([256, c], merges) == [257]
    assert encode_bpe((1, 2, 1, 2), [(1, 2)], first_id=10) == [10, 10]


def test_text_is_taken_as_its_utf8_bytes(encode_bpe):
    """Russian letters are two bytes each, an emoji is four: no byte may be lost."""
    assert encode_bpe("é", []) == [0xC3, 0xA9]
    assert encode_bpe("да🙂", [(0xD0, 0xB4)]) == [256, *"а🙂".encode()]
    assert encode_bpe("", [(1, 2)]) == []


@pytest.mark.parametrize("seed", range(4))
def test_ids_agree_with_hugging_face(encode_bpe, seed):
    """The same merges given to the `tokenizers` package, on random text."""
    from tokenizers import models

    rng = random.Random(seed)
    merges = random_merges(rng, 40, b"abcd")
    names = {number: chr(number) for number in b"abcd"}
    for new_id, (left, right) in enumerate(merges, start=256):
        names[new_id] = names[left] + names[right]
    theirs = models.BPE(
        {name: number for number, name in names.items()},
        [(names[left], names[right]) for left, right in merges],
    )
    for _ in range(30):
        text = "".join(rng.choices("abcd", k=rng.randrange(1, 25)))
        expected = [token.id for token in theirs.tokenize(text)]
        assert list(encode_bpe(text, merges)) == expected, f"text = {text!r}"


VOCAB = {"▁The", "▁", "cat", "é"}


def test_unknown_piece_becomes_its_bytes_and_known_ones_stay(byte_fallback):
    """€ is the three bytes E2 82 AC, in capital hexadecimal, as SentencePiece writes them."""
    pieces = ["▁The", "▁", "€", "cat"]
    assert byte_fallback(pieces, VOCAB) == ["▁The", "▁", "<0xE2>", "<0x82>", "<0xAC>", "cat"]


def test_known_piece_outside_ascii_is_not_spelled(byte_fallback):
    """Fallback is only for what the vocabulary does not have: é is in it."""
    assert byte_fallback(["é"], VOCAB) == ["é"]
    assert byte_fallback([], VOCAB) == []


def test_small_bytes_have_two_digits(byte_fallback):
    """Every byte piece has the same width: the newline is <0x0A>, not <0xA>."""
    assert byte_fallback(["\n", "\x00"], VOCAB) == ["<0x0A>", "<0x00>"]


def test_piece_of_several_characters_is_spelled_whole(byte_fallback):
    """A piece is known or it is not: 'cats' is not in the vocabulary, though 'cat' is."""
    assert byte_fallback(["cats"], VOCAB) == ["<0x63>", "<0x61>", "<0x74>", "<0x73>"]


@pytest.mark.parametrize("text", ["🙂", "ё", "𝔘", "語", "e\u0301", "\U0010ffff"])
def test_bytes_lead_back_to_the_text(byte_fallback, text):
    """The promise of byte fallback: nothing is ever unknown, nothing is ever lost."""
    pieces = byte_fallback(list(text), VOCAB)
    assert bytes(int(piece[3:5], 16) for piece in pieces).decode() == text


def log_probabilities(**probabilities: float) -> dict[str, float]:
    return {piece: math.log(probability) for piece, probability in probabilities.items()}


def segmentations(text: str) -> list[list[str]]:
    """All of them: every gap between letters is cut or not."""
    found = []
    for cuts in itertools.product([False, True], repeat=max(len(text) - 1, 0)):
        places = [0, *(place for place, cut in enumerate(cuts, start=1) if cut), len(text)]
        found.append([text[start:end] for start, end in itertools.pairwise(places)])
    return found


def test_best_split_worked_by_hand(viterbi_segment):
    """'hug' + 's' has 0.4 · 0.1 = 0.04, more than any other split."""
    pieces = log_probabilities(h=0.1, u=0.1, g=0.1, s=0.1, hu=0.15, ug=0.05, hug=0.4)
    assert viterbi_segment("hugs", pieces) == ["hug", "s"]


def test_longest_first_is_not_the_best(viterbi_segment):
    """Taking 'abc' first leaves 'd', a very rare piece; 'ab' + 'cd' is far more probable."""
    pieces = log_probabilities(abc=0.3, d=0.001, ab=0.2, cd=0.2, a=0.1, b=0.1, c=0.099)
    assert viterbi_segment("abcd", pieces) == ["ab", "cd"]


def test_most_probable_piece_first_is_not_the_best_either(viterbi_segment):
    """'b' is the most probable piece, but taking it forces two rare ones around it."""
    pieces = log_probabilities(b=0.5, a=0.001, c=0.001, ab=0.2, bc=0.2)
    assert viterbi_segment("abc", pieces) in (["ab", "c"], ["a", "bc"])


def test_long_text_does_not_underflow(viterbi_segment):
    """Multiplying 2,000 probabilities gives 0.0 for every split: add their logarithms."""
    pieces = log_probabilities(a=0.0001, b=0.0001, ab=0.0005)
    assert viterbi_segment("ab" * 1000, pieces) == ["ab"] * 1000


@pytest.mark.parametrize("seed", range(5))
def test_score_agrees_with_brute_force(viterbi_segment, seed):
    """All 2^(n-1) segmentations are tried: no other is more probable."""
    rng = random.Random(seed)
    pieces = {letter: -rng.uniform(3, 9) for letter in "abc"}
    for _ in range(14):
        pieces["".join(rng.choices("abc", k=rng.randrange(2, 5)))] = -rng.uniform(2, 14)
    for length in (1, 4, 8, 10):
        text = "".join(rng.choices("abc", k=length))
        found = viterbi_segment(text, pieces)
        assert "".join(found) == text
        best = max(
            sum(pieces[piece] for piece in split)
            for split in segmentations(text)
            if all(piece in pieces for piece in split)
        )
        assert sum(pieces[piece] for piece in found) == pytest.approx(best, abs=1e-9)


def test_empty_text_has_no_pieces(viterbi_segment):
    """And a text that the pieces cannot spell is a ValueError, not a wrong answer."""
    assert viterbi_segment("", {"a": -1.0}) == []
    with pytest.raises(ValueError, match=r".+"):
        viterbi_segment("abz", {"a": -1.0, "b": -2.0})


BERT_LIKE = {"un", "##aff", "##able", "##a", "a", "##ff", "##b", "##le", "able", "aff", "unaf", "b"}


def test_word_worked_by_hand(wordpiece_encode):
    """The example of BERT's source: the longest piece first, ## inside the word."""
    vocab = BERT_LIKE - {"unaf"}
    assert wordpiece_encode("unaffable", vocab) == ["un", "##aff", "##able"]
    assert wordpiece_encode("able", vocab) == ["able"]
    assert wordpiece_encode("b", vocab) == ["b"]


def test_pieces_inside_a_word_need_their_prefix(wordpiece_encode):
    """'able' begins a word, '##able' goes on with one: they are different tokens."""
    assert wordpiece_encode("aable", {"a", "able"}) == ["[UNK]"]
    assert wordpiece_encode("aable", {"a", "@@able"}, prefix="@@") == ["a", "@@able"]


def test_word_that_cannot_be_finished_is_one_unknown(wordpiece_encode):
    """No half a word: if the rest has no piece, the whole word is [UNK]."""
    assert wordpiece_encode("unaffableé", BERT_LIKE) == ["[UNK]"]
    assert wordpiece_encode("xun", BERT_LIKE, unknown="<unk>") == ["<unk>"]


def test_search_is_greedy_and_never_goes_back(wordpiece_encode):
    """'unaf' is longer than 'un' and leads into a dead end; WordPiece accepts that."""
    assert wordpiece_encode("unaffable", {"unaf", "un", "##aff", "##able"}) == ["[UNK]"]


def test_word_of_too_many_characters_is_unknown(wordpiece_encode):
    """Exactly `max_chars` characters still pass."""
    vocab = {"a", "##a"}
    assert wordpiece_encode("a" * 7, vocab, max_chars=7) == ["a"] + ["##a"] * 6
    assert wordpiece_encode("a" * 8, vocab, max_chars=7) == ["[UNK]"]


@pytest.mark.parametrize("seed", range(4))
def test_pieces_agree_with_hugging_face(wordpiece_encode, seed):
    """The `tokenizers` package with the same vocabulary, on random words."""
    from tokenizers import models

    rng = random.Random(seed)
    vocab = ["[UNK]", *"abc", *(f"##{letter}" for letter in "ab")]
    for _ in range(20):
        piece = "".join(rng.choices("abc", k=rng.randrange(2, 5)))
        vocab.append(rng.choice(["", "##"]) + piece)
    vocab = list(dict.fromkeys(vocab))
    theirs = models.WordPiece({piece: i for i, piece in enumerate(vocab)}, unk_token="[UNK]")
    for _ in range(40):
        word = "".join(rng.choices("abcd", weights=[9, 9, 3, 1], k=rng.randrange(1, 11)))
        expected = [token.value for token in theirs.tokenize(word)]
        assert wordpiece_encode(word, set(vocab)) == expected, f"word = {word!r}"
