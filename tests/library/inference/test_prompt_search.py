"""Prompt search against brute force; a batch of prompts against one prompt at a time."""

import itertools
import random

import pytest
import torch

from course_lib.inference.prompt_search import answer_prompts, search_prompts
from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.tokenizers import BPETokenizer


@pytest.mark.parametrize("seed", range(20))
def test_the_search_ends_where_no_single_change_helps(seed):
    """On random tables: a local best, found with every score it reports."""
    rng, slots = random.Random(seed), [("a", "b", "c"), ("d", "e"), ("f", "g", "h", "i")]
    table = {choice: rng.random() for choice in itertools.product(*slots)}
    best, scores = search_prompts(slots, table.__getitem__, max_scored=99)
    assert scores == {choice: table[choice] for choice in scores}
    assert table[best] == max(scores.values())
    for slot, options in enumerate(slots):
        for option in options:
            assert table[(*best[:slot], option, *best[slot + 1 :])] <= table[best]


def test_a_budget_below_one_is_refused():
    with pytest.raises(ValueError, match="max_scored=0"):
        search_prompts([("a",)], lambda choice: 0.0, max_scored=0)


def test_prompts_in_a_batch_are_answered_as_one_by_one():
    """Up to the end of the line; the tokens of `start` stand before each."""
    text = "Question: a pear and a plum. Answer: 2\nQuestion: a nut. Answer: 1\n"
    tokenizer = BPETokenizer.train([text], 280, special_tokens=["<|endoftext|>"])
    config = llama_config(vocab_size=280, model_dim=16, num_layers=1, num_heads=2)
    model = Transformer(config, seed=1).eval()
    with torch.no_grad():
        model.embedding.weight.mul_(30)
    prompts, start = ["Question: a nut.", "a pear and a plum", "Answer:"], [279]
    together = answer_prompts(model, tokenizer, prompts, start=start, max_new_tokens=7)
    alone = [
        answer_prompts(model, tokenizer, [prompt], start=start, max_new_tokens=7)[0]
        for prompt in prompts
    ]
    assert together == alone
    assert all("\n" not in each[:-1] for each in together)
