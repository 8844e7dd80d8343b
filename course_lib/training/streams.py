"""Training rows made while training: documents streamed, tokenized and packed, a part a rank.

In reading order: `open_corpus` (documents), `RowStream` (documents -> rows of one stream),
`RankRows` (rows -> a rank's part of each batch). The order of the rows is defined for all ranks
together, so any number of ranks trains on the same batches.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from course_lib.text.batches import Batch, pack_documents, seeded_generator
from course_lib.text.corpora import CORPORA, load_corpus
from course_lib.text.curriculum import END_OF_TEXT
from course_lib.text.stories import load_stories
from course_lib.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from datasets import IterableDataset

STORIES = {"stories-en": "en", "stories-ru": "ru"}
NUM_STORIES = 10_000_000
MOST_SHARDS = 8
GROUP_ROWS = 64
PACKED = ("tokens", "targets", "documents", "positions")

Position = dict[str, Any]


def open_corpus(name: str, *, seed: int = 0, online: bool = False) -> "IterableDataset":
    """The documents of "stories-en", "stories-ru" or a corpus of `load_corpus`, as a stream.

    Stories are made while they are read, and sets of the hub (`online`) come over the network; a
    corpus that lies in memory is shuffled by `seed`. ValueError names what there is.
    """
    if name in STORIES:
        return load_stories(NUM_STORIES, language=STORIES[name], seed=seed, streaming=True)
    if name not in CORPORA:
        raise ValueError(
            f"corpus = {name!r} must be one of {', '.join([*STORIES, *sorted(CORPORA)])}"
        )
    documents = load_corpus(name, online=online, streaming=online).select_columns("text")
    if online:
        return documents
    num_shards = min(MOST_SHARDS, len(documents))
    return documents.shuffle(seed=seed).to_iterable_dataset(num_shards=num_shards)


class RowStream:
    """Packed rows of stream `number` of `num_streams`, epoch after epoch, without end.

    The dataset's shards are dealt to the streams; where they are fewer, streams share one and take
    its documents in turn. Documents are read until they fill 64 rows, packed together by
    `pack_documents` (none sees another), and these rows are shuffled. A `position` is where such a
    group begins and how many of its rows were taken: plain values, from which a stream goes on.
    """

    def __init__(
        self,
        dataset: "IterableDataset",
        tokenizer: Tokenizer,
        *,
        context_length: int,
        number: int = 0,
        num_streams: int = 1,
        seed: int = 0,
        position: Position | None = None,
    ):
        num_shards = min(num_streams, dataset.num_shards)
        self.dataset, self.shard_place = dataset, (num_shards, number % num_shards)
        self.turn = number // num_shards
        self.num_turns = len(range(number % num_shards, num_streams, num_shards))
        self.tokenizer, self.context_length = tokenizer, context_length
        self.number, self.seed = number, seed
        start = position or {"group": 0, "taken": 0, "documents": 0, "dataset": None}
        self._position = dict(start)
        self._rows = self._make_rows(start["taken"])

    @property
    def position(self) -> Position:
        """Where the next row stands."""
        return dict(self._position)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next row, a batch of one."""
        row = next(self._rows)
        self._position["taken"] += 1
        return row

    def _make_rows(self, skipped: int) -> Iterator[Batch]:
        for documents, after in self._groups():
            packed = pack_documents(documents, self.context_length)
            group = self._position["group"]
            generator = seeded_generator(self.seed, self.number, group)
            order = torch.randperm(len(packed.tokens), generator=generator).tolist()
            yield from (_row_of(packed, number) for number in order[skipped:])
            skipped = 0
            self._position = {"group": group + 1, "taken": 0, **after}

    def _groups(self) -> Iterator[tuple[list[list[int]], Position]]:
        """Documents as ids, enough for a group of rows, and where the next group begins."""
        group: list[list[int]] = []
        num_targets = 0
        for ids, shard, num_read in self._documents():
            group.append(ids)
            num_targets += len(ids) - 1
            if num_targets >= GROUP_ROWS * self.context_length:
                yield group, {"documents": num_read, "dataset": shard.state_dict()}
                group, num_targets = [], 0

    def _documents(self) -> Iterator[tuple[list[int], "IterableDataset", int]]:
        """This stream's documents with anything to predict, their shard, how many of it are read.

        A document stands between two ends of text: its first token is predicted, and where it ends.
        The shard's state is that of the document last yielded.
        """
        state, num_read = self._position["dataset"], self._position["documents"]
        vocab = self.tokenizer.vocab
        end = [vocab[END_OF_TEXT]] if END_OF_TEXT in vocab else []
        while True:
            shard = self.dataset.shard(*self.shard_place)
            if state is not None:
                shard.load_state_dict(state)
            is_empty = state is None
            for row in shard:
                num_read += 1
                if (num_read - 1) % self.num_turns != self.turn:
                    continue
                ids = end + self.tokenizer.encode(row["text"]) + end
                if len(ids) > 1 + len(end):
                    is_empty = False
                    yield ids, shard, num_read
            if is_empty:
                raise ValueError(
                    f"stream {self.number} finds no document with two tokens: take a larger "
                    "corpus or fewer streams"
                )
            state, num_read = None, 0


class RankRows:
    """A rank's rows of each batch: call it for the next batch's.

    Row g of the run is row g // num_streams of stream g % num_streams, batch n holds the rows from
    n batch_rows on, and a rank takes those with g % world_size = rank. Where world_size divides
    num_streams a document is read by one rank alone. ValueError where ranks do not divide the rows.
    """

    def __init__(
        self,
        dataset: "IterableDataset",
        tokenizer: Tokenizer,
        *,
        context_length: int,
        batch_rows: int,
        num_streams: int = MOST_SHARDS,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        step: int = 0,
        positions: dict[int, Position] | None = None,
    ):
        if batch_rows < 1 or batch_rows % world_size:
            raise ValueError(
                f"a batch of {batch_rows} rows must be divisible by the {world_size} ranks"
            )
        self.batch_rows, self.rank, self.world_size = batch_rows, rank, world_size
        self.num_streams, self.next_row = num_streams, step * batch_rows
        numbers = {(rank + world_size * turn) % num_streams for turn in range(num_streams)}
        self.streams = {
            number: RowStream(
                dataset,
                tokenizer,
                context_length=context_length,
                number=number,
                num_streams=num_streams,
                seed=seed,
                position=(positions or {}).get(number),
            )
            for number in sorted(numbers)
        }

    def __call__(self) -> Batch:
        """This rank's rows of the next batch; those of others in its streams are passed over."""
        end = self.next_row + self.batch_rows
        rows = []
        for row in range(self.next_row, end):
            stream = self.streams.get(row % self.num_streams)
            made = None if stream is None else next(stream)
            if row % self.world_size == self.rank:
                rows.append(made)
        self.next_row = end
        return _joined(rows)

    @property
    def positions(self) -> dict[int, Position]:
        """Where each of this rank's streams stands, after whole batches."""
        return {number: stream.position for number, stream in self.streams.items()}


def _row_of(packed: Batch, number: int) -> Batch:
    return Batch(*(getattr(packed, name)[number : number + 1] for name in PACKED))


def _joined(rows: list[Batch]) -> Batch:
    return Batch(*(torch.cat([getattr(row, name) for row in rows]) for name in PACKED))
