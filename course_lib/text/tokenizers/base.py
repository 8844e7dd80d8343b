"""A tokenizer: normalizer -> pre-tokenizer -> model -> post-processor, and a decoder back.

In reading order: `Piece` (one token and where it stands), `Model` (what BPE, Unigram and
WordPiece have to offer), `WordCache`, `Tokenizer`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from course_lib.text.tokenizers.added_tokens import AddedToken, AddedTokenFinder
from course_lib.text.tokenizers.alignment import Aligned, Rewrite, Span

CACHED_WORDS = 2**18
CACHED_WORD_LENGTH = 256


class Piece(NamedTuple):
    """A token: its id, its vocabulary entry, and the characters start..end of the text."""

    id: int
    text: str
    start: int
    end: int


@runtime_checkable
class Model(Protocol):
    """What turns a word into ids; `type` is its name in a tokenizer.json.

    `spans(word)` gives, for each id of `encode_word(word)`, the characters of the word it stands
    for: several ids may share a span (the bytes of one character).
    """

    type: ClassVar[str]
    vocab: dict[str, int]

    def encode_word(self, word: str) -> list[int]: ...

    def spans(self, word: str) -> list[Span]: ...

    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Model": ...


class WordCache(dict[str, list[int]]):
    """word -> ids, computed at the first look-up.

    At most CACHED_WORDS words of at most CACHED_WORD_LENGTH characters are kept; a full cache is
    emptied.
    """

    def __init__(self, encode_word: Callable[[str], list[int]]):
        super().__init__()
        self.encode_word = encode_word

    def __missing__(self, word: str) -> list[int]:
        ids = self.encode_word(word)
        if len(word) <= CACHED_WORD_LENGTH:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids


class Tokenizer:
    """Text -> ids -> text, made of the same parts as Hugging Face's `tokenizers`.

    `encode` asks a cache of words; the model sees each word once. Spans are characters of the
    text that was given, whatever the normalizer made of it. Lone surrogates (half a character,
    no Unicode text) are a ValueError.

    Chapter 01.
    """

    def __init__(
        self,
        model: Model,
        *,
        normalizer: Any = None,
        pre_tokenizer: Any = None,
        post_processor: Any = None,
        decoder: Any = None,
        added_tokens: Iterable[AddedToken] = (),
    ):
        self.model = model
        self.normalizer = normalizer
        self.pre_tokenizer = pre_tokenizer
        self.post_processor = post_processor
        self.decoder = decoder
        self.added_tokens = tuple(sorted(added_tokens, key=lambda token: token.id))
        self._check_added_tokens()
        self._rewrites: Sequence[Rewrite] = normalizer.steps() if normalizer else []
        at_start = list(pre_tokenizer.steps(True)) if pre_tokenizer else []
        inside = list(pre_tokenizer.steps(False)) if pre_tokenizer else []
        cuts = [i for i, step in enumerate(inside) if not hasattr(step, "segments")]
        first_cut = cuts[0] + 1 if cuts else len(inside)
        self._steps = {True: at_start, False: inside}
        self._head = {True: at_start[:first_cut], False: inside[:first_cut]}
        self._tail = inside[first_cut:]
        self._words_depend_on_place = at_start[first_cut:] != self._tail
        self._cache = WordCache(self._encode_word)
        raw = {token.content: token for token in self.added_tokens if not token.normalized}
        self._find_raw = AddedTokenFinder(raw)
        self._find_normalized = AddedTokenFinder(
            {
                content: token
                for token in reversed(self.added_tokens)  # of equals the first stays
                if token.normalized and (content := self.normalize(token.content))
            }
        )

    def _check_added_tokens(self) -> None:
        names = {number: name for name, number in self.model.vocab.items()}
        for token in self.added_tokens:
            known = self.model.vocab.get(token.content, token.id)
            if known != token.id or names.get(token.id, token.content) != token.content:
                raise ValueError(
                    f"added token {token.content!r} with id {token.id} clashes with the model's "
                    f"{names.get(token.id, token.content)!r} with id "
                    f"{token.id if token.id in names else known}: ids and tokens are unique"
                )
            names[token.id] = token.content
        if len({token.content for token in self.added_tokens}) < len(self.added_tokens):
            raise ValueError("an added token is given twice: each needs one id")

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Token -> id, the model's and the added ones."""
        return self.model.vocab | {token.content: token.id for token in self.added_tokens}

    @property
    def vocab_size(self) -> int:
        """The largest id plus one: as many rows as an embedding needs."""
        return max(self.vocab.values(), default=-1) + 1

    @cached_property
    def _names(self) -> dict[int, str]:
        return {number: name for name, number in self.vocab.items()}

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(token.id for token in self.added_tokens if token.special)

    def normalize(self, text: str) -> str:
        """The text as the normalizer leaves it."""
        for rewrite in self._rewrites:
            text = rewrite(text)
        return text

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Text -> ids.

        By default special tokens written in the text are plain text and none are added;
        `special=True` finds them and adds the post-processor's ([CLS], <s>), as Hugging Face does.
        """
        if self._words_depend_on_place:
            ids = [piece.id for piece in self._pieces(text, special)]
        else:
            check_unicode(text)
            ids = list(chain.from_iterable(self._encode_parts(text, special)))
        return self.post_processor(ids) if special and self.post_processor else ids

    def _encode_parts(self, text: str, special: bool) -> Iterator[Iterable[int]]:
        cached = self._cache.__getitem__
        for raw_token, raw_start, raw_end in self._find_raw(text, special):
            if raw_token:
                yield [raw_token.id]
                continue
            part = self.normalize(text[raw_start:raw_end])
            for token, start, end in self._find_normalized(part, special):
                if token:
                    yield [token.id]
                else:
                    words = cut_words(part[start:end], self._head[raw_start + start == 0])
                    yield chain.from_iterable(map(cached, words))

    def _encode_word(self, word: str) -> list[int]:
        words = cut_words(word, self._tail)
        return list(chain.from_iterable(map(self.model.encode_word, words)))

    def tokenize(self, text: str) -> list[Piece]:
        """The tokens of `encode(text)` and where each stands in the text."""
        return list(self._pieces(text, special=False))

    def _pieces(self, text: str, special: bool) -> Iterator[Piece]:
        check_unicode(text)
        whole = Aligned.of(text)
        for raw_token, raw_start, raw_end in self._find_raw(text, special):
            if raw_token:
                yield Piece(raw_token.id, raw_token.content, raw_start, raw_end)
                continue
            part = whole.cut(raw_start, raw_end)
            for rewrite in self._rewrites:
                part = part.rewrite(rewrite.segments(part.text))
            for token, start, end in self._find_normalized(part.text, special):
                if token:
                    yield Piece(token.id, token.content, *part.span(start, end))
                    continue
                for word in self._aligned_words(part.cut(start, end)):
                    ids, spans = self.model.encode_word(word.text), self.model.spans(word.text)
                    for number, span in zip(ids, spans, strict=True):
                        yield Piece(number, self._names[number], *word.span(*span))

    def _aligned_words(self, part: Aligned) -> list[Aligned]:
        words = [part]
        for at_start, inside in zip(self._steps[True], self._steps[False], strict=True):
            after: list[Aligned] = []
            for word in words:
                step = at_start if word.origin[0][0] == 0 else inside
                if hasattr(step, "segments"):
                    after.append(word.rewrite(step.segments(word.text)))
                else:
                    after += [word.cut(*span) for span in step.spans(word.text)]
            words = [word for word in after if word.text]
        return words

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Ids -> text; bytes that are no UTF-8 become replacement characters.

        Decode all ids at once: one character may be several tokens.
        """
        skipped = self._special_ids if skip_special else frozenset()
        try:
            tokens = [self._names[number] for number in ids if number not in skipped]
        except KeyError as error:
            raise ValueError(
                f"id {error.args[0]} is not in the vocabulary of {len(self._names)} tokens"
            ) from None
        return self.decoder(tokens) if self.decoder else " ".join(tokens)

    def save(self, path: str | Path) -> Path:
        """Write a tokenizer.json (path: the file, or a folder), which Hugging Face opens."""
        from course_lib.text.tokenizers.tokenizer_json import write_tokenizer  # imports this module

        return write_tokenizer(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a tokenizer.json (path: the file, or its folder), ours or Hugging Face's."""
        from course_lib.text.tokenizers.tokenizer_json import load_tokenizer  # imports this module

        tokenizer = load_tokenizer(path)
        if not isinstance(tokenizer, cls):
            raise ValueError(
                f"{path} holds a {tokenizer.model.type} tokenizer, which {cls.__name__} is not: "
                f"use {type(tokenizer).__name__}.load or load_tokenizer"
            )
        return tokenizer


def cut_words(text: str, steps: Sequence[Any]) -> list[str]:
    """The words that the steps (rewrites and cuts) make of the text."""
    words = [text]
    for step in steps:
        if hasattr(step, "segments"):
            words = [step(word) for word in words]
        elif len(words) == 1:
            words = step(words[0])
        else:
            words = [new for word in words for new in step(word)]
    return words


def check_unicode(text: str) -> None:
    """ValueError if the text has a lone surrogate, with its place."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text has the lone surrogate {text[error.start]!r} at character {error.start}: "
            "it is half a character; decode the text with errors='replace'"
        ) from None
