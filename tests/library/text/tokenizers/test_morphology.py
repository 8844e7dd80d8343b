"""Stems and endings: an invented language is recovered, Russian is compared with pymorphy3."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.text.tokenizers import Tokenizer
from course_lib.text.tokenizers.decoders import FuseDecoder
from course_lib.text.tokenizers.morphology import (
    MorphCut,
    boundary_agreement,
    cut_at_morphs,
    presegment,
    train_morphs,
)
from course_lib.text.tokenizers.normalizers import TextPattern
from course_lib.text.tokenizers.pre_tokenizers import PreTokenizerSequence, Split
from course_lib.text.tokenizers.unigram_tokenizer import UnigramModel
from course_lib.text.tokenizers.unigram_training import train_unigram

STEMS = ["bradk", "flon", "grust", "kelp", "mird", "plost", "snerg", "trunk", "vlimp", "zdorf"]
ENDINGS = ["", "a", "oi", "ue", "ami"]

LEMMAS = """
дом стол медведь заяц лиса река гора книга мама собака школа дорога птица корзина шапка лодка
улица рыба лес сад город остров камень цветок мальчик девочка море поле дерево озеро яблоко
письмо мост ягода кошка зелёный красный большой маленький старый новый добрый весёлый грустный
синий быстрый смелый золотой тёплый холодный
"""


def test_an_invented_language_is_cut_where_it_was_joined():
    model = train_morphs(stem + ending for stem, ending in itertools.product(STEMS, ENDINGS))
    for stem, ending in itertools.product(STEMS, ENDINGS):
        assert model.segment(stem + ending) == [part for part in (stem, ending) if part]


def test_a_word_never_seen_gets_a_known_ending():
    words = {stem + ending for stem, ending in itertools.product(STEMS, ENDINGS)}
    model = train_morphs(words)
    assert model.segment("shweptami") == ["shwept", "ami"]
    assert model.segment("ЖЁЛТami") == ["ЖЁЛТ", "ami"]


def test_expected_counts_of_stems_and_of_endings_add_up_to_the_words():
    words = ["кот", "кота", "коту", "дом", "дома"]
    model = train_morphs([*words, *words])
    assert sum(model.stems.values()) == pytest.approx(5)
    assert sum(model.endings.values()) == pytest.approx(5)


def test_words_that_share_nothing_stay_whole():
    model = train_morphs(["abc", "xyzw"])
    assert model.segment("abc") == ["abc"]
    assert model.segment("xyzw") == ["xyzw"]


def test_no_words_and_no_letters_are_no_trouble():
    model = train_morphs([])
    assert model.segment("") == []
    assert "".join(model.segment("слово")) == "слово"
    assert train_morphs([""]).segment("") == []
    assert "".join(train_morphs(["я"]).segment("слово")) == "слово"


@given(st.lists(st.text("абв", max_size=6), max_size=12), st.text(max_size=30))
def test_joined_morphs_are_the_word(words, word):
    assert "".join(train_morphs(words, num_steps=5).segment(word)) == word


def test_a_very_long_word_is_cut_too():
    model = train_morphs(["да", "дам", "нам", "на"])
    assert math.isfinite(model.score("я" * 5_000, "м"))
    assert "".join(model.segment("я" * 500)) == "я" * 500


@pytest.mark.budget(5)
def test_russian_endings_agree_with_a_dictionary():
    """Gold: what all forms of a lexeme in pymorphy3 share is the stem. Measured: 0.81 and 0.80."""
    known = russian_forms()
    model = train_morphs(known)
    precision, recall = boundary_agreement({word: model.segment(word) for word in known}, known)
    assert precision > 0.7
    assert recall > 0.7
    assert model.segment("собаками") == ["собак", "ами"]
    half = dict(itertools.islice(known.items(), 0, None, 2))
    unseen = {word: parts for word, parts in known.items() if word not in half}
    model = train_morphs(half)
    precision, recall = boundary_agreement({word: model.segment(word) for word in unseen}, unseen)
    assert min(precision, recall) > 0.65


def russian_forms():
    """Word -> its stem and ending, for all forms of some nouns and adjectives."""
    pymorphy3 = pytest.importorskip("pymorphy3")
    analyzer = pymorphy3.MorphAnalyzer()
    known = {}
    for lemma in LEMMAS.split():
        lexeme = analyzer.parse(lemma)[0].lexeme
        forms = {form.word for form in lexeme if str(form.tag.POS) in ("NOUN", "ADJF")}
        forms = {form for form in forms if form.startswith(lemma[0])}  # not "наи...ший"
        stem = common_beginning(forms)
        known |= {form: [part for part in (stem, form[len(stem) :]) if part] for form in forms}
    return known


def common_beginning(words):
    columns = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    return "".join(letters[0] for letters in columns)


def test_spaces_capitals_digits_and_marks_are_kept_as_they_are():
    def segment(word):
        return {"домами": ["дом", "ами"], "кота": ["кот", "а"]}.get(word, [word])

    assert cut_at_morphs(" Домами, кота!  ", segment) == [" Дом", "ами", ", кот", "а", "!  "]
    assert cut_at_morphs("домами2кота_7", segment) == ["дом", "ами", "2", "кот", "а", "_7"]
    assert cut_at_morphs("", segment) == []
    assert cut_at_morphs("İ", segment) == ["İ"]


@given(st.text(max_size=40))
def test_cutting_at_morphs_loses_nothing(text):
    assert "".join(cut_at_morphs(text, lambda word: [word[:2], word[2:]])) == text


def test_presegmented_counts_are_those_of_the_morphs():
    def segment(word):
        return [word[:3], word[3:]] if len(word) > 3 else [word]

    counts = presegment({" кота": 2, " кот": 5, " дома": 3}, segment)
    assert counts == {" кот": 7, "а": 5, " дом": 3}


def test_boundary_agreement_by_hand():
    found = {"собаками": ["собак", "ами"], "дома": ["дома"], "котам": ["к", "от", "ам"], "я": ["я"]}
    known = {"собаками": ["собак", "ами"], "дома": ["дом", "а"], "котам": ["кот", "ам"]}
    assert boundary_agreement(found, known) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert boundary_agreement({"я": ["я"]}, {"я": ["я"]}) == (1.0, 1.0)


def test_as_a_pre_tokenizer_no_token_crosses_a_morph(tmp_path):
    words = [" " + stem + ending for stem, ending in itertools.product(STEMS, ENDINGS)]
    cut = MorphCut(train_morphs(word.strip() for word in words).segment)
    log_probs = train_unigram(dict.fromkeys(words, 9), 80)
    tokenizer = Tokenizer(
        UnigramModel((("<unk>", 0.0), *log_probs.items())),
        pre_tokenizer=PreTokenizerSequence((Split(TextPattern("Regex", r" ?\S+")), cut)),
        decoder=FuseDecoder(),
    )
    text = " bradkami flonoi kelp"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    ends = {piece.end for piece in tokenizer.tokenize(text)}
    assert {len(" bradk"), len(" bradkami"), len(" bradkami flon")} <= ends
    with pytest.raises(ValueError, match=r"has no form in a tokenizer\.json"):
        tokenizer.save(tmp_path)
