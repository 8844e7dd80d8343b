"""The alignment demo: its shipped translator is right, and wrong input is a sentence."""

import random
import shutil

import pytest
import torch

from course_lib.hub import shipped
from course_lib.notebook.demos.gallery import alignment
from course_lib.recipes import speaker
from course_lib.text.numbers import joined, random_date, random_number, say_date, say_number


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_shipped_speaker_says_new_numbers_and_dates_right(language):
    """Examples of another seed than it was trained on; it got 99 of 100 and more."""
    rng, right = random.Random(12345), 0
    for count in range(40):
        if count % 2:
            written = random_number(rng, rng.randint(1, 12))
            truth = say_number(written, language)
        else:
            written = random_date(rng)
            truth = say_date(written, language)
        right += joined(speaker.load_speaker().say(written, language)[0]) == joined(truth)
    assert right >= 36


def test_weights_are_a_row_a_word_over_the_characters_without_the_language():
    words, weights = speaker.load_speaker().say("12 034", "en")
    assert weights.shape == (len(words), 6)
    assert (weights.sum(dim=1) <= 1 + 1e-5).all()


def test_saving_and_loading_gives_the_same_words_and_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    torch.manual_seed(0)
    words = ("<padding>", "<start>", "<end>", "один", "two")
    made = speaker.Speaker(speaker.new_model(len(words)), words)
    speaker.save_speaker(made, tmp_path)
    read = speaker.load_speaker.__wrapped__()
    assert read.words == words
    for mine, theirs in zip(made.model.parameters(), read.model.parameters(), strict=True):
        torch.testing.assert_close(mine.half().float(), theirs)


@pytest.mark.parametrize("damage", ["missing", "cut", "no header"])
def test_a_damaged_file_is_one_sentence(damage, tmp_path, monkeypatch):
    path = tmp_path / "speaker.safetensors"
    if damage != "missing":
        shutil.copy(shipped.WEIGHTS / "speaker.safetensors", path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data[9:])
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    with pytest.raises(ValueError, match=r"weights/speaker.safetensors cannot be read"):
        speaker.load_speaker.__wrapped__()


@pytest.mark.slow
@pytest.mark.budget(30)
def test_training_is_deterministic_and_knows_every_word():
    short = [speaker.train_speaker(num_steps=2, batch_size=3, seed=5) for _ in range(2)]
    first, second = (list(each.model.parameters()) for each in short)
    assert all(map(torch.equal, first, second))
    assert "двухтысячного" in short[0].words


@pytest.mark.parametrize("written", ["", "abc", "12 34", "2026-13-01", "9" * 5000, "<b>"])
def test_what_cannot_be_read_is_said_and_nothing_raised(written):
    shown = alignment.DEMO.frame({"written": written, "language": "English"})
    assert shown.startswith("<p ")
    assert "<b>" not in shown
    assert len(shown) < 300
    said = alignment.describe(written=written, language="English")
    assert said.startswith(("number ", "date "))


def test_a_number_without_spaces_is_read_in_groups():
    grouped = alignment.describe(written="427 318", language="English")
    assert alignment.describe(written=" 427318 ", language="English") == grouped
    assert "four hundred twenty-seven thousand three hundred eighteen. Right" in grouped
