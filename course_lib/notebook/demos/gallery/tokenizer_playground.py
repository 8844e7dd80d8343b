"""A playground for tokenizers: any text, its coloured tokens, ours and production's side by side.

The page runs BPE itself (`bpe.js`), so that it follows every key in a book of 269,000 characters.
"""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING

from course_lib.notebook.demos.page_tokenizers import PageTokenizer, of_ours, of_tiktoken
from course_lib.notebook.demos.pieces import coloured_pieces

if TYPE_CHECKING:
    import ipywidgets

    from course_lib.text.tokenizers import BPETokenizer

BOOK_LENGTH = 269_000
VOCAB_SIZE = 4_096
PRODUCTION_NAMES = {"gpt2": "GPT-2 (2019)", "cl100k": "GPT-4 (2023)", "o200k": "GPT-4o (2024)"}

PRESETS = {
    "English": "The teacher's unhappiness was unbelievable: she'd re-read 1,234 misspelled essays.",
    "Russian": "Учительница была невероятно несчастна: она перечитала 1234 сочинения с ошибками.",
    "code": "def greet(name):\n    if name is None:\n        return 'Hello!'\n"
    "    return f'Hello, {name}!'\n",
    "emoji": "Thumbs up 👍🏽, a family 👨‍👩‍👧‍👦, a flag 🏴‍☠️ and a naïve café ☕️",
    "one sentence, two languages": "The cat sat by the window and watched the birds.\n"
    "Кошка сидела у окна и смотрела на птиц.\n",
}


@dataclass(frozen=True)
class Playground:
    """The demo: `widget()` in a live page, `strip()` elsewhere. Training takes half a second."""

    title: str = "Tokenizer playground: any text, ours and production's tokens"

    @cached_property
    def book(self) -> tuple[str, str]:
        """269,000 characters, and a sentence that says of what."""
        from course_lib.text.corpora import load_corpus
        from course_lib.text.sources import SourceError

        try:
            rows = load_corpus("shakespeare", streaming=True)
            texts, origin = (row["text"] for row in rows), rows.info.description
        except SourceError as error:
            texts, origin = iter(PRESETS.values()), f"the short texts, again and again ({error})"
        book = ""
        for text in cycle(texts):
            book += text + "\n\n"
            if len(book) >= BOOK_LENGTH:
                return book[:BOOK_LENGTH], f"The book: {origin}."
        raise ValueError("the book is empty")

    @cached_property
    def ours(self) -> "BPETokenizer":
        """4,096 entries learned from the book, and nothing else: it knows no Russian."""
        from course_lib.text.tokenizers import BPETokenizer

        return BPETokenizer.train([self.book[0]], VOCAB_SIZE)

    @cached_property
    def tokenizers(self) -> tuple[PageTokenizer, ...]:
        """Ours, then those of production whose vocabularies were fetched."""
        from course_lib.text.production import load_production_tokenizer
        from course_lib.text.sources import SourceError
        from course_lib.text.tokenizers.pre_tokenizers import GPT4_PATTERN

        found = [of_ours("ours, trained on the book", self.ours, GPT4_PATTERN)]
        for source, name in PRODUCTION_NAMES.items():
            try:
                found.append(of_tiktoken(name, load_production_tokenizer(source).encoding))
            except SourceError:
                continue  # the note says what to fetch
        return tuple(found)

    @property
    def note(self) -> str:
        """What the book is, and which tokenizers are missing and why."""
        present = {tokenizer.name for tokenizer in self.tokenizers}
        missing = [name for name in PRODUCTION_NAMES.values() if name not in present]
        absent = (
            f" Missing: {', '.join(missing)}; run `course data litellm` once." if missing else ""
        )
        return self.book[1] + absent

    def describe(self, text: str) -> str:
        """How many tokens ours makes of the text."""
        num_tokens = len(self.ours.encode(text))
        return (
            f"{num_tokens} tokens for {len(text)} characters and {len(text.split())} words: "
            f"{len(text) / num_tokens:.1f} characters per token, "
            f"{num_tokens / len(text.split()):.1f} tokens per word."
        )

    def frame(self, text: str) -> str:
        """The text in our tokens, with ids, as plain HTML."""
        ids = self.ours.encode(text)
        tokens = [self.tokenizers[0].tokens[number] for number in ids]
        words = self.describe(text)
        return coloured_pieces(tokens, words, names=[str(number) for number in ids]) + escape(words)

    def strip(self) -> str:
        """The first four texts in our tokens, as plain HTML."""
        frames = (
            f'<div style="max-width:380px"><b>{escape(name)}</b>{self.frame(text)}</div>'
            for name, text in list(PRESETS.items())[:4]
        )
        return (
            f"<p><b>{escape(self.title)}</b> (ours, {VOCAB_SIZE:,} entries learned from a book)</p>"
            f'<div style="display:flex;flex-wrap:wrap;gap:1em">{"".join(frames)}</div>'
        )

    def widget(self) -> "ipywidgets.Widget":
        """The live page; 2.5 MB of vocabularies are sent to it once."""
        import ipywidgets

        from course_lib.notebook.demos.tokenizer_widget import TokenizerWidget

        texts = {**PRESETS, "the whole book": self.book[0]}
        page = TokenizerWidget(
            tokenizers=[tokenizer.message() for tokenizer in self.tokenizers],
            presets=[{"name": name, "text": text} for name, text in texts.items()],
            note=self.note,
        )
        title = ipywidgets.HTML(f'<b style="font-size:16px">{escape(self.title)}</b>')
        return ipywidgets.VBox([title, page])


DEMO = Playground()
