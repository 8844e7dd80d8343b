"""What stands in for a packaged corpus has its columns, and its answers are right."""

import itertools
import re

import pytest

from course_lib.text.corpora import CORPORA
from course_lib.text.standins import (
    generate_articles,
    generate_choices,
    generate_messages,
    generate_plays,
    generate_programs,
    generate_word_problems,
)
from course_lib.text.wikipedia import plain_text


@pytest.mark.parametrize(
    "corpus",
    [
        pytest.param(corpus, id=corpus.name, marks=pytest.mark.needs(corpus.source))
        for corpus in CORPORA.values()
        if corpus.source
    ],
)
def test_a_stand_in_has_the_columns_and_types_of_the_real_rows(corpus):
    real, stand_in = next(corpus.read()), next(corpus.generate())
    assert {name: type(value) for name, value in stand_in.items()} == {
        name: type(value) for name, value in real.items()
    }


def test_rows_follow_from_their_number():
    for corpus in CORPORA.values():
        if corpus.generate:
            first, second = corpus.generate(), corpus.generate()
            assert list(itertools.islice(first, 5)) == list(itertools.islice(second, 5))


def test_markup_cleans_to_the_story():
    for row in itertools.islice(generate_articles(), 50):
        assert row["markup"] != row["text"]
        assert plain_text(row["markup"]) == row["text"]


def test_plays_are_long_and_all_different():
    texts = [row["text"] for row in itertools.islice(generate_plays(), 3)]
    assert min(map(len, texts)) > 40_000
    paragraphs = [paragraph for text in texts for paragraph in text.split("\n\n")]
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_marked_answer_is_the_only_animal_of_the_story_that_helped():
    answers = []
    for row in generate_choices():
        helper = row["choices"][row["answer"]]
        assert re.search(rf"\b{helper}\b", row["question"])
        assert len(set(row["choices"])) == 4
        answers.append(row["answer"])
    assert all(30 < answers.count(answer) < 70 for answer in range(4))


def test_sums_are_right():
    for row in generate_word_problems():
        had, bags, each = map(int, re.findall(r"\d+", row["question"]))
        assert row["number"] == str(had + bags * each)


def test_programs_pass_their_tests_and_a_wrong_one_does_not():
    for row in itertools.islice(generate_programs(), 20):
        namespace = {}
        exec(row["text"] + row["test"], namespace)
        namespace["check"](namespace[row["entry_point"]])
        with pytest.raises(AssertionError):
            namespace["check"](lambda number: 0)


def test_a_chat_alternates_between_user_and_assistant():
    row = next(generate_messages())
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
    assert row["text"].startswith("user: ")
