"""Byte fallback: known pieces stay, the rest is spelled in UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers.byte_fallback import BYTE_PIECES, byte_fallback


def test_the_euro_sign_is_three_bytes():
    assert byte_fallback(["The", " €"], {"The"}) == ["The", "<0x20>", "<0xE2>", "<0x82>", "<0xAC>"]


def test_a_known_piece_stays_whatever_its_alphabet():
    vocab = {"кот": 5, "😀": 6, "": 7}
    assert byte_fallback(["кот", "😀", "", "кот"], vocab) == ["кот", "😀", "", "кот"]
    assert byte_fallback([], vocab) == []


@given(st.lists(st.text(min_size=1)), st.sets(st.text(max_size=2)))
def test_the_bytes_of_unknown_pieces_give_the_text_back(pieces, vocab):
    byte_of = {piece: bytes([number]) for number, piece in enumerate(BYTE_PIECES)}
    tokens = byte_fallback(pieces, vocab)
    known = iter(piece for piece in pieces if piece in vocab)
    spelled = b"".join(
        next(known).encode() if token in vocab else byte_of[token] for token in tokens
    )
    assert spelled.decode() == "".join(pieces)


def test_every_byte_has_its_own_piece_in_upper_case():
    assert len(set(BYTE_PIECES)) == 256
    assert BYTE_PIECES[10] == "<0x0A>"


def test_half_a_character_is_refused_by_its_code():
    with pytest.raises(ValueError, match=r"lone surrogate U\+D83D"):
        byte_fallback(["a\ud83d"], {})
