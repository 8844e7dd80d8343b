"""Rows streamed to ranks: one order of the data, whoever reads it and wherever they begin."""

import itertools
import json

import pytest
import torch
from datasets import Dataset

from course_lib.text.batches import IGNORED
from course_lib.text.tokenizers import BPETokenizer
from course_lib.training import streams
from course_lib.training.streams import RankRows, RowStream, open_corpus

BYTES = BPETokenizer.train([], 257, special_tokens=["<|endoftext|>"])
TEXTS = [f"{n} " + "abcdefghij"[: n % 11] * (1 + n % 5) for n in range(203)]
FIELDS = ("tokens", "targets", "documents", "positions")


def corpus(texts=TEXTS, num_shards=5):
    return Dataset.from_dict({"text": texts}).to_iterable_dataset(num_shards=num_shards)


def rows_of_ranks(world_size, **options):
    settings = {"context_length": 30, "batch_rows": 12, "num_streams": 4, **options}
    return [
        RankRows(corpus(), BYTES, rank=rank, world_size=world_size, **settings)
        for rank in range(world_size)
    ]


def next_batch(ranks):
    """The whole batch, put together again from the ranks' rows."""
    parts = [rows() for rows in ranks]
    whole = {}
    for name in FIELDS:
        shape = (12, 30)
        whole[name] = torch.empty(shape, dtype=torch.long)
        for rank, part in enumerate(parts):
            whole[name][rank :: len(ranks)] = getattr(part, name)
    return whole


def assert_same(batch, other):
    for name in FIELDS:
        assert torch.equal(batch[name], other[name])


def first_group(**options):
    """The rows that are packed together first."""
    stream = RowStream(corpus(), BYTES, **options)
    return list(itertools.takewhile(lambda row: not stream.position["group"], stream))


def documents_in(rows):
    """The token ids of each document piece in some rows, targets put behind the last token."""
    for row in rows:
        for number in range(1, int(row.documents.max()) + 1):
            places = row.documents[0] == number
            last = row.targets[0][places][-1:]
            yield torch.cat((row.tokens[0][places], last)).tolist()


@pytest.mark.parametrize("world_size", [2, 3, 4, 6])
def test_any_number_of_ranks_takes_the_same_batches(world_size):
    alone, together = rows_of_ranks(1), rows_of_ranks(world_size)
    for _ in range(14):  # past the end of an epoch
        assert_same(next_batch(alone), next_batch(together))


@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 4), (1, 3), (3, 1)])
@pytest.mark.parametrize("step", [1, 6, 11])
def test_another_number_of_ranks_goes_on_from_the_positions(before, after, step):
    alone, ranks = rows_of_ranks(1), rows_of_ranks(before)
    for _ in range(step):
        next_batch(alone)
        next_batch(ranks)
    stored = [json.loads(json.dumps(rows.positions)) for rows in ranks]
    positions = {int(number): of for each in stored for number, of in each.items()}
    ranks = rows_of_ranks(after, step=step, positions=positions)
    for _ in range(4):
        assert_same(next_batch(alone), next_batch(ranks))


def test_a_stream_goes_on_from_every_row():
    """The last row of a group and the last document of an epoch too."""
    options = {"context_length": 30, "number": 1, "num_streams": 2}
    stream, rows, positions = RowStream(corpus(), BYTES, **options), [], []
    for _ in range(150):
        positions.append(stream.position)
        rows.append(next(stream))
    begun = [at for at in range(1, 149) if positions[at]["group"] != positions[at - 1]["group"]]
    assert len(begun) >= 2
    for at in {0, 1, 40, *begun, *(at - 1 for at in begun), *(at + 1 for at in begun)}:
        stream = RowStream(corpus(), BYTES, position=positions[at], **options)
        assert torch.equal(next(stream).tokens, rows[at].tokens)


@pytest.mark.parametrize("num_streams", [1, 4, 5, 8, 11])
def test_streams_share_the_documents_and_lose_none(num_streams):
    """A group is more than an epoch here: every stream's first group holds all of its documents."""
    expected = sorted((256, *BYTES.encode(text), 256) for text in TEXTS)
    found = []
    for number in range(num_streams):
        options = {"context_length": 75, "number": number, "num_streams": num_streams}
        found += {tuple(document) for document in documents_in(first_group(**options))}
    assert sorted(found) == expected


def test_rows_are_nearly_full_and_end_where_their_documents_end():
    stream = RowStream(corpus(), BYTES, context_length=100)
    rows = [next(stream) for _ in range(60)]
    counted = sum(row.num_tokens for row in rows)
    assert counted > 0.95 * 60 * 100
    for row in rows:
        assert torch.equal(row.targets == IGNORED, row.documents == 0)


def test_another_seed_is_another_order_of_the_same_rows():
    first, second = (
        [row.tokens.tolist() for row in first_group(context_length=30, seed=seed)]
        for seed in (0, 1)
    )
    assert first != second
    assert sorted(first) == sorted(second)


def test_ranks_that_do_not_divide_the_rows_are_refused():
    with pytest.raises(ValueError, match="12 rows must be divisible by the 5 ranks"):
        rows_of_ranks(5)


@pytest.mark.parametrize("texts", [[""], ["", ""]])
def test_a_corpus_without_text_is_one_sentence(texts):
    tokenizer = BPETokenizer.train([], 256)
    stream = RowStream(corpus(texts, 1), tokenizer, context_length=8)
    with pytest.raises(ValueError, match="finds no document with two tokens"):
        next(stream)


def test_stories_stream_in_both_languages_and_by_seed():
    def first(name, seed):
        return next(iter(open_corpus(name, seed=seed)))["text"]

    assert first("stories-en", 1).isascii()
    assert not first("stories-ru", 1).isascii()
    assert first("stories-en", 1) == first("stories-en", 1) != first("stories-en", 2)
    assert open_corpus("stories-en").num_shards == 8


def test_a_corpus_in_memory_streams_shuffled_and_whole(monkeypatch):
    loaded = Dataset.from_dict({"text": TEXTS, "number": list(range(len(TEXTS)))})
    monkeypatch.setattr(streams, "load_corpus", lambda name, **options: loaded)
    streamed = open_corpus("shakespeare", seed=3)
    texts = [row["text"] for row in streamed]
    assert streamed.num_shards == 8
    assert texts != TEXTS
    assert sorted(texts) == sorted(TEXTS)


def test_an_unknown_corpus_names_what_there_is():
    with pytest.raises(ValueError, match="corpus = 'mystories' must be one of stories-en"):
        open_corpus("mystories")
