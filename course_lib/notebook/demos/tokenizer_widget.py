"""The playground's widget: what Python gives to the page once; the rest happens there."""

from pathlib import Path

import anywidget
import traitlets

GALLERY = Path(__file__).parent / "gallery"


class TokenizerWidget(anywidget.AnyWidget):
    """Tokenizers as `PageTokenizer.message()`, texts to begin with, a sentence below them."""

    _esm = "\n".join(
        (GALLERY / name).read_text(encoding="utf-8")
        for name in ("bpe.js", "tokenizer_playground.js")
    )
    _css = (GALLERY / "tokenizer_playground.css").read_text(encoding="utf-8")

    tokenizers = traitlets.List(traitlets.Dict()).tag(sync=True)
    presets = traitlets.List(traitlets.Dict()).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
