"""Choosing among prompts, and among answers.

In reading order: `search_prompts` (the best of many wordings, by trying few), `majority_answer`
(one answer from several samples), `answer_prompts` (a batch of prompts to texts).
"""

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.inference.generate import generate
from course_lib.text.tokenizers import Tokenizer


def search_prompts(
    slots: Sequence[Sequence[str]], score: Callable[[tuple[str, ...]], float], *, max_scored: int
) -> tuple[tuple[str, ...], dict[tuple[str, ...], float]]:
    """Coordinate search: the best choice found, one option a slot, and every score on the way.

    Starts with the first option of each slot. Slot by slot it scores the other options with the
    rest of the best choice kept, and goes over to the best of them if it is better. Ends when a
    round over all slots changes nothing, or when `max_scored` choices were scored; none is scored
    twice. It may end where no single change helps and two would.

    Zhou et al. 2022, https://arxiv.org/abs/2211.01910, eq. 1 (the problem); Prasad et al. 2022,
    https://arxiv.org/abs/2203.07281, section 3 (search by edits). Chapter 03.
    """
    if max_scored < 1:
        raise ValueError(f"max_scored={max_scored} must be at least 1")
    best = tuple(options[0] for options in slots)
    scores = {best: score(best)}
    changed = True
    while changed:
        changed = False
        for slot, options in enumerate(slots):
            start = best
            for option in options:
                choice = (*start[:slot], option, *start[slot + 1 :])
                if choice not in scores:
                    if len(scores) == max_scored:
                        return best, scores
                    scores[choice] = score(choice)
                if scores[choice] > scores[best]:
                    best, changed = choice, True
    return best, scores


def majority_answer(answers: Sequence[int | None]) -> int | None:
    """The answer that most of the samples gave; of equally frequent ones the earliest.

    None (a sample without an answer) has no vote; with nothing else the answer is None.

    Wang et al. 2022, https://arxiv.org/abs/2203.11171, section 2. Chapter 03.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    return votes.most_common(1)[0][0] if votes else None


def answer_prompts(
    model: Callable[..., Tensor],
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    start: Sequence[int] = (),
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[str]:
    """What the model writes behind each prompt, up to the end of the line or of the text.

    `start` are tokens before every prompt: the beginning of text, a soft prompt. Prompts of nearly
    equal length share a batch best. Chapter 03.
    """
    tokens = [[*start, *tokenizer.encode(prompt)] for prompt in prompts]
    ends = [tokenizer.vocab["<|endoftext|>"]] if "<|endoftext|>" in tokenizer.vocab else []
    written = generate(
        model,
        tokens,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        stop=[tokenizer.encode("\n"), *ends],
        generator=generator,
    )
    return [tokenizer.decode(ids) for ids in written]
