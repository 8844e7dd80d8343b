"""BERT's masking: shares, what stays untouched, and determinism."""

import pytest
import torch

from course_lib.text.masking import mask_tokens

MASK = 999


def mask_many(**options):
    """Ten thousand tokens, each 500, of a vocabulary of 1,000."""
    tokens = torch.full((50, 200), 500)
    generator = torch.Generator().manual_seed(4)
    inputs, labels = mask_tokens(tokens, MASK, vocab_size=1000, generator=generator, **options)
    return tokens, inputs, labels


def test_shares_are_fifteen_percent_and_of_those_80_10_10():
    tokens, inputs, labels = mask_many()
    chosen = labels != -100
    num_chosen = chosen.sum().item()
    assert abs(num_chosen / 10_000 - 0.15) < 0.015
    masked, kept = (inputs == MASK).sum().item(), (chosen & (inputs == tokens)).sum().item()
    assert abs(masked / num_chosen - 0.8) < 0.04
    assert abs(kept / num_chosen - 0.1) < 0.03
    assert abs((num_chosen - masked - kept) / num_chosen - 0.1) < 0.03


def test_labels_are_the_chosen_tokens_and_only_those_change():
    tokens, inputs, labels = mask_many()
    assert set(labels.unique().tolist()) == {-100, 500}
    assert (inputs[labels == -100] == 500).all()
    assert (tokens == 500).all()


def test_replacements_come_from_the_whole_vocabulary():
    _, inputs, _ = mask_many(probability=1.0)
    replaced = inputs[(inputs != MASK) & (inputs != 500)]
    assert replaced.min() < 20
    assert replaced.max() > 970
    assert len(replaced.unique()) > 500


def test_special_tokens_are_never_chosen():
    special = torch.zeros(50, 200, dtype=torch.bool)
    special[:, ::7] = True
    _, inputs, labels = mask_many(probability=1.0, special=special)
    assert (labels[special] == -100).all()
    assert (inputs[special] == 500).all()
    assert (labels[~special] == 500).all()


def test_the_generator_decides():
    assert all(torch.equal(one, two) for one, two in zip(mask_many(), mask_many(), strict=True))


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_a_probability_that_is_none_is_refused(probability):
    with pytest.raises(ValueError, match=f"probability={probability} must be from 0 to 1"):
        mask_many(probability=probability)
