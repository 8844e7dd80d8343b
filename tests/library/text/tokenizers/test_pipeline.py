"""Every part, and random combinations of parts, against Hugging Face's `tokenizers`."""

import json
from unicodedata import ucd_3_2_0 as old_unicode

import pytest
import tokenizers as hf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from course_lib.text.tokenizers.base import Tokenizer
from course_lib.text.tokenizers.tokenizer_json import tokenizer_from_json, tokenizer_to_json

TEXTS = [
    "",
    " ",
    " \n\t  \r\n ",
    "Hello, World! It's 12345 o'clock; don't they'll",
    "  Съешь ещё  этих мягких французских булок, ЁЛКИ й\u0306",
    "👩‍👩‍👧 🙂🙂 🇷🇺 x",
    "e\u0301e\u0301\u0323 \u0301x ｆｕｌｌ ﬁ ① Å ΑΣ ΑΣ. İ ǅ",
    "中文字 and 日本語テキスト가각",
    "a▁b ▁▁c <s> [CLS] <0x41>",
    "tab\tand\x00nul\x0b\x85\u2028line\ufffd\u00ad",
]
# Characters that Unicode 3.2 knew: every library's tables agree on these.
OLD = st.characters(exclude_categories=["Cs"]).filter(lambda c: old_unicode.category(c) != "Cn")
TEXT = st.one_of(
    st.sampled_from(TEXTS),
    st.text(st.one_of(OLD, st.sampled_from(" \n\tabAB12.,'▁éЙ中e\u0301\u0300🙂"))),
)
REGEX = st.sampled_from([r"\s+", r"\p{L}+", r"a|b", r"[^\s\p{L}]+", r" ?\p{N}{1,3}", "^a|b$", "."])
PATTERN = st.one_of(
    REGEX.map(lambda text: {"Regex": text}),
    st.sampled_from([" ", "a", "ab", ".", "▁"]).map(lambda text: {"String": text}),
)
BOOL = st.booleans()


def part(kind: str, **given_fields) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries({"type": st.just(kind), **given_fields})


def with_sequences(parts: st.SearchStrategy, key: str) -> st.SearchStrategy:
    several = st.lists(parts, max_size=4)
    if key == "processors":
        several = st.lists(parts, max_size=3, unique_by=lambda child: child["type"] == "ByteLevel")
    return st.one_of(
        st.none(), parts, several.map(lambda children: {"type": "Sequence", key: children})
    )


NORMALIZERS = st.one_of(
    part("NFC"),
    part("NFKC"),
    part("Lowercase"),
    part("StripAccents"),
    part(
        "BertNormalizer",
        clean_text=BOOL,
        handle_chinese_chars=BOOL,
        strip_accents=st.none() | BOOL,
        lowercase=BOOL,
    ),
    part("Replace", pattern=PATTERN, content=st.sampled_from(["", "_", "xyz", "▁"])),
    part("Prepend", prepend=st.sampled_from(["▁", "ab"])),
)
BYTE_LEVEL = part("ByteLevel", add_prefix_space=BOOL, trim_offsets=st.just(False), use_regex=BOOL)
METASPACE = part(
    "Metaspace",
    replacement=st.just("▁"),
    prepend_scheme=st.sampled_from(["always", "first", "never"]),
    split=BOOL,
)
PRE_TOKENIZERS = st.one_of(
    BYTE_LEVEL,
    part(
        "Split",
        pattern=PATTERN,
        behavior=st.sampled_from(
            ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
        ),
        invert=BOOL,
    ),
    part("Whitespace"),
    part("BertPreTokenizer"),
    METASPACE,
    part("Digits", individual_digits=BOOL),
)
DECODERS = st.one_of(
    BYTE_LEVEL,
    METASPACE,
    part("WordPiece", prefix=st.just("##"), cleanup=BOOL),
    part("ByteFallback"),
    part("Fuse"),
    part("Replace", pattern=PATTERN, content=st.sampled_from(["", " "])),
    part("Strip", content=st.just(" "), start=st.integers(0, 1), stop=st.just(0)),
)
CLS = {"id": "[CLS]", "ids": [700, 701], "tokens": ["[CLS]", "[CLS]"]}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[CLS]", "type_id": 1}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"[CLS]": CLS},
}
PROCESSORS = st.one_of(
    st.just(TEMPLATE),
    st.just({"type": "BertProcessing", "sep": ["</s>", 702], "cls": ["<s>", 703]}),
    part("ByteLevel", add_prefix_space=BOOL, trim_offsets=BOOL, use_regex=BOOL),
)
ADDED = st.lists(
    st.fixed_dictionaries(
        {
            "content": st.sampled_from(["<s>", "[CLS]", "a", "ab", "É", "12", " x", "the", "▁a"]),
            "single_word": BOOL,
            "lstrip": BOOL,
            "rstrip": BOOL,
            "normalized": BOOL,
            "special": BOOL,
        }
    ),
    max_size=5,
    unique_by=lambda token: token["content"],
)


def model(letters: str = "▁abc .ĠdeéЙ中hл1") -> dict:
    names = [f"<0x{byte:02X}>" for byte in range(256)] + list(letters) + ["ab", "abc", "▁a", "Ġa"]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": {name: i for i, name in enumerate(names)},
        "merges": [["a", "b"], ["▁", "a"], ["ab", "c"], ["Ġ", "a"]],
    }


def build(**parts) -> dict:
    empty = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding")
    return {"version": "1.0", **dict.fromkeys(empty), "added_tokens": [], "model": model(), **parts}


def number(tokens: list[dict]) -> list[dict]:
    size = len(model()["vocab"])
    known = model()["vocab"]
    fresh = [token for token in tokens if token["content"] not in known]
    return [{"id": size + i, **token} for i, token in enumerate(fresh)]


