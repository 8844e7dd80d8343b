"""What SmolLM2's 270 heads look at in any sentence: all of them small, one of them large."""

import base64
import io
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING

from course_lib.notebook.demos.framework import Demo, Slider, TextField
from course_lib.notebook.demos.real_model import attention_of
from course_lib.notebook.plots import OKABE_ITO
from course_lib.text.sources import SourceError

if TYPE_CHECKING:
    import numpy

NUM_LAYERS, NUM_HEADS = 30, 9


@cache
def palette() -> "numpy.ndarray":
    """256 colours from no weight to all of it, as bytes."""
    import matplotlib
    import numpy

    return (255 * matplotlib.colormaps["cividis"](numpy.linspace(0, 1, 256))[:, :3]).astype("uint8")


def levels(weights: "numpy.ndarray") -> "numpy.ndarray":
    """Weights from 0 to 1 as places in the palette; the root lifts the small ones into sight."""
    return (255 * weights.clip(0, 1) ** 0.5).round().astype(int)


@lru_cache(maxsize=32)
def mosaic(sentence: str) -> str:
    """All heads as one PNG in base64: a column a layer, a row a head, white lines between."""
    import numpy
    from PIL import Image

    weights = attention_of(sentence)[1].numpy()
    layers, heads, size, _ = weights.shape
    pixels = numpy.full((layers, heads, size + 1, size + 1, 3), 255, dtype="uint8")
    pixels[:, :, :size, :size] = palette()[levels(weights)]
    rows = pixels.transpose(1, 2, 0, 3, 4).reshape(heads * (size + 1), layers * (size + 1), 3)
    buffer = io.BytesIO()
    Image.fromarray(rows).save(buffer, format="png", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def render(*, sentence: str, layer: int, head: int) -> str:
    """Above all heads, the chosen one framed; below it a table, queries down and keys across."""
    words = escape(describe(sentence=sentence, layer=layer, head=head))
    try:
        names, weights = attention_of(sentence)
    except SourceError:
        return f"<p>{words}</p>"
    place = (
        f"left:{100 * (layer - 1) / NUM_LAYERS:.2f}%;top:{100 * (head - 1) / NUM_HEADS:.2f}%;"
        f"width:{100 / NUM_LAYERS:.2f}%;height:{100 / NUM_HEADS:.2f}%"
    )
    frame = f"position:absolute;box-sizing:border-box;border:3px solid {OKABE_ITO[1]};{place}"
    picture = "display:block;width:100%;height:216px;image-rendering:pixelated"
    return (
        '<div style="min-width:340px;max-width:720px;font-size:15px">'
        f'<div style="position:relative"><img alt="{words}" style="{picture}" decoding="sync" '
        f'src="data:image/png;base64,{mosaic(sentence)}"><div style="{frame}"></div></div>'
        f"<div>All heads: layers 1 to {NUM_LAYERS} from left to right, heads 1 to {NUM_HEADS} from "
        f"top to bottom. Layer {layer}, head {head}, each row looks at:</div>"
        f"{table(names, weights[layer - 1, head - 1].numpy())}</div>"
    )


def table(names: tuple[str, ...], weights: "numpy.ndarray") -> str:
    """One head: a row a query, a column a key; pointing at a cell shows the weight."""
    shown = [escape(name.strip() or "␣") for name in names]
    turned = "writing-mode:vertical-rl;transform:rotate(180deg);max-height:7em"
    head = "".join(
        f'<th scope="col" style="padding:2px"><span style="{turned}">{name}</span></th>'
        for name in shown
    )
    side = max(14, min(26, 460 // len(names)))
    colours = ["#" + bytes(colour).hex() for colour in palette()]
    rows = []
    for query, places, row in zip(shown, levels(weights), weights, strict=True):
        cells = "".join(
            f'<td title="{query} → {key}: {weight:.2f}" '
            f'style="background:{colours[place]};padding:0;min-width:{side}px;height:{side}px"></td>'
            for key, place, weight in zip(shown, places, row, strict=True)
        )
        rows.append(
            f'<tr><th scope="row" style="text-align:right;padding:0 4px">{query}</th>{cells}</tr>'
        )
    return (
        '<table style="border-collapse:collapse;font-size:14px;margin:0"><thead><tr><td></td>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def describe(*, sentence: str, layer: int, head: int) -> str:
    """Where the last token looks, and where the head looks on average, with the weights."""
    try:
        names, weights = attention_of(sentence)
    except SourceError as error:
        return f"Layer {layer}, head {head} for {sentence!r} needs SmolLM2: {error}"
    chosen = weights[layer - 1, head - 1]
    words = f"Layer {layer}, head {head} of SmolLM2, {len(names)} tokens: "
    best = int(chosen[-1].argmax())
    words += f"the last, {names[-1].strip()!r}, looks at {names[best].strip()!r} most "
    words += f"({chosen[-1, best]:.2f})."
    if len(names) > 1:
        first, previous = chosen[1:, 0].mean(), chosen.diagonal(-1).mean()
        words += f" On average {first:.2f} of the weight is on the first token, "
        words += f"{previous:.2f} on the token before."
    return words


def _preset(sentence: str, layer: int, head: int) -> dict[str, str | int]:
    return {"sentence": sentence, "layer": layer, "head": head}


DEMO = Demo(
    title="What SmolLM2's 270 heads look at",
    controls={
        "sentence": TextField("sentence"),
        "layer": Slider("layer", 1, NUM_LAYERS, 1),
        "head": Slider("head", 1, NUM_HEADS, 1),
    },
    presets={
        "what 'it' is": _preset("The cat sat on the mat because it was tired.", 14, 9),
        "the token before": _preset("The cat sat on the mat because it was tired.", 17, 1),
        "repetition": _preset("A red fox met a blue owl. Later the red fox met the blue", 18, 6),
        "nothing: the first token": _preset("The cat sat on the mat because it was tired.", 19, 9),
        "another 'it'": _preset("Anna gave the book to Boris, and then he gave it back.", 14, 9),
    },
    render=render,
    describe=describe,
)
