"""Files: atomic, and whatever is wrong with one is a single sentence."""

import contextlib
import json
import random
from pathlib import Path

import pytest
import tokenizers as hf

from course_lib.text.tokenizers import BPETokenizer, Tokenizer, load_tokenizer

GOOD = BPETokenizer.train(["hello hello world"], 270, special_tokens=["<s>"])


def saved(folder: Path) -> dict:
    return json.loads(GOOD.save(folder).read_text())


def refuse(folder: Path, content: str | bytes | dict) -> str:
    file = folder / "tokenizer.json"
    if isinstance(content, dict):
        content = json.dumps(content)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError) as caught:
        load_tokenizer(file)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    assert len(message) < len(str(file)) + 500
    return message


def test_a_file_or_its_folder_can_be_named(tmp_path: Path):
    file = GOOD.save(tmp_path / "new" / "folder")
    assert file == tmp_path / "new" / "folder" / "tokenizer.json"
    assert GOOD.save(tmp_path / "other.json").name == "other.json"
    for path in (file, file.parent, str(file)):
        assert BPETokenizer.load(path).vocab == GOOD.vocab
        assert isinstance(Tokenizer.load(path), BPETokenizer)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = GOOD.save(tmp_path)
    before = file.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        GOOD.save(tmp_path)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match="does not exist"):
        load_tokenizer(tmp_path / "nothing.json")


def test_files_of_hugging_face_in_old_forms_are_read(tmp_path: Path):
    data = saved(tmp_path)
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    del data["model"]["type"]
    data["decoder"] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    data["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    theirs = hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).encode("hello he") == theirs.encode("hello he").ids


@pytest.mark.parametrize(
    ("slot", "name"),
    [
        ("normalizer", "NFD"),
        ("normalizer", "Precompiled"),
        ("pre_tokenizer", "Punctuation"),
        ("pre_tokenizer", "UnicodeScripts"),
        ("post_processor", "RobertaProcessing"),
        ("decoder", "CTC"),
    ],
)
def test_a_part_that_is_not_supported_is_named(tmp_path: Path, slot: str, name: str):
    data = saved(tmp_path) | {slot: {"type": name}}
    assert f"its {slot} is '{name}'" in refuse(tmp_path, data)


def test_a_model_that_is_not_supported_is_named(tmp_path: Path):
    data = saved(tmp_path) | {"model": {"type": "Neural", "vocab": {}, "unk_token": "?"}}
    assert "its model is 'Neural'" in refuse(tmp_path, data)
    for field, value in [("dropout", 0.1), ("end_of_word_suffix", "</w>")]:
        data = saved(tmp_path)
        data["model"][field] = value
        assert field in refuse(tmp_path, data)


def deep(levels: int) -> dict:
    part: dict = {"type": "NFC"}
    for _ in range(levels):
        part = {"type": "Sequence", "normalizers": [part]}
    return part


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "Expecting value"),
        ("[]", "the file is"),
        ("null", "the file is"),
        (b"\xff\xfe\x00", "utf-8"),
        ("[" * 100_000, "nested too deeply"),
        ('{"model": {"a": 1, "a": 2}}', "'a' stands twice"),
        ('{"model": []}', "model is"),
        ("{}", "model is"),
        ('{"model": {"type": ["BPE"]}}', "its model is"),
        ('{"model": {"type": "BPE"}}', "vocab"),
        ('{"model": {"type": "BPE", "vocab": {"a": 1e3}, "merges": []}}', "'a' has the id"),
        ('{"model": {"type": "BPE", "vocab": {"a": true}, "merges": []}}', "'a' has the id"),
        ('{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}', "'a' has the id"),
        ('{"model": {"type": "BPE", "vocab": {"a": 1, "b": 1}, "merges": []}}', "same id"),
        ('{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": ["a b c"]}}', "'a b c'"),
        ('{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": [["a", 2]]}}', "two tokens"),
        ('{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": [["a", "b"]]}}', "needs the"),
        ('{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": {}}}', "list of merges"),
        ('{"model": {"type": "BPE", "vocab": [1], "merges": []}}', "vocab"),
        ('{"model": {"type": "BPE", "vocab": {"a": NaN}, "merges": []}}', "'a' has the id"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: str | bytes, says: str):
    assert says in refuse(tmp_path, content)