def both(data: dict) -> tuple[Tokenizer, hf.Tokenizer]:
    return tokenizer_from_json(data), hf.Tokenizer.from_str(json.dumps(data))


def encoding_or_skip(theirs: hf.Tokenizer, text: str, **options: bool) -> hf.Encoding:
    try:
        return theirs.encode(text, **options)
    except BaseException as error:  # a panic in Rust, as on some spans of replaced characters
        assume(type(error).__name__ != "PanicException")
        raise


def assert_same(data: dict, text: str) -> None:
    ours, theirs = both(data)
    looked_for = [ours.normalize(t.content) for t in ours.added_tokens if t.normalized]
    assume(len(set(looked_for)) == len(looked_for))  # theirs takes one of two at random
    assume(all(looked_for))  # theirs finds a token that is normalized to nothing everywhere
    assert ours.encode(text, special=True) == encoding_or_skip(theirs, text).ids
    theirs.encode_special_tokens = True
    plain = encoding_or_skip(theirs, text, add_special_tokens=False)
    assert ours.encode(text) == plain.ids
    pieces = ours.tokenize(text)
    assert [piece.id for piece in pieces] == plain.ids
    names = {i: name for name, i in ours.vocab.items()}
    assert [piece.text for piece in pieces] == [names[i] for i in plain.ids]
    starts = [piece.start for piece in pieces]
    assert starts == sorted(starts)
    assert all(0 <= piece.start < piece.end <= len(text) for piece in pieces)
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer_to_json(ours))))
    assert again.encode(text, special=True) == ours.encode(text, special=True)


@given(with_sequences(NORMALIZERS, "normalizers"), TEXT)
def test_normalizers_are_hugging_faces(normalizer, text: str):
    assert_same(build(normalizer=normalizer), text)
    ours, theirs = both(build(normalizer=normalizer))
    if theirs.normalizer:
        assert ours.normalize(text) == theirs.normalizer.normalize_str(text)


@given(with_sequences(NORMALIZERS, "normalizers"), TEXT)
def test_segments_of_a_rewrite_join_to_its_result(normalizer, text: str):
    for step in tokenizer_from_json(build(normalizer=normalizer))._rewrites:
        segments = step.segments(text)
        assert "".join(new for new, _ in segments) == step(text)
        assert sum(length for _, length in segments) == len(text)
        text = step(text)


@given(with_sequences(PRE_TOKENIZERS, "pretokenizers"), TEXT)
def test_pre_tokenizers_are_hugging_faces(pre_tokenizer, text: str):
    assert_same(build(pre_tokenizer=pre_tokenizer), text)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["Whitespace", "BertPreTokenizer", "ByteLevel", "Digits"])
def test_words_and_their_places_are_hugging_faces(kind: str, text: str):
    fields = {"add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    fields |= {"individual_digits": False}
    ours, theirs = both(build(pre_tokenizer={"type": kind, **fields}))
    words = [word for word, _ in theirs.pre_tokenizer.pre_tokenize_str(text)]
    found = ours._aligned_words(aligned(text)) if text else []
    assert [word.text for word in found] == words
    if kind != "ByteLevel":
        places = [place for _, place in theirs.pre_tokenizer.pre_tokenize_str(text)]
        assert [word.span(0, len(word.text)) for word in found] == places


def aligned(text: str):
    from course_lib.text.tokenizers.alignment import Aligned

    return Aligned.of(text)


@given(ADDED.map(number), st.none() | NORMALIZERS, TEXT)
def test_added_tokens_are_hugging_faces(added, normalizer, text: str):
    assert_same(build(added_tokens=added, normalizer=normalizer), text)


@given(
    with_sequences(NORMALIZERS, "normalizers"),
    with_sequences(PRE_TOKENIZERS, "pretokenizers"),
    with_sequences(PROCESSORS, "processors"),
    ADDED.map(number),
    TEXT,
)
@settings(max_examples=300)
@pytest.mark.slow
@pytest.mark.budget(30)
def test_combined_parts_are_hugging_faces(normalizer, pre_tokenizer, processor, added, text):
    data = build(normalizer=normalizer, pre_tokenizer=pre_tokenizer, post_processor=processor)
    assert_same(data | {"added_tokens": added}, text)


@given(with_sequences(DECODERS, "decoders"), st.lists(st.integers(0, 270)), BOOL)
def test_decoders_are_hugging_faces(decoder, ids: list[int], skip_special: bool):
    added = number([{"content": "<s>", "special": True, "single_word": False, "lstrip": False,
                     "rstrip": False, "normalized": False}])  # fmt: skip
    ours, theirs = both(build(decoder=decoder, added_tokens=added))
    ids = [*ids, added[0]["id"]]
    assert ours.decode(ids, skip_special=skip_special) == theirs.decode(
        ids, skip_special_tokens=skip_special
    )


def test_spans_are_characters_of_the_text_before_normalizing():
    ours = tokenizer_from_json(build(normalizer={"type": "NFKC"}))
    text = "e\u0301ﬁ中"
    covered = [text[piece.start : piece.end] for piece in ours.tokenize(text)]
    assert covered == ["e\u0301", *["ﬁ"] * 2, "中"]


def test_a_full_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("course_lib.text.tokenizers.base.CACHED_WORDS", 2)
    ours = tokenizer_from_json(build(pre_tokenizer={"type": "Whitespace"}))
    text = "ab abc a b abc ab abcab"
    assert ours.encode(text) == [piece.id for piece in ours.tokenize(text)] == ours.encode(text)
    assert len(ours._cache) <= 2
