"""Prompts and what should follow them, as a batch whose loss counts the completions alone."""

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.text.batches import IGNORED, Batch


def completion_batch(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """(prompt, completion) ids -> a row each, padded on the right; targets in the prompt: IGNORED.

    The first target is the completion's first token, at the place of the prompt's last one. Nothing
    needs hiding: causal attention never looks right, where the padding is. ValueError where a
    prompt or a completion is empty.

    Raffel et al. 2019, https://arxiv.org/abs/1910.10683, section 2.4. Chapters 03 and 09.
    """
    rows, targets = [], []
    for number, (prompt, completion) in enumerate(pairs):
        if not prompt or not completion:
            raise ValueError(f"pair {number} = {(prompt, completion)} must have two filled lists")
        ids = torch.tensor([*prompt, *completion])
        rows.append(ids[:-1])
        targets.append(ids[1:].clone())
        targets[-1][: len(prompt) - 1] = IGNORED
    if not rows:
        raise ValueError("there is nothing to learn from: give at least one pair")
    return Batch(
        pad_sequence(rows, batch_first=True),
        pad_sequence(targets, batch_first=True, padding_value=IGNORED),
    )
