"""The unigram tokenizer: nothing is lost, and Hugging Face reads the same ids from its file."""

import json
import math

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from course_lib.text.tokenizers import UnigramTokenizer
from course_lib.text.tokenizers.tokenizer_json import tokenizer_to_json
from course_lib.text.tokenizers.unigram_tokenizer import UnigramModel, without_rare_characters

TEXTS = [
    "Once there was a fox who lost her lamp, and the bear found it by the river.",
    "Лиса потеряла лампу, а медведь нашёл её у реки. Лиса сказала: «Спасибо!»",
    "for i in range(10): print(i < 3, '<b>')\n    return 0x41 > 7\n\n",
] * 15
HARD = [
    "",
    " ",
    "   two  spaces   ",
    "\n\n\t\r\n x\u00a0\u2003y\u200d",
    "▁ ▁▁a",
    "<0x41><0xE2> <unk> <s> <0xzz>",
    "e\u0301 й ё ﬁ ½ 中文字 ไทย",
    "👨‍👩‍👧 😀",
    "\x00\x1c\x85\ufeff\U0010ffff",
    "fox" * 500,
]
hard_texts = st.text(max_size=40) | st.text(st.sampled_from("the лис<0x41>unk▁ \n\t😀e\u0301"))


@pytest.fixture(scope="module")
def ours():
    return UnigramTokenizer.train(TEXTS, 360, special_tokens=["<s>", "</s>"])


@pytest.fixture(scope="module")
def theirs(ours):
    return hugging_face(ours)


def hugging_face(tokenizer):
    reader = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_to_json(tokenizer)))
    reader.encode_special_tokens = True
    return reader


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_come_back_exactly(ours, text):
    assert ours.decode(ours.encode(text)) == text


@given(text=hard_texts)
def test_every_text_comes_back_exactly_and_its_tokens_cover_it(ours, text):
    assert ours.decode(ours.encode(text)) == text
    pieces = ours.tokenize(text)
    assert [piece.id for piece in pieces] == ours.encode(text)
    position = 0
    for piece in pieces:
        assert piece.start in (position, previous_start(pieces, piece))
        position = max(position, piece.end)
    assert position == len(text)


def previous_start(pieces, piece):
    """The start of the token before: the bytes of one character share a span."""
    return pieces[pieces.index(piece) - 1].start


@given(text=hard_texts)
@example(text=" ".join(HARD))
def test_hugging_face_has_the_same_ids_on_any_text(ours, theirs, text):
    ids = ours.encode(text)
    assert ids == theirs.encode(text, add_special_tokens=False).ids
    assert theirs.decode(ids, skip_special_tokens=False) == text


@pytest.fixture(scope="module")
def without_bytes():
    ours = UnigramTokenizer.train(TEXTS, 150, byte_fallback=False)
    return ours, hugging_face(ours)


@given(text=hard_texts)
def test_without_byte_fallback_a_stretch_of_unknown_characters_is_one_unk(without_bytes, text):
    ours, theirs = without_bytes
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_a_text_that_looks_like_a_token_is_plain_text(ours):
    assert len(ours.encode("<0x41>")) > 1
    assert ours.encode("<s>") != [ours.vocab["<s>"]]
    assert ours.encode("<s>", special=True) == [ours.vocab["<s>"]]


def test_special_tokens_are_found_as_hugging_face_finds_them(ours, theirs):
    text = " a<s> лиса</s><unk><s><0x41>"
    theirs.encode_special_tokens = False
    assert ours.encode(text, special=True) == theirs.encode(text).ids
    theirs.encode_special_tokens = True


def test_what_is_saved_is_loaded(ours, tmp_path):
    ours.save(tmp_path)
    again = UnigramTokenizer.load(tmp_path)
    assert [again.encode(text) for text in HARD] == [ours.encode(text) for text in HARD]
    assert again.model == ours.model


