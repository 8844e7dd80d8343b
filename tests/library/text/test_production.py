"""Real vocabularies: published ids, round trips, spans, and the files' own libraries."""

import itertools

import pytest

from course_lib.text.production import PRODUCTION, byte_spans, load_production_tokenizer
from course_lib.text.readers import read_crime_and_punishment
from course_lib.text.sources import SourceError, source_file
from course_lib.text.tokenizers import BPETokenizer
from course_lib.text.tokenizers.tokenizer_json import load_tokenizer

NAMES = [
    pytest.param(name, marks=pytest.mark.needs(entry.source)) for name, entry in PRODUCTION.items()
]
HARD_TEXT = "Привет, мир! 🤦🏼‍♂️ a  b\n\tx 漢字 ꙮ <EOT> </s> 12345   x\r\n e\u0301 don't STOP  "


def test_byte_spans_by_hand():
    # 'aЖ🤦': 1 + 2 + 4 bytes, cut inside both of the long characters.
    assert list(byte_spans("aЖ🤦", [2, 1, 2, 2])) == [(0, 2), (1, 2), (2, 3), (2, 3)]
    assert list(byte_spans("abc", [2, 1])) == [(0, 2), (2, 3)]
    assert list(byte_spans("", [])) == []


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match="there are gpt2, p50k, claude"):
        load_production_tokenizer("gpt-5")


def test_a_missing_vocabulary_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    for entry in PRODUCTION.values():
        with pytest.raises(SourceError, match=f"course data {entry.source}"):
            entry.load()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [HARD_TEXT, "", " ", "\n", " a", "x" * 300, "ё" * 50],
    ids=["hard", "empty", "space", "newline", "space-a", "one-letter", "russian-letter"],
)
def test_every_text_comes_back(name, text):
    tokenizer = load_production_tokenizer(name)
    ids = tokenizer.encode(text)
    assert all(0 <= token < tokenizer.vocab_size for token in ids)
    expected = text.replace("e\u0301", "\u00e9") if name == "claude" else text
    assert tokenizer.decode(ids) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", [HARD_TEXT, "", " a", "plain text"], ids=["hard", "empty", "space-a", "plain"]
)
def test_pieces_are_the_tokens_and_cover_the_text(name, text):
    tokenizer = load_production_tokenizer(name)
    pieces = tokenizer.tokenize(text)
    assert [piece.id for piece in pieces] == tokenizer.encode(text)
    covered = set(itertools.chain.from_iterable(range(p.start, p.end) for p in pieces))
    # Hugging Face gives a composed letter (NFKC: e + accent) the span of its base alone.
    composed = {text.index("\u0301")} if name == "claude" and "\u0301" in text else set()
    assert covered | composed == set(range(len(text)))
    starts = [piece.start for piece in pieces]
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", NAMES)
def test_a_piece_shows_what_it_stands_for(name):
    text = "The river is wide.\nWe can not swim."
    for piece in load_production_tokenizer(name).tokenize(text):
        shown = piece.text.strip() or piece.text
        assert shown in (*text[piece.start : piece.end].split(), " ", "\n", "�")


@pytest.mark.parametrize("name", NAMES)
def test_special_tokens_in_a_text_are_plain_text(name):
    tokenizer = load_production_tokenizer(name)
    for special in ("<|endoftext|>", "<EOT>", "</s>", "<｜end▁of▁sentence｜>"):
        assert len(tokenizer.encode(special)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_half_a_character_is_a_value_error(name):
    with pytest.raises(ValueError, match="surrogate"):
        load_production_tokenizer(name).encode("a\ud83e")


@pytest.mark.needs("litellm")
@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        # Published: GPT-2's code, OpenAI's cookbook on counting tokens.
        ("gpt2", "Hello world", [15496, 995]),
        ("gpt2", "hello world", [31373, 995]),
        ("p50k", "tiktoken is great!", [83, 1134, 30001, 318, 1049, 0]),
        ("cl100k", "tiktoken is great!", [83, 1609, 5963, 374, 2294, 0]),
        ("o200k", "tiktoken is great!", [83, 8251, 2488, 382, 2212, 0]),
    ],
)
def test_published_ids(name, text, ids):
    assert load_production_tokenizer(name).encode(text) == ids


@pytest.mark.needs("litellm")
def test_gpt2_has_its_published_size_and_no_runs_of_spaces():
    gpt2, p50k = load_production_tokenizer("gpt2"), load_production_tokenizer("p50k")
    assert gpt2.vocab_size == 50_257
    indented = "x\n        y"
    assert gpt2.encode("plain text") == p50k.encode("plain text")
    assert len(gpt2.encode(indented)) > len(p50k.encode(indented))


@pytest.mark.slow
@pytest.mark.needs("litellm")
@pytest.mark.parametrize("name", ["gpt2", "claude"])
def test_our_own_tokenizer_gives_the_same_ids(name):
    real = load_production_tokenizer(name)
    if name == "gpt2":
        # The ranks alone: which merges they come from is reconstructed.
        ranks, pattern = real.encoding._mergeable_ranks, real.encoding._pat_str
        ours = BPETokenizer.from_ranks(ranks, pattern)
    else:
        ours = load_tokenizer(source_file("litellm", "anthropic_tokenizer.json"))
    assert ours.encode(HARD_TEXT) == real.encode(HARD_TEXT)
    assert ours.decode(real.encode(HARD_TEXT)) == real.decode(real.encode(HARD_TEXT))


@pytest.mark.needs("litellm", "mistral-common", "dashscope")
def test_published_vocabulary_sizes():
    sizes = {name: load_production_tokenizer(name).vocab_size for name in PRODUCTION}
    assert sizes["mistral"] == 32_000
    assert sizes["tekken"] == 131_072
    assert sizes["qwen"] == 151_646
    assert sizes["claude"] == 65_000
    assert sizes["cl100k"] == 100_277
    assert sizes["o200k"] == 200_019


@pytest.mark.needs("mistral-common")
def test_mistral_falls_back_to_bytes_which_share_a_span():
    pieces = load_production_tokenizer("mistral").tokenize("x漢")
    assert [(piece.text, piece.start, piece.end) for piece in pieces] == [
        *((" x", 0, 1), ("�", 1, 2), ("�", 1, 2), ("�", 1, 2))
    ]


@pytest.mark.needs("litellm", "mistral-common", "dashscope", "gensim")
def test_russian_costs_more_than_english_and_less_every_year():
    rows = [row for row in read_crime_and_punishment() if row["paragraph"] < 2]
    texts = {
        language: "\n".join(row["text"] for row in rows if row["language"] == language)
        for language in ("ru", "en")
    }
    ratios = {}
    for name in PRODUCTION:
        encode = load_production_tokenizer(name).encode
        ratios[name] = len(encode(texts["ru"])) / len(encode(texts["en"]))
    order = ["gpt2", "claude", "cl100k", "mistral", "qwen", "deepseek", "tekken", "o200k"]
    assert sorted(order, key=ratios.get, reverse=True) == order
    assert ratios["gpt2"] > 5
    assert ratios["o200k"] < 1.6
