"""The course model's text: reproducible, in its shares, nothing held out in it."""

import random
from collections import Counter

import pytest

from course_lib.text.curriculum import (
    DOMAINS,
    SPECIAL_TOKENS,
    load_curriculum,
    make_document,
    tokenizer_texts,
    training_problem,
)
from course_lib.text.stories import read_trace
from course_lib.text.stories.problems import prompt_problem
from course_lib.text.stories.world import is_held_out

DOCUMENTS = [make_document(3, index) for index in range(3000)]


def test_a_document_depends_on_its_seed_and_number_alone():
    assert make_document(3, 17) == DOCUMENTS[17]
    assert len({make_document(seed, 17).text for seed in range(20)}) == 20


def test_domains_come_in_their_shares_and_languages_by_a_fair_coin():
    counts = Counter(document.domain for document in DOCUMENTS)
    for name, (share, _) in DOMAINS.items():
        assert counts[name] / len(DOCUMENTS) == pytest.approx(share, abs=0.03)
    assert sum(d.language == "ru" for d in DOCUMENTS) / 3000 == pytest.approx(0.5, abs=0.03)
    assert sum(share for share, _ in DOMAINS.values()) == pytest.approx(1)


def test_no_story_loses_a_thing_that_is_held_out():
    traces = [
        read_trace(document.text.split("\n")[0], document.language)
        for document in DOCUMENTS
        if document.domain in ("stories", "reading")
    ]
    assert None not in traces
    assert not any(is_held_out(trace.hero, trace.object) for trace in traces)


def test_problems_held_out_are_in_no_document():
    kept = [training_problem(random.Random(n), held_out=True) for n in range(200)]
    prompts = {prompt_problem(problem, "en", reasoning=False)[:-8] for problem in kept}
    texts = "\n".join(d.text for d in DOCUMENTS if d.domain == "problems")
    assert not any(prompt in texts for prompt in prompts)


@pytest.mark.parametrize("streaming", [False, True])
def test_as_a_dataset_it_is_the_same_documents(streaming):
    rows = list(load_curriculum(21, seed=3, streaming=streaming))
    assert [row["text"] for row in rows] == [document.text for document in DOCUMENTS[:21]]
    assert rows[5]["domain"] == DOCUMENTS[5].domain


def test_a_negative_number_of_documents_is_refused():
    with pytest.raises(ValueError, match="num_documents=-1"):
        load_curriculum(-1)


def test_the_tokenizers_text_has_the_words_of_later_stages():
    text = "\n".join(tokenizer_texts(64))
    for words in ("Write a story about", "Напиши сказку про", "assistant", "вежливый"):
        assert words in text
    assert not any(token in text for token in SPECIAL_TOKENS)
