"""The story world: splits, helpers, entropy, the two tellings, reading back, and the datasets."""

import collections
import dataclasses
import math
import os
import random
import re
import subprocess
import sys

import pytest

from course_lib.text.stories import (
    Trace,
    load_stories,
    make_story,
    make_trace,
    trace_entropy,
    trace_log_probability,
)
from course_lib.text.stories import world as story_world
from course_lib.text.stories.english import with_article
from course_lib.text.stories.reading import (
    read_beginning,
    read_slots,
    read_trace,
    story_mistakes,
)

STORY = Trace(
    hero="hedgehog",
    name="Misha",
    trait="honest",
    time="Sunday",
    place="yard",
    activity="dancing",
    object="boots",
    colour="orange",
    cause="brother",
    spot="lake",
    helper="otter",
    helper_trait="kind",
    gift="apple",
)


def traces(count, *, seed, split="train"):
    rng = random.Random(seed)
    return [make_trace(rng, split=split) for _ in range(count)]


def test_a_story_worked_by_hand_in_both_languages():
    from course_lib.text.stories.english import tell_english
    from course_lib.text.stories.russian import tell_russian

    assert tell_english(STORY) == (
        "One Sunday an honest hedgehog named Misha was dancing in the yard with orange boots. "
        "His little brother threw the boots into a cold lake. "
        "Misha could not swim and called a kind otter. "
        "The otter dived in, and soon the orange boots were back. "
        "The hedgehog gave the kind otter an apple."
    )
    assert tell_russian(STORY) == (
        "Однажды в воскресенье честный ёж Миша танцевал во дворе с оранжевыми сапогами. "
        "Братишка забросил сапоги в холодное озеро. "
        "Миша не умел плавать и позвал добрую выдру. "
        "Выдра нырнула в воду, и скоро оранжевые сапоги снова были у Миши. "
        "Ёж подарил доброй выдре яблоко."
    )


def test_held_out_pairs_never_occur_in_training_and_always_in_the_other_split():
    train = {(trace.hero, trace.object) for trace in traces(7000, seed=1)}
    held_out = {(t.hero, t.object) for t in traces(800, seed=2, split="held_out")}
    assert not train & held_out
    assert len(train | held_out) == len(story_world.ANIMALS) * len(story_world.OBJECTS)
    assert {hero for hero, _ in train} == {hero for hero, _ in held_out}
    assert {thing for _, thing in train} == {thing for _, thing in held_out}


def test_the_helper_can_do_what_the_spot_needs_and_the_hero_cannot():
    for trace in traces(3000, seed=3):
        needed = set(story_world.SPOTS[trace.spot].abilities)
        assert trace.ability in needed & set(story_world.ANIMALS[trace.helper].abilities)
        assert not needed & set(story_world.ANIMALS[trace.hero].abilities)
        assert trace.helper != trace.hero


def test_every_helper_of_every_spot_has_exactly_one_ability_that_serves():
    for spot, (_, abilities) in story_world.SPOTS.items():
        assert len(story_world.HELPERS_OF[spot]) >= 3
        for helper in story_world.HELPERS_OF[spot]:
            assert len(set(abilities) & set(story_world.ANIMALS[helper].abilities)) == 1


def test_a_helper_that_cannot_is_refused_by_name():
    with pytest.raises(ValueError, match=r"helper='mole' cannot reach spot='lake'.*otter"):
        _ = dataclasses.replace(STORY, helper="mole").ability


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_entropy_is_the_mean_surprise_of_drawn_traces(split):
    surprises = [-trace_log_probability(t, split=split) for t in traces(5000, seed=4, split=split)]
    mean = sum(surprises) / len(surprises)
    deviation = math.sqrt(sum((s - mean) ** 2 for s in surprises) / len(surprises) ** 2)
    assert abs(mean - trace_entropy(split=split)) < 4 * deviation


def test_probabilities_of_hero_spot_and_helper_sum_to_one_by_enumeration():
    free = math.prod(
        map(
            len,
            (
                story_world.TRAITS,
                story_world.HELPER_TRAITS,
                story_world.TIMES,
                story_world.PLACES,
                story_world.ACTIVITIES,
                story_world.COLOURS,
                story_world.CAUSES,
                story_world.GIFTS,
                range(10),  # names of one gender
            ),
        )
    )
    total = surprise = 0.0
    for hero in story_world.ANIMALS:
        name = "Anya" if story_world.ANIMALS[hero].gender == "f" else "Misha"
        things = [t for t in story_world.OBJECTS if not story_world.is_held_out(hero, t)]
        equals = free * len(things)
        for spot in story_world.SPOTS:
            for helper in story_world.ANIMALS:
                trace = dataclasses.replace(
                    STORY, hero=hero, name=name, object=things[0], spot=spot, helper=helper
                )
                log_probability = trace_log_probability(trace)
                if log_probability > -math.inf:
                    total += equals * math.exp(log_probability)
                    surprise -= equals * math.exp(log_probability) * log_probability
    assert total == pytest.approx(1, abs=1e-9)
    assert trace_entropy() == pytest.approx(surprise, abs=1e-9)


