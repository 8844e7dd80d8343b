"""Fill-in-the-middle: documents reordered, so that a left-to-right model learns to fill a gap.

In reading order: `Sentinels`, `infilling_prompt` (what the model is given), `fill_in_the_middle`
(what it is trained on), `restore_document` (the way back).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

MODES = ("psm", "spm")


class Sentinels(NamedTuple):
    """Ids of three tokens that no text has: each says which part begins."""

    prefix: int
    suffix: int
    middle: int


def infilling_prompt(
    prefix: str,
    suffix: str,
    *,
    mode: str,
    encode: Callable[[str], Sequence[int]],
    sentinels: Sentinels,
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
    document: str,
    generator: torch.Generator,
    *,
    mode: str,
    encode: Callable[[str], Sequence[int]],
    sentinels: Sentinels,
) -> list[int]:
    """A document cut at two random places, its middle moved to the end: nothing else changes.

    The cuts are uniform over the characters, ends included, so any part may be empty, and a cut
    inside a word teaches what to do there. The parts are encoded each for itself. Nothing is lost:
    see `restore_document`. Append the end token: it tells the model where the middle ends.

    Bavarian et al. 2022, https://arxiv.org/abs/2207.14255, section 3 and appendix D. Chapter 02.
    """
    cuts = torch.randint(len(document) + 1, (2,), generator=generator)
    start, end = sorted(cuts.tolist())
    prefix, middle, suffix = document[:start], document[start:end], document[end:]
    prompt = infilling_prompt(prefix, suffix, mode=mode, encode=encode, sentinels=sentinels)
    return [*prompt, *encode(middle)]


def restore_document(
    tokens: Sequence[int], *, decode: Callable[[list[int]], str], sentinels: Sentinels
) -> str:
    """The document of `fill_in_the_middle`, in either order: what follows <PRE>, <MID>, <SUF>.

    In "spm" nothing stands after <PRE>, and the prefix before the middle. ValueError unless each
    sentinel stands once, in this order.
    """
    places = [place for place, token in enumerate(tokens) if token in sentinels]
    found = tuple(tokens[place] for place in places)
    if found != tuple(sentinels) or places[0] != 0:
        raise ValueError(f"tokens have the sentinels {found}: they must be {tuple(sentinels)}")
    _, suffix, middle = places
    parts = tokens[1:suffix], tokens[middle + 1 :], tokens[suffix + 1 : middle]
    return "".join(decode(list(part)) for part in parts)
