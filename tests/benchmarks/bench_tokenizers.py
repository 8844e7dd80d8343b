"""Rows 1, 3 and 5 of the goals: training, encoding a book, one endless word."""

import json
import random
import sysconfig
from pathlib import Path

import rustbpe
import tiktoken
import tokenizers as hf

from course_lib.text.corpora import load_corpus
from course_lib.text.stories.corpus import make_story
from course_lib.text.tokenizers import BPETokenizer
from course_lib.text.tokenizers.pre_tokenizers import BYTE_OF_CHARACTER, GPT4_PATTERN
from course_lib.text.tokenizers.tokenizer_json import tokenizer_to_json
from tests.benchmarks.contest import describe_machine, measure, report

TRAINING_LETTERS = 10_000_000
VOCAB_SIZE = 8192
BOOK_LETTERS = 269_000
WORD_LETTERS = 1_000_000


def library_text(letters: int) -> str:
    """The source of Python's standard library, so many letters of it: text that is always there."""
    texts, length = [], 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        texts.append(path.read_text(encoding="utf-8", errors="ignore"))
        length += len(texts[-1])
        if length >= letters:
            break
    return "".join(texts)[:letters]


def literature() -> str:
    """Shakespeare, where it was fetched, else stories that stand in for him."""
    return "\n\n".join(load_corpus("shakespeare")["text"])


def natural_text(letters: int) -> str:
    """Shakespeare, then stories in English and Russian: so many letters of prose."""
    texts = [literature()]
    missing = letters - len(texts[0])
    for i in range(max(missing, 0)):
        story = make_story(i)
        texts += [story.english, story.russian]
        missing -= len(story.english) + len(story.russian)
        if missing <= 0:
            break
    return "\n\n".join(texts)[:letters]