def test_traces_that_are_never_drawn_have_probability_zero():
    held_out = traces(1, seed=5, split="held_out")[0]
    assert trace_log_probability(held_out) == -math.inf
    assert trace_log_probability(held_out, split="held_out") > -math.inf
    assert trace_log_probability(dataclasses.replace(STORY, name="Anya")) == -math.inf
    assert trace_log_probability(dataclasses.replace(STORY, helper="mole")) == -math.inf


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_either_text_determines_its_trace(split):
    rng = random.Random(6)
    for _ in range(2000):
        story = make_story(rng, split=split)
        assert read_trace(story.english, "en") == story.facts
        assert read_trace(story.russian, "ru") == story.facts


def test_changing_any_one_fact_changes_both_texts():
    from course_lib.text.stories.english import tell_english
    from course_lib.text.stories.russian import tell_russian

    drawn = traces(500, seed=7)
    for field in dataclasses.fields(Trace):
        values = {getattr(trace, field.name) for trace in drawn}
        told = collections.defaultdict(list)
        for value in values:
            trace = dataclasses.replace(STORY, **{field.name: value})
            if (
                field.name in ("spot", "helper")
                and trace.helper not in (story_world.HELPERS_OF[trace.spot])
            ):
                continue
            told["en"].append(tell_english(trace))
            told["ru"].append(tell_russian(trace))
        for texts in told.values():
            assert len(texts) >= 3
            assert len(set(texts)) == len(texts), field.name


def test_stories_are_distinct_and_about_as_long_as_promised():
    assert len(set(traces(10_000, seed=10))) >= 9_800  # a text determines its trace, tested above
    stories = [make_story(number) for number in range(1000)]
    for texts in ([s.english for s in stories], [s.russian for s in stories]):
        assert len(set(texts)) >= 980
        assert 230 < sum(map(len, texts)) / len(texts) < 300
        assert max(map(len, texts)) < 360


def test_english_articles_verbs_and_capitals():
    rng = random.Random(11)
    for _ in range(2000):
        text = make_story(rng).english
        for article, word in re.findall(r"\b(an?) ([\w-]+)", text):
            vowel = word[0] in "aeiou" or word == "honest"
            assert (article == "an") == vowel, text
        plural = re.search(r"the \w+ (mittens|beads|boots) (\w+) back", text)
        assert (plural[2] == "were") if plural else " was back" in text
        assert not re.search(r"\ban? [\w-]+ (mittens|beads|boots)", text)
        sentences = re.split(r"(?<=\.) ", text)
        assert len(sentences) == 5
        assert all(sentence[0].isupper() for sentence in sentences)
        assert "  " not in text
        assert "{" not in text


def test_article_follows_the_sound():
    assert with_article("honest fox") == "an honest fox"
    assert with_article("orange hat") == "an orange hat"
    assert with_article("hat") == "a hat"


def test_mistakes_of_a_written_story_are_named():
    story = make_story(3).english
    assert story_mistakes(story, "en") == []
    assert story_mistakes("Once upon a time.", "en") == ["form"]
    trace = dataclasses.replace(STORY, object="hat", colour="red")
    from course_lib.text.stories.english import tell_english

    text = tell_english(trace)
    assert story_mistakes(text.replace("the red hat", "the blue hat"), "en") == ["colour"]
    assert story_mistakes(text.replace("the hat", "the cup"), "en") == ["object"]
    assert story_mistakes(text.replace("The hedgehog gave", "The fox gave"), "en") == ["hero"]
    assert story_mistakes(text.replace("the kind otter", "the wise otter"), "en") == [
        "helper_trait"
    ]
    assert story_mistakes(text.replace("otter", "mole"), "en") == ["ability", "helper"]
    assert story_mistakes(text.replace("not swim", "not dig"), "en") == ["obstacle"]
    assert story_mistakes(text.replace("dived in", "dug and dug"), "en") == ["ability"]
    assert story_mistakes(text.replace("hat was", "hat were"), "en") == ["grammar"]
    assert read_slots(text, "en")["colour_back"] == "red"
    assert read_trace(text.replace("otter", "mole"), "en") is None


def test_mistakes_of_russian_grammar_are_named():
    from course_lib.text.stories.russian import tell_russian

    text = tell_russian(STORY)
    assert story_mistakes(text, "ru") == []
    assert story_mistakes(text.replace("позвал ", "позвала "), "ru") == ["grammar"]
    assert story_mistakes(text.replace("доброй выдре", "доброму выдре"), "ru") == ["grammar"]
    assert story_mistakes(text.replace("доброй выдре", "доброй сове"), "ru") == ["helper"]


