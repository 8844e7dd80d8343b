"""Trained tokenizers against Hugging Face and tiktoken: the same ids on any text, and back."""

from pathlib import Path

import pytest
import tiktoken
import tokenizers as hf
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers import AddedToken, BPETokenizer, load_tokenizer
from course_lib.text.tokenizers.bpe_model import BPE
from course_lib.text.tokenizers.pre_tokenizers import (
    BYTE_CHARACTERS,
    BYTE_OF_CHARACTER,
    GPT2_PATTERN,
    GPT4_PATTERN,
    byte_characters,
)

CORPUS = [
    "The quick brown fox jumps over the lazy dog. " * 3,
    "Съешь ещё этих мягких французских булок, да выпей чаю. " * 3,
    "def f(x):\n    return x + 1\n\n\nfor i in range(100):\n\tprint(i)\n" * 3,
    "🙂🙃 naïve cafe\u0301 — «ёлка» 12345 'tis they'll WE'LL",
]
SPECIAL = ("<|end|>", "<s>")
TOKENIZERS = {
    "byte level": BPETokenizer.train(CORPUS, 420, special_tokens=SPECIAL),
    "byte level, GPT-2": BPETokenizer.train(CORPUS, 400, pattern=GPT2_PATTERN),
    "byte fallback": BPETokenizer.train(CORPUS, 500, special_tokens=SPECIAL, byte_fallback=True),
}
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from("the quick Съешьё🙂\u0301 \n\t'12<s>|end0x4A▁ĠÐ")),
    st.sampled_from([*CORPUS, "", " ", "\n\n \t", "<|end|><s> <0x41>", "e" * 300, "中文"]),
)
OLD_TEXT = ANY_TEXT.map(lambda text: text.encode("cp1251", "ignore").decode("cp1251") + "🙂中é")
EVERY = pytest.mark.parametrize("name", TOKENIZERS)


@EVERY
@given(text=ANY_TEXT)
def test_every_text_comes_back(name: str, text: str):
    ours = TOKENIZERS[name]
    assert ours.decode(ours.encode(text)) == text
    assert ours.decode(ours.encode(text, special=True)) == text


@EVERY
@given(text=OLD_TEXT)
def test_hugging_face_has_the_same_ids_from_the_saved_file(
    name: str, text: str, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.getbasetemp() / name
    if not folder.exists():
        TOKENIZERS[name].save(folder)
    theirs = hf.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for ours in (TOKENIZERS[name], load_tokenizer(folder)):
        theirs.encode_special_tokens = False
        ids = theirs.encode(text).ids
        assert ours.encode(text, special=True) == ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
        assert ours.decode(ids, skip_special=True) == theirs.decode(ids)
        theirs.encode_special_tokens = True
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_spans_are_hugging_faces(tmp_path: Path):
    for ours in TOKENIZERS.values():
        theirs = hf.Tokenizer.from_file(str(ours.save(tmp_path)))
        for text in CORPUS:
            spans = [(piece.start, piece.end) for piece in ours.tokenize(text)]
            assert spans == [tuple(span) for span in theirs.encode(text).offsets]


@EVERY
@given(text=ANY_TEXT)
def test_pieces_are_the_ids_and_cover_the_text(name: str, text: str):
    pieces = TOKENIZERS[name].tokenize(text)
    assert [piece.id for piece in pieces] == TOKENIZERS[name].encode(text)
    covered = {i for piece in pieces for i in range(piece.start, piece.end)}
    assert covered == set(range(len(text)))


@pytest.mark.parametrize("pattern", [GPT2_PATTERN, GPT4_PATTERN])
def test_tiktoken_has_the_same_ids(pattern: str):
    ours = BPETokenizer.train(CORPUS, 430, pattern=pattern)
    ranks = {bytes(map(BYTE_OF_CHARACTER.get, token)): i for token, i in ours.vocab.items()}
    special = {"<|end|>": 450, "<|pad|>": 433}
    theirs = tiktoken.Encoding(
        "test", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special
    )
    from_ranks = BPETokenizer.from_ranks(ranks, pattern, special)
    assert from_ranks.model.merges == ours.model.merges
    for text in [*CORPUS, "aaaa<|end|> <|pad|>", "", "Ünseen wörds 'ſ 'S", "\r\n\r\n  x \n "]:
        assert ours.encode(text) == theirs.encode_ordinary(text)
        assert from_ranks.encode(text) == theirs.encode_ordinary(text)
        with_special = theirs.encode(text, allowed_special="all")
        assert from_ranks.encode(text, special=True) == with_special
        assert from_ranks.decode(with_special) == text


def test_ranks_with_gaps_between_special_tokens_survive_the_file(tmp_path: Path):
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"abc": 257}
    ours = BPETokenizer.from_ranks(ranks, GPT4_PATTERN, {"<|a|>": 300, "<|b|>": 310})
    theirs = hf.Tokenizer.from_file(str(ours.save(tmp_path)))
    text = "abcab<|b|>x<|a|>"
    assert theirs.encode(text).ids == ours.encode(text, special=True) == [257, 256, 310, 120, 300]
    assert load_tokenizer(tmp_path).encode(text) == ours.encode(text)
    assert ours.vocab_size == 311