def test_half_a_character_is_refused(ours):
    with pytest.raises(ValueError, match="lone surrogate"):
        ours.encode("a\ud83d")
    with pytest.raises(ValueError, match="lone surrogate"):
        UnigramTokenizer.train(["a\ud83d"], 300)


def test_the_size_counts_everything(ours):
    assert ours.vocab_size == 360
    names = ("<unk>", "<0x00>", "<0xFF>", "</s>")
    assert [ours.vocab[name] for name in names] == [0, 1, 256, 359]
    with pytest.raises(ValueError, match="vocab_size = 257 leaves no room"):
        UnigramTokenizer.train(TEXTS, 257)
    with pytest.raises(ValueError, match="give a list"):
        UnigramTokenizer.train("one text", 300)


def test_no_piece_crosses_a_word_or_joins_digits(ours):
    for piece in ours.vocab:
        assert " " not in piece[1:].strip(" ")
        assert sum(character.isdigit() for character in piece) < 2 or piece.startswith("<0x")


def test_rare_characters_cost_no_pieces():
    assert without_rare_characters({"abx": 3, "ab": 97}, 0.98) == {"ab": 100}
    assert without_rare_characters({"abx": 3, "ab": 97}, 1.0) == {"abx": 3, "ab": 97}
    assert without_rare_characters({"a^b]": 1, "-a": 50}, 0.97) == {"a": 1, "-a": 50}
    with pytest.raises(ValueError, match=r"character_coverage = 0\.0 must"):
        without_rare_characters({"a": 1}, 0.0)


def test_spans_of_unknown_stretches_and_of_bytes():
    pieces = (("<unk>", 0.0), ("a", -1.0), ("<0xC3>", -9.0), ("<0xA9>", -9.0))
    assert UnigramModel(pieces).encode_word("éüaé") == [0, 1, 0]
    assert UnigramModel(pieces).spans("éüaé") == [(0, 2), (2, 3), (3, 4)]
    with_bytes = UnigramModel(pieces, byte_fallback=True)
    assert with_bytes.encode_word("aéé") == [1, 2, 3, 2, 3]
    assert with_bytes.spans("aéé") == [(0, 1), (1, 2), (1, 2), (2, 3), (2, 3)]
    assert with_bytes.encode_word("éü") == [0]  # ü is C3 BC, and BC is missing: all unknown


def test_a_broken_model_is_refused():
    with pytest.raises(ValueError, match="'a' is given twice"):
        UnigramModel((("a", -1.0), ("a", -2.0)))
    with pytest.raises(ValueError, match="unk_id = 3 is none of the 1 pieces"):
        UnigramModel((("a", -1.0),), 3)
    with pytest.raises(ValueError, match="no unknown token"):
        UnigramModel((("a", -1.0),), None).encode_word("b")
    for vocab in ("x", [["a"]], [["a", "b"]], [["a", math.nan]], [["a", True]], None):
        with pytest.raises(ValueError, match="vocab"):
            UnigramModel.from_json({"vocab": vocab, "unk_id": 0})
    with pytest.raises(ValueError, match="unk_id"):
        UnigramModel.from_json({"vocab": [["a", -1.0]], "unk_id": "0"})


@pytest.mark.parametrize("byte_fallback", [True, False])
def test_a_model_that_hugging_face_trained_is_read(byte_fallback, tmp_path):
    """With Metaspace, where spaces and ▁ become one, and with unknown characters."""
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    theirs.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=90, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    theirs.train_from_iterator(TEXTS, trainer)
    data = json.loads(theirs.to_str())
    if byte_fallback:
        data["model"]["byte_fallback"] = True
        data["model"]["vocab"] += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    theirs = tokenizers.Tokenizer.from_str(json.dumps(data))
    ours = UnigramTokenizer.load(tmp_path)
    for text in [*TEXTS[:3], *HARD]:
        ids = ours.encode(text, special=True)
        assert ids == theirs.encode(text).ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
