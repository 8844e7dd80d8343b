"""Fill-in-the-middle: the prompt in both orders, and the way back to the document."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.infilling import (
    Sentinels,
    fill_in_the_middle,
    infilling_prompt,
    restore_document,
)

SENTINELS = Sentinels(prefix=256, suffix=257, middle=258)


def encode(text):
    return list(text.encode())


def decode(tokens):
    return bytes(tokens).decode()


def test_the_prompt_in_both_orders():
    made = {
        mode: infilling_prompt("ab", "c", mode=mode, encode=encode, sentinels=SENTINELS)
        for mode in ("psm", "spm")
    }
    assert made["psm"] == [256, 97, 98, 257, 99, 258]
    assert made["spm"] == [256, 257, 99, 258, 97, 98]


@given(st.text(), st.integers(0, 2**32), st.sampled_from(["psm", "spm"]))
def test_every_document_comes_back(document, seed, mode):
    document = document.encode(errors="ignore").decode()  # no lone surrogates
    generator = torch.Generator().manual_seed(seed)
    tokens = fill_in_the_middle(document, generator, mode=mode, encode=encode, sentinels=SENTINELS)
    assert decode(restore_document(tokens, sentinels=SENTINELS)) == document


def test_a_list_of_tokens_is_cut_between_tokens():
    document, generator = [5, 300, 7, 9], torch.Generator().manual_seed(0)
    for mode in ("psm", "spm") * 20:
        tokens = fill_in_the_middle(document, generator, mode=mode, sentinels=SENTINELS)
        assert restore_document(tokens, sentinels=SENTINELS) == document


def test_an_unknown_order_is_refused_by_name():
    with pytest.raises(ValueError, match="mode = 'PSM': it must be one of psm, spm"):
        infilling_prompt("a", "b", mode="PSM", encode=encode, sentinels=SENTINELS)


@pytest.mark.parametrize("tokens", [[], [97], [256, 97, 258, 98, 257], [97, 256, 257, 258]])
def test_what_is_no_infilling_example_is_not_restored(tokens):
    with pytest.raises(ValueError, match="must hold"):
        restore_document(tokens, sentinels=SENTINELS)