def test_byte_table_is_hugging_faces():
    assert sorted(byte_characters()) == sorted(hf.pre_tokenizers.ByteLevel.alphabet())
    assert BYTE_CHARACTERS[0x20] == "Ġ"


def test_special_tokens_in_a_text_are_plain_text_unless_asked_for():
    ours = TOKENIZERS["byte level"]
    number = ours.vocab["<|end|>"]
    assert number not in ours.encode("a<|end|>b")
    assert ours.encode("a<|end|>b", special=True) == [97, number, 98]
    assert ours.decode([97, number, 98], skip_special=True) == "ab"


def test_ids_are_bytes_then_merges_then_special_tokens():
    ours = BPETokenizer.train(["ab ab ab"], 259, special_tokens=["<s>"])
    assert ours.encode(" ab", special=True) == [257]
    assert ours.vocab["ab"] == 256
    assert ours.vocab["<s>"] == 258
    assert ours.vocab_size == 259


def test_texts_too_small_for_the_vocabulary_give_a_smaller_one():
    ours = BPETokenizer.train(["ab"], 1000, special_tokens=["<s>"])
    assert ours.vocab_size == 258
    assert BPETokenizer.train([], 256).encode("é") == [0xC3, 0xA9]


def test_ids_that_are_no_utf8_become_replacement_characters():
    assert TOKENIZERS["byte level"].decode([0xD0, 97, 0xFF]) == "\ufffda\ufffd"
    assert TOKENIZERS["byte fallback"].decode([0xD0]) == "\ufffd"


def test_an_unknown_id_is_named():
    with pytest.raises(ValueError, match="id 99999 is not in the vocabulary"):
        TOKENIZERS["byte level"].decode([97, 99_999])


@EVERY
def test_a_lone_surrogate_is_refused_with_its_place(name: str):
    for function in (TOKENIZERS[name].encode, TOKENIZERS[name].tokenize):
        with pytest.raises(ValueError, match=r"'\\ud800' at character 2"):
            function("ab\ud800c")
    with pytest.raises(ValueError, match="at character 0"):
        BPETokenizer.train(["\udfff"], 300)


def test_what_cannot_be_trained_is_said_with_its_numbers():
    with pytest.raises(ValueError, match=r"vocab_size = 200 must hold .* at least 257"):
        BPETokenizer.train(["a"], 200, special_tokens=["<s>"])
    with pytest.raises(ValueError, match=r"\[text\]"):
        BPETokenizer.train("one text", 300)
    with pytest.raises(ValueError, match="regular expression"):
        BPETokenizer.train(["a"], 300, pattern="(")


def test_special_tokens_that_clash_are_refused():
    model = BPE({"a": 0, "b": 1}, [])
    for added in ([AddedToken("c", 1)], [AddedToken("a", 5)], [AddedToken("x", 2)] * 2):
        with pytest.raises(ValueError, match="added token"):
            BPETokenizer(model, added_tokens=added)


def test_unknown_characters_become_unk_once_or_fused(tmp_path: Path):
    for fuse_unk in (False, True):
        model = BPE({"a": 0, "b": 1, "ab": 2, "?": 3}, [("a", "b")], unk_token="?",
                    fuse_unk=fuse_unk)  # fmt: skip
        ours = BPETokenizer(model)
        theirs = hf.Tokenizer.from_file(str(ours.save(tmp_path)))
        for text in ("xxabx", "yab", "", "xab?"):
            assert ours.encode(text) == theirs.encode(text).ids
            offsets = [(piece.start, piece.end) for piece in ours.tokenize(text)]
            assert offsets == theirs.encode(text).offsets


def test_merges_out_of_order_encode_as_hugging_face_does(tmp_path: Path):
    vocab = {name: i for i, name in enumerate(["a", "b", "ab", "aba", "bb", "abab"])}
    merges = [("ab", "a"), ("a", "b"), ("b", "b"), ("ab", "ab"), ("aba", "b")]
    ours = BPETokenizer(BPE(vocab, merges))
    theirs = hf.Tokenizer.from_file(str(ours.save(tmp_path)))
    for text in ("abab", "aabbaabab", "bababab", "abba"):
        assert ours.encode(text) == theirs.encode(text).ids


def test_a_very_long_word_is_encoded_and_not_kept():
    ours = TOKENIZERS["byte level"]
    text = "thequick" * 4000
    ids = ours.encode(text)
    assert ours.decode(ids) == text
    assert text not in ours._cache
