"""Bytes, characters, words: what each keeps, what each misses."""

import json

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    WordTokenizer,
    load_tokenizer,
    unknown_rate,
)
from course_lib.text.tokenizers.tokenizer_json import tokenizer_to_json

TEXTS = ["the cat saw the dog, the dog saw кота", "ёж e\u0301\n\tand 😀"]


@given(st.text(max_size=40))
def test_a_byte_is_its_own_id(text):
    tokenizer = ByteTokenizer.train(special_tokens=["<s>"])
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(f"{text}<s>", special=True)[-1] == 256


def test_bytes_that_are_no_text_become_replacement_characters():
    assert ByteTokenizer.train().decode([0xD0, 0x41]) == "\ufffdA"


def test_characters_come_by_frequency_and_the_rest_is_unknown():
    tokenizer = CharacterTokenizer.train(["aabbbc"], 4, special_tokens=["<s>"])
    assert tokenizer.vocab == {"<unk>": 0, "b": 1, "a": 2, "<s>": 3}
    assert tokenizer.encode("abcé\n") == [2, 1, 0, 0, 0]


@pytest.mark.parametrize("text", [*TEXTS, "", "  \n\n ", "e\u0301e\u0301"])
def test_all_characters_of_the_training_text_come_back(text):
    tokenizer = CharacterTokenizer.train([*TEXTS, "\r"])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [piece.text for piece in tokenizer.tokenize(text)] == list(text)


def test_words_come_by_frequency_and_the_rest_is_unknown():
    tokenizer = WordTokenizer.train(TEXTS, 4)
    assert tokenizer.vocab == {"<unk>": 0, "the": 1, "dog": 2, "saw": 3}
    assert tokenizer.encode("the dogs saw") == [1, 0, 3]
    assert tokenizer.decode([1, 0, 3]) == "the <unk> saw"


def test_the_unknown_rate_is_the_share_of_unknown_tokens():
    tokenizer = WordTokenizer.train(["a a b"], 2)
    assert unknown_rate(tokenizer, ["a b", "c a"]) == 0.5
    assert unknown_rate(tokenizer, []) == 0.0
    assert unknown_rate(ByteTokenizer.train(), ["any é"]) == 0.0


@pytest.mark.parametrize("kind", [ByteTokenizer, CharacterTokenizer, WordTokenizer])
def test_files_open_in_hugging_face_with_the_same_ids(kind, tmp_path):
    ours = kind.train(TEXTS, special_tokens=["<s>"])
    theirs = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_to_json(ours)))
    ours.save(tmp_path)
    for text in [*TEXTS, "", "   ", "unseen, й 👨‍👩‍👧<s>\x00", " \n the\u00a0cat"]:
        ids = ours.encode(text, special=True)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
        assert kind.load(tmp_path).encode(text, special=True) == ids
        assert load_tokenizer(tmp_path).encode(text, special=True) == ids
    assert type(kind.load(tmp_path)) is kind


def test_a_file_of_another_kind_is_refused(tmp_path):
    ByteTokenizer.train().save(tmp_path)
    with pytest.raises(ValueError, match="holds a BPE model, no WordTokenizer"):
        WordTokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", [CharacterTokenizer, WordTokenizer])
def test_impossible_trainings_are_refused(kind):
    with pytest.raises(ValueError, match="vocab_size = 1 must hold"):
        kind.train(TEXTS, 1, special_tokens=["<s>"])
    with pytest.raises(ValueError, match="give a list"):
        kind.train("one text")
    with pytest.raises(ValueError, match="lone surrogate"):
        kind.train(["\ud83d"])
    assert kind.train([]).vocab == {"<unk>": 0}


def test_a_byte_vocabulary_below_256_is_refused():
    with pytest.raises(ValueError, match="vocab_size = 256 must hold"):
        ByteTokenizer.train((), 256, special_tokens=["<s>"])