@pytest.mark.parametrize(
    ("slot", "value", "says"),
    [
        ("normalizer", [], "normalizer is"),
        ("normalizer", {"type": None}, "its normalizer is"),
        ("normalizer", deep(50), "nested more than"),
        ("normalizer", {"type": "Sequence"}, "normalizers is"),
        ("normalizer", {"type": "Sequence", "normalizers": [None]}, "normalizers is"),
        ("normalizer", {"type": "Prepend"}, "no prepend"),
        ("normalizer", {"type": "Prepend", "prepend": 3}, "not a text"),
        ("normalizer", {"type": "Replace", "pattern": "a", "content": ""}, "pattern"),
        ("normalizer", {"type": "Replace", "pattern": {"String": ""}, "content": ""}, "empty"),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "("}}, "regular expression"),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Odd", "invert": False},
            "one of Removed",
        ),
        ("pre_tokenizer", {"type": "Digits", "individual_digits": 1}, "not a boolean"),
        ("pre_tokenizer", {"type": "Metaspace", "replacement": "ab"}, "one character"),
        ("post_processor", {"type": "BertProcessing"}, "sep is"),
        ("post_processor", {"type": "BertProcessing", "sep": ["a", "b"], "cls": []}, "sep is"),
        ("post_processor", {"type": "TemplateProcessing"}, "special_tokens is"),
        (
            "post_processor",
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
             "pair": [], "special_tokens": {}},
            "'x' is not among",
        ),
        (
            "post_processor",
            {"type": "Sequence", "processors": [
                {"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]}] * 2},
            "BertProcessing and BertProcessing: one may add",
        ),
        ("decoder", {"type": "Strip", "content": " ", "start": "1", "stop": 0}, "not a number"),
        ("added_tokens", {}, "added_tokens is"),
        ("added_tokens", [3], "added_tokens is"),
        ("added_tokens", [{"id": 1}], "no content"),
        ("added_tokens", [{"id": 3, "content": "x"}], "clashes"),
        ("added_tokens", [{"id": 1000, "content": ""}], "empty"),
    ],
)  # fmt: skip
def test_a_broken_part_is_one_sentence(tmp_path: Path, slot: str, value, says: str):
    assert says in refuse(tmp_path, saved(tmp_path) | {slot: value})


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("course_lib.text.tokenizers.tokenizer_json.MAX_BYTES", 2**20)
    assert "larger than 1 MiB" in refuse(tmp_path, "x" * (2**20 + 1))


def test_a_truncated_file_is_one_sentence(tmp_path: Path):
    content = GOOD.save(tmp_path).read_bytes()
    for cut in random.Random(0).sample(range(len(content) - 1), 60):
        refuse(tmp_path, content[:cut])


def test_damage_anywhere_is_a_sentence_or_a_tokenizer(tmp_path: Path):
    generator = random.Random(1)

    def damage(value):
        if generator.random() < 0.04:
            return generator.choice(
                [None, -1, 2**70, 1.5, "", "x", [], {}, True, [[]], {"type": 1}]
            )
        if isinstance(value, dict):
            return {key: damage(child) for key, child in value.items()}
        return [damage(child) for child in value] if isinstance(value, list) else value

    data = saved(tmp_path)
    data["model"]["vocab"] = dict(list(data["model"]["vocab"].items())[-20:])
    for _ in range(300):
        (tmp_path / "x.json").write_text(json.dumps(damage(data)))
        with contextlib.suppress(ValueError):
            load_tokenizer(tmp_path / "x.json").encode("hello <s>")


def test_another_models_file_is_not_loaded_as_this_class(tmp_path: Path):
    class Other(Tokenizer):
        pass

    GOOD.save(tmp_path)
    with pytest.raises(ValueError, match=r"BPE tokenizer, which Other is not: use BPETokenizer"):
        Other.load(tmp_path)
