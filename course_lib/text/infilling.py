"""Fill-in-the-middle: documents reordered, so that a left-to-right model learns to fill a gap.

In reading order: `Sentinels`, `infilling_prompt` (what the model is given), `fill_in_the_middle`
(what it is trained on), `restore_document` (the way back).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

MODES = ("psm", "spm")
Encode = Callable[[Any], Sequence[int]]


class Sentinels(NamedTuple):
    """Ids of three tokens that no text has: each says which part begins."""

    prefix: int
    suffix: int
    middle: int


def infilling_prompt(
    prefix: str | Sequence[int],
    suffix: str | Sequence[int],
    *,
    mode: str,
    sentinels: Sentinels,
    encode: Encode = list,
) -> list[int]:
    """What is around a gap, ready to be continued by what belongs into it.

    "psm": <PRE> prefix <SUF> suffix <MID>. "spm": <PRE> <SUF> suffix <MID> prefix, in which the
    model goes on from the prefix as in any text, and a growing prefix leaves a cache valid.

    Bavarian et al. 2022, https://arxiv.org/abs/2207.14255, section 3 and appendix D. Chapter 02.
    """
    if mode not in MODES:
        raise ValueError(f"mode = {mode!r}: it must be one of {', '.join(MODES)}")
    before, after = encode(prefix), encode(suffix)
    if mode == "psm":
        return [sentinels.prefix, *before, sentinels.suffix, *after, sentinels.middle]
    return [sentinels.prefix, sentinels.suffix, *after, sentinels.middle, *before]


def fill_in_the_middle(
    document: str | Sequence[int],
    generator: torch.Generator,
    *,
    mode: str,
    sentinels: Sentinels,
    encode: Encode = list,
) -> list[int]:
    """A document cut at two random places, its middle moved to the end: nothing else changes.

    A text is cut between characters, so that a gap inside a word is learned too, and each part is
    encoded for itself by `encode`; a list of tokens is cut between tokens. The cuts are uniform,
    both ends included: any part may be empty. Append the end token: it says where a middle ends.

    Bavarian et al. 2022, https://arxiv.org/abs/2207.14255, section 3 and appendix D. Chapter 02.
    """
    cuts = torch.randint(len(document) + 1, (2,), generator=generator)
    start, end = sorted(cuts.tolist())
    prefix, middle, suffix = document[:start], document[start:end], document[end:]
    prompt = infilling_prompt(prefix, suffix, mode=mode, sentinels=sentinels, encode=encode)
    return [*prompt, *encode(middle)]


def restore_document(tokens: Sequence[int], *, sentinels: Sentinels) -> list[int]:
    """The document's tokens in their order again: what follows <PRE>, <MID> and <SUF>.

    It serves both orders: in "spm" nothing follows <PRE>, and the prefix stands before the middle.
    ValueError unless <PRE>, <SUF>, <MID> stand once each, in this order, the first at the start.
    """
    places = [place for place, token in enumerate(tokens) if token in sentinels]
    found = [tokens[place] for place in places]
    expected = [sentinels.prefix, sentinels.suffix, sentinels.middle]
    if found != expected or places[0] != 0:
        raise ValueError(f"tokens hold the sentinels {found}: they must hold {expected}")
    _, suffix, middle = places
    return [*tokens[1:suffix], *tokens[middle + 1 :], *tokens[suffix + 1 : middle]]
