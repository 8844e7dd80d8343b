"""WordPiece against Hugging Face's model, and its trainer against counting everything anew."""

import json
from collections import Counter

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers import WordPieceTokenizer
from course_lib.text.tokenizers.tokenizer_json import tokenizer_to_json
from course_lib.text.tokenizers.wordpiece import WordPieceModel, wordpiece_encode
from course_lib.text.tokenizers.wordpiece_training import (
    merge_in_word,
    train_wordpiece,
    train_wordpiece_plain,
)

VOCAB = ["[UNK]", "un", "##aff", "##able", "a", "##b", "ab", "##bc", "##c", "##a", "я", "##я", "#"]
word_counts = st.dictionaries(st.text("abя", min_size=1, max_size=7), st.integers(1, 9), max_size=9)


def test_the_example_of_the_paper():
    assert wordpiece_encode("unaffable", VOCAB) == ["un", "##aff", "##able"]


def test_the_longest_piece_wins_even_where_it_leads_nowhere():
    vocab = ["a", "ab", "##b", "##bc"]
    assert wordpiece_encode("abc", vocab) == ["[UNK]"]  # ab + ?, although a + ##bc exists


def test_one_unknown_letter_makes_the_whole_word_unknown():
    assert wordpiece_encode("abé", VOCAB) == ["[UNK]"]
    assert wordpiece_encode("éab", VOCAB, unknown="?") == ["?"]


def test_a_piece_without_the_prefix_does_not_continue_a_word():
    assert wordpiece_encode("aun", VOCAB) == ["[UNK]"]
    assert wordpiece_encode("ab", ["a", "@@b"], prefix="@@") == ["a", "@@b"]


def test_a_word_longer_than_the_limit_is_unknown_and_no_word_is_nothing():
    assert wordpiece_encode("a" * 5, VOCAB, max_chars=5) == ["a", *["##a"] * 4]
    assert wordpiece_encode("a" * 6, VOCAB, max_chars=5) == ["[UNK]"]
    assert wordpiece_encode("", VOCAB) == []


@given(st.text("abcяun#é", max_size=8))
def test_pieces_equal_those_of_hugging_face(word):
    vocab = {piece: i for i, piece in enumerate(VOCAB)}
    theirs = tokenizers.models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=6)
    expected = [token.value for token in theirs.tokenize(word)] if word else []
    assert wordpiece_encode(word, vocab, max_chars=6) == expected
    spans = [token.offsets for token in tokenizers.Tokenizer(theirs).model.tokenize(word)]
    if word.isascii() and word:
        assert WordPieceModel(vocab, max_chars=6).spans(word) == spans


@given(word_counts, st.integers(1, 4))
def test_the_fast_trainer_gives_the_pieces_of_the_plain_one(counts, min_count):
    plain = train_wordpiece_plain(counts, 30, min_count=min_count)
    assert train_wordpiece(counts, 30, min_count=min_count) == plain


def test_the_first_merge_is_the_pair_that_is_least_seen_apart():
    """The example of Hugging Face's course: g + s scores 1/20, the most frequent pair 1/36.

    Then many score 1/36, and after u + g three score 1/21: the smaller pair is merged, where the
    course takes the one it met first (hu).
    """
    counts = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}
    vocab = train_wordpiece(counts, 10, min_count=1)
    assert vocab[:7] == ["##g", "##n", "##s", "##u", "b", "h", "p"]
    assert vocab[7:] == ["##gs", "##ug", "##ugs"]


def test_without_a_minimum_count_a_pair_seen_once_wins():
    counts = {"the": 1000, "then": 500, "zq": 1}
    assert train_wordpiece(counts, 7, min_count=1)[-1] == "zq"
    assert "zq" not in train_wordpiece(counts, 20, min_count=2)


def test_overlapping_pairs_are_merged_from_the_left():
    assert merge_in_word(["##a"] * 5, ("##a", "##a")) == ["##aa", "##aa", "##a"]
    assert merge_in_word(["a", "##a", "##a"], ("a", "##a")) == ["aa", "##a"]


def test_impossible_sizes_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match="vocab_size = 2 is less than the 3 characters"):
        train_wordpiece({"aba": 2}, 2)
    with pytest.raises(ValueError, match="min_count = 0 must be at least 1"):
        train_wordpiece({"ab": 2}, 9, min_count=0)
    with pytest.raises(ValueError, match=r"must have \[UNK\]"):
        WordPieceTokenizer.train(["a"], 9, special_tokens=["[CLS]"])
    assert train_wordpiece({}, 5) == []


TEXTS = ["The unhappy cat couldn't sit; cats sat.", "Она нашла корзину, и кот её нашёл!"] * 9


@pytest.fixture(scope="module", params=[True, False], ids=["lowercase", "cased"])
def pair(request):
    """Ours, and Hugging Face's from our file."""
    ours = WordPieceTokenizer.train(TEXTS, 120, lowercase=request.param)
    return ours, tokenizers.Tokenizer.from_str(json.dumps(tokenizer_to_json(ours)))


@given(text=st.text(st.sampled_from("The cat кот,ё́e\u0301é 中\t\n[UNK]#'ﬁ😀"), max_size=30))
def test_ids_equal_those_of_hugging_face_on_any_text(pair, text):
    ours, theirs = pair
    expected = theirs.encode(text)
    assert ours.encode(text, special=True) == expected.ids
    theirs.encode_special_tokens = True
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    theirs.encode_special_tokens = False
    assert ours.decode(ours.encode(text)) == theirs.decode(
        ours.encode(text), skip_special_tokens=False
    )


def test_what_is_saved_is_loaded(tmp_path):
    ours = WordPieceTokenizer.train(TEXTS, 100, min_count=3)
    ours.save(tmp_path)
    again = WordPieceTokenizer.load(tmp_path)
    assert again.vocab == ours.vocab
    assert again.encode(TEXTS[0], special=True) == ours.encode(TEXTS[0], special=True)
    assert ours.encode("Ё", special=True) == [2, ours.vocab["е"], 3]
    assert ours.decode([2, 1, 3], skip_special=True) == ""


def test_training_counts_words_and_never_exceeds_the_size():
    for vocab_size in (60, 90, 3_000):
        tokenizer = WordPieceTokenizer.train(TEXTS, vocab_size)
        assert tokenizer.vocab_size <= vocab_size
    assert Counter(piece.text for piece in tokenizer.tokenize("the cat"))["cat"] == 1


def test_a_tokenizer_that_hugging_face_trained_is_read(tmp_path):
    theirs = tokenizers.BertWordPieceTokenizer(lowercase=True)
    theirs.train_from_iterator(TEXTS, vocab_size=90, min_frequency=2, show_progress=False)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = WordPieceTokenizer.load(tmp_path)
    for text in [*TEXTS[:2], "", "  \n", "CATS, é中[UNK] 😀 ##a", "нашёл" * 30]:
        ids = ours.encode(text, special=True)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