def hugging_face() -> hf.Tokenizer:
    """An untrained byte-level BPE there."""
    theirs = hf.Tokenizer(hf.models.BPE())
    theirs.pre_tokenizer = hf.pre_tokenizers.Sequence(
        [
            hf.pre_tokenizers.Split(hf.Regex(GPT4_PATTERN), "isolated"),
            hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return theirs


def train_hugging_face(texts: list[str]) -> hf.Tokenizer:
    """Trained there."""
    theirs = hugging_face()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        show_progress=False,
        initial_alphabet=hf.pre_tokenizers.ByteLevel.alphabet(),
    )
    theirs.train_from_iterator(texts, trainer)
    return theirs


def train_rustbpe(texts: list[str]) -> rustbpe.Tokenizer:
    """Trained there."""
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(texts, VOCAB_SIZE, pattern=GPT4_PATTERN)
    return theirs


def ranks_of(tokenizer: BPETokenizer) -> dict[bytes, int]:
    """Token bytes -> id, as tiktoken wants them."""
    vocab = tokenizer.model.vocab.items()
    return {bytes(map(BYTE_OF_CHARACTER.__getitem__, token)): i for token, i in vocab}


def run_training(kind: str, text: str, rounds: int) -> BPETokenizer:
    """Row 1; returns the tokenizer."""
    lines = text.splitlines(keepends=True)
    texts = ["".join(lines[i : i + 1000]) for i in range(0, len(lines), 1000)]

    def fresh(number: int) -> list[str]:
        return texts[number:] + texts[:number]

    ours = BPETokenizer.train(texts, VOCAB_SIZE)
    theirs = dict(train_rustbpe(texts).get_mergeable_ranks())
    same = "identical to rustbpe" if ranks_of(ours) == theirs else "NOT THOSE OF rustbpe"
    seconds = measure(
        {
            "course_lib": (fresh, lambda given: BPETokenizer.train(given, VOCAB_SIZE)),
            "tokenizers": (fresh, train_hugging_face),
            "rustbpe": (fresh, train_rustbpe),
        },
        rounds,
    )
    megabytes = len(text.encode()) / 1e6
    title = f"Row 1: training, {kind}, {megabytes:.1f} MB, {VOCAB_SIZE} entries; merges {same}"
    report(title, "course_lib", seconds, {"tokenizers": "<= 0.5", "rustbpe": "<= 2"})
    return ours


def run_encoding(kind: str, trained: BPETokenizer, text: str, rounds: int) -> None:
    """Row 3."""
    file_form = hf.Tokenizer.from_str(file_text(trained))
    tik = tiktoken.Encoding(
        "bench", pat_str=GPT4_PATTERN, mergeable_ranks=ranks_of(trained), special_tokens={}
    )

    def book(number: int) -> str:
        start = number * 1000 % (len(text) - BOOK_LETTERS)
        return text[start : start + BOOK_LETTERS]

    def cold(number: int) -> tuple[BPETokenizer, str]:
        trained.model._linear.compatible.clear()
        parts = {"pre_tokenizer": trained.pre_tokenizer, "decoder": trained.decoder}
        return BPETokenizer(trained.model, **parts), book(number)

    def warm(number: int) -> tuple[BPETokenizer, str]:
        tokenizer, given = cold(number)
        tokenizer.encode(given)
        return tokenizer, given

    def new_peer(number: int) -> tuple[hf.Tokenizer, str]:
        return hf.Tokenizer.from_str(file_form.to_str()), book(number)

    same = trained.encode(book(0)) == tik.encode_ordinary(book(0)) == file_form.encode(book(0)).ids
    seconds = measure(
        {
            "course_lib, cold": (cold, lambda given: given[0].encode(given[1])),
            "course_lib, warm": (warm, lambda given: given[0].encode(given[1])),
            "tokenizers": (new_peer, lambda given: given[0].encode(given[1])),
            "tiktoken": (book, tik.encode_ordinary),
            "the regex split alone": (book, trained.pre_tokenizer.pretokenizers[0]),
        },
        rounds,
    )
    title = (
        f"Row 3: encoding, {kind}, {BOOK_LETTERS} letters; ids equal to both peers': {same}; "
        "goals: cold <= 80 ms, warm <= 25 ms"
    )
    report(title, "course_lib, cold", seconds, {"tokenizers": "<= 0.167"})


def file_text(tokenizer: BPETokenizer) -> str:
    """The tokenizer.json as text."""
    return json.dumps(tokenizer_to_json(tokenizer))


def run_endless_word(trained: BPETokenizer, rounds: int) -> None:
    """Row 5."""
    words = [word for word in trained.vocab if word.isascii() and word.isalpha()]
    kinds = {
        "one letter": lambda generator, n: "a" * n,
        "random letters": lambda generator, n: "".join(generator.choices("etaoinshrdlu", k=n)),
        "random tokens": lambda generator, n: "".join(generator.choices(words, k=n))[:n],
    }
    print("\nRow 5: one word of 10^6 letters; goals: time(2n) / time(n) <= 2.2, >= 1 MB/s")
    for name, make in kinds.items():
        contestants = {
            str(n): (lambda i, n=n, make=make: make(random.Random(i), n), trained.model.encode_word)
            for n in (WORD_LETTERS // 2, WORD_LETTERS)
        }
        half, whole = map(min, measure(contestants, rounds).values())
        speed = WORD_LETTERS / whole / 1e6
        print(f"  {name:28} {whole * 1e3:10.1f} ms  ratio {whole / half:.2f}  {speed:.2f} MB/s")


def run(rounds: int) -> None:
    """All rows, on code and on prose."""
    print(describe_machine(["tokenizers", "tiktoken", "rustbpe", "regex"]))
    code = library_text(TRAINING_LETTERS)
    trained = run_training("Python code", code, rounds)
    run_encoding("Python code", trained, code[2_000_000:4_000_000], rounds)
    prose = natural_text(TRAINING_LETTERS * 9 // 10)  # Russian letters are two bytes
    trained = run_training("Shakespeare and stories", prose, rounds)
    run_encoding("Shakespeare", trained, literature(), rounds)
    run_endless_word(trained, rounds)
