"""The prompt laboratory: the exact prompt, the answer, the accuracy; and what it says without."""

from html import unescape

import pytest

from course_lib.notebook.demos.gallery import prompt_laboratory
from course_lib.notebook.demos.gallery.prompt_laboratory import DEMO, describe, full_prompt, render

SETTING = DEMO.presets["step by step"]


@pytest.fixture
def answered(monkeypatch):
    """Models that always write the same, and a record with one figure."""
    monkeypatch.setattr(prompt_laboratory, "written_behind", lambda name, prompt: " 2 < 3. A: 6\n")
    monkeypatch.setattr(prompt_laboratory, "accuracy", lambda *setting: 42.0)


@pytest.fixture
def missing(monkeypatch):
    """No models and no record."""
    monkeypatch.setattr(prompt_laboratory, "written_behind", lambda name, prompt: None)
    monkeypatch.setattr(prompt_laboratory, "record", dict)


def test_it_shows_the_prompt_the_answer_and_the_accuracy(answered):
    page = unescape(render(**SETTING))
    typed = {name: SETTING[name] for name in ("language", "words", "shots", "mode", "problem")}
    assert full_prompt(**typed) in page
    assert " 2 < 3. A: 6" in page
    assert "42 % of 40 right" in page
    assert "'2 < 3. A: 6'; 42 % of 40" in describe(**SETTING)


def test_a_typed_problem_is_asked_on_one_line_and_escaped(answered):
    setting = SETTING | {"problem": "How  many\n<b>?"}
    assert "Question: How many <b>? Let us think:" in unescape(render(**setting))
    assert "<b>?" not in render(**setting)


def test_a_long_problem_is_cut_to_what_the_models_can_read(answered):
    prompt = full_prompt("English", "no words", "0", "answer", "word " * 999)
    assert len(prompt) == prompt_laboratory.MOST_CHARACTERS


def test_without_the_models_it_says_so_and_still_shows_the_prompt(missing):
    page = unescape(render(**SETTING))
    assert "Let us think:" in page
    assert "`make weights`" in page
    assert "`make weights`" in describe(**SETTING)
