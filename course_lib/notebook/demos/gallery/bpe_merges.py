"""BPE growing merge by merge: a text in coloured pieces after k merges, and its length."""

from collections import Counter
from functools import cache

from course_lib.notebook.demos.framework import Choice, Demo, Slider
from course_lib.notebook.demos.pieces import coloured_pieces, shown_bytes

TEXTS = {
    "low lower": "low lower lowest newer newest wide wider widest",
    "English": "She sells sea shells on the sea shore; the shells she sells are sea shells, "
    "I am sure, for if she sells shells on the sea shore, then they are sea shore shells.",
    "Russian": "Шла Саша по шоссе и сосала сушку, а навстречу Саше шла Глаша, "
    "и у Глаши тоже сушка, и сушили они сушки на шоссе.",
    "code": "for i in range(10):\n    for j in range(i):\n        total[i] += value[j]\n"
    "    if total[i] > total[j]:\n        best = i\n",
}
MOST_MERGES = 40
WIDTH, HEIGHT = 520, 110


@cache
def history(text: str) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, int, int], ...]]:
    """The words after 0, 1, 2, ... merges joined to one row each, and (left, right, count)."""
    import regex

    from course_lib.text.tokenizers.bpe import count_pairs, merge_pair, train_bpe

    words = [tuple(word.encode()) for word in regex.findall(r" ?\S+|\s+", TEXTS[text])]
    rows, steps = [tuple(number for word in words for number in word)], []
    for new_id, pair in enumerate(train_bpe(Counter(words), MOST_MERGES), start=256):
        steps.append((*pair, count_pairs(Counter(words))[pair]))
        words = [merge_pair(word, pair, new_id) for word in words]
        rows.append(tuple(number for word in words for number in word))
    return tuple(rows), tuple(steps)


def names_of(text: str) -> dict[int, bytes]:
    """The bytes of each token."""
    names = {number: bytes([number]) for number in range(256)}
    for new_id, (left, right, _) in enumerate(history(text)[1], start=256):
        names[new_id] = names[left] + names[right]
    return names


def done(text: str, merges: int) -> int:
    """Merges asked for, or as many as the text has."""
    return min(merges, len(history(text)[1]))


def render(*, text: str, merges: int) -> str:
    """The pieces, the merge just made, and the curve of the text's length."""
    names, number = names_of(text), done(text, merges)
    row = history(text)[0][number]
    words = describe(text=text, merges=merges)
    return coloured_pieces([names[token] for token in row], words) + curve(text, number)


def describe(*, text: str, merges: int) -> str:
    """The last merge and the two lengths, in words."""
    rows, steps = history(text)
    number = done(text, merges)
    made = "No merge yet: every byte is a token."
    if number:
        names, (left, right, count) = names_of(text), steps[number - 1]
        parts = [shown_bytes(names[token]) for token in (left, right, 255 + number)]
        made = f"Merge {number}: {parts[0]} + {parts[1]} → {parts[2]}, count {count}."
    return (
        f"{made} {256 + number} entries in the vocabulary, {len(rows[number])} tokens in the text."
    )


def curve(text: str, number: int) -> str:
    """Tokens in the text against merges, as SVG; a dot marks where we are."""
    lengths = [len(row) for row in history(text)[0]]
    x = [40 + (WIDTH - 50) * step / MOST_MERGES for step in range(len(lengths))]
    y = [10 + (HEIGHT - 40) * (1 - length / lengths[0]) for length in lengths]
    line = " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(x, y, strict=True))
    label = f"{lengths[0]} tokens at first, {lengths[number]} after {number} merges"
    return (
        f'<svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" '
        'style="color:var(--jp-ui-font-color1, currentColor)" fill="none" stroke="currentColor">'
        f'<path d="M40 5V{HEIGHT - 30}H{WIDTH - 5}"/>'
        f'<polyline points="{line}" stroke="#0072B2" stroke-width="2.5"/>'
        f'<circle cx="{x[number]:.1f}" cy="{y[number]:.1f}" r="6" fill="#D55E00" stroke="none"/>'
        '<g fill="currentColor" stroke="none" font-size="13">'
        f'<text x="2" y="16">{lengths[0]}</text><text x="22" y="{HEIGHT - 28}">0</text>'
        f'<text x="40" y="{HEIGHT - 10}">tokens in the text against merges (0 to {MOST_MERGES})'
        "</text></g></svg>"
    )


DEMO = Demo(
    title="BPE learns a vocabulary, merge by merge",
    controls={
        "text": Choice("text", tuple(TEXTS)),
        "merges": Slider("merges", 0, MOST_MERGES, 1),
    },
    presets={
        "low lower, 4 merges": {"text": "low lower", "merges": 4},
        "English, 12": {"text": "English", "merges": 12},
        "Russian, 30": {"text": "Russian", "merges": 30},
        "code, 12": {"text": "code", "merges": 12},
        "bytes": {"text": "English", "merges": 0},
    },
    render=render,
    describe=describe,
)