def test_a_dataset_in_memory_equals_its_stream_and_begins_like_a_longer_one():
    small = load_stories(11, language="both", seed=5)
    streamed = load_stories(11, language="both", seed=5, streaming=True)
    assert list(streamed) == list(small)
    assert streamed.column_names == small.column_names == ["english", "russian", "facts"]
    assert list(load_stories(30, language="both", seed=5))[:11] == list(small)
    assert load_stories(11, language="both", seed=6)[0] != small[0]
    assert streamed.num_shards == 8


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_dataset_of_one_language_has_its_text_and_facts(language):
    rows = load_stories(20, language=language, split="held_out")
    for row in rows:
        trace = read_trace(row["text"], language)
        assert row["facts"] == dataclasses.asdict(trace) | {
            "ability": trace.ability,
            "obstacle": trace.obstacle,
            "gender": trace.gender,
        }
        assert story_world.is_held_out(trace.hero, trace.object)


def test_both_languages_tell_the_same_numbered_story():
    both = load_stories(7, language="both", seed=2)
    assert both["english"] == load_stories(7, seed=2)["text"]
    assert both["russian"] == load_stories(7, language="ru", seed=2)["text"]


@pytest.mark.parametrize("streaming", [True, False])
def test_an_empty_dataset_has_its_columns(streaming):
    dataset = load_stories(0, streaming=streaming)
    assert list(dataset) == []
    assert dataset.column_names == ["text", "facts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"language": "de"}, "language='de' must be one of en, ru, both"),
        ({"split": "test"}, "split='test' must be one of train, held_out"),
        ({"num_stories": -1}, "num_stories=-1 must not be negative"),
    ],
)
def test_wrong_arguments_are_refused_with_the_allowed_values(arguments, message):
    # Without the type-checking hook of the tests, as a learner meets it.
    code = (
        "from course_lib.text.stories import load_stories\n"
        f"load_stories(**{ ({'num_stories': 3} | arguments)!r})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"ValueError: {message}" in result.stderr


def test_a_wrong_word_is_refused_wherever_it_is_given():
    code = (
        "import random\n"
        "from course_lib.text.stories import crawl, make_story, problems, questions, reading\n"
        "trace, rng = make_story(1).facts, random.Random(1)\n"
        "problem = problems.make_problem(rng)\n"
        "for call in (\n"
        "    lambda: make_story(1, split='test'),\n"
        "    lambda: questions.ask(trace, 'de'),\n"
        "    lambda: questions.request_story(trace, 'de'),\n"
        "    lambda: questions.answer_options(trace, 'age', language='en', rng=rng),\n"
        "    lambda: questions.answer_options(\n"
        "        trace, 'cause', language='en', rng=rng, num_options=9),\n"
        "    lambda: reading.read_trace('', 'de'),\n"
        "    lambda: problems.make_problem(rng, kind='cows'),\n"
        "    lambda: problems.prompt_problem(problem, 'de', reasoning=True),\n"
        "    lambda: crawl.make_crawl(3, language='de'),\n"
        "):\n"
        "    try:\n"
        "        call()\n"
        "    except ValueError as error:\n"
        "        assert ' must ' in str(error), error\n"
        "    else:\n"
        "        raise SystemExit('not refused')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_stories_are_the_same_in_other_processes_and_under_other_hash_seeds():
    code = (
        "import random, sys, hashlib\n"
        "from course_lib.text.stories import make_story\n"
        "stories = [make_story(number) for number in range(200)]\n"
        "rng = random.Random(5)\n"
        "stories += [make_story(rng, split='held_out') for _ in range(200)]\n"
        "assert 'datasets' not in sys.modules and 'torch' not in sys.modules\n"
        "print(hashlib.sha256(repr(stories).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_beginning_is_read_up_to_where_it_goes_astray(language):
    for number in range(20):
        story = make_story(number)
        text = story.english if language == "en" else story.russian
        whole = read_slots(text, language)
        assert read_beginning(text, language) == whole
        astray = text[: len(text) // 2] + "xyzzy" + text[len(text) // 2 :]
        told = read_beginning(astray, language)
        assert 5 < len(told) < len(whole)
        assert told.items() <= whole.items()
    assert read_beginning("", language) == read_beginning("xyzzy", language) == {}


def test_a_word_that_may_go_on_is_not_read_yet():
    text = make_story(0).english
    assert "spot" not in read_beginning(text[: text.index(".", text.index(".") + 1)], "en")
    assert "spot" in read_beginning(text[: text.index(".", text.index(".") + 1) + 1], "en")
