"""Byte-pair encoding in linear time, from left to right without a heap.

Two neighbouring tokens are *compatible* if BPE of their joined text is the two tokens again. A
row of tokens is the BPE of its text exactly if all neighbours are compatible: the first merge
across a border in the whole text would also happen in the text of the two tokens beside it.
So the longest compatible token is taken, and a step back is made where that leads nowhere; no
place is a dead end twice.

After GitHub's `bpe`, https://github.blog/ai-and-ml/llms/so-many-tokens-so-little-time-introducing-a-faster-more-flexible-byte-pair-tokenizer/.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from course_lib.text.tokenizers.bpe import Pair

PREFIX = 4
CACHED_PAIRS = 2**20
NO_LIMIT = 2**62


class Compatible(dict[Pair, bool]):
    """(left, right) -> whether they can stand side by side, computed at the first look-up."""

    def __init__(self) -> None:
        super().__init__()
        self.rank_of_pair: dict[Pair, int] = {}
        self.rank_of: dict[int, int] = {}
        self.halves: dict[int, Pair] = {}

    def __missing__(self, pair: Pair) -> bool:
        if len(self) >= CACHED_PAIRS:
            self.clear()
        self[pair] = answer = self.before(*pair)
        return answer

    def before(self, left: int, right: int, limit: int = NO_LIMIT) -> bool:
        """True if no merge of rank < limit joins them on the way to being made.

        Undoes the merges inside the two, last first; among equal ranks the left one came first.
        """
        rank_of_pair, rank_of, halves = self.rank_of_pair, self.rank_of, self.halves
        while True:
            if rank_of_pair.get((left, right), limit) < limit:
                return False
            left_rank, right_rank = rank_of[left], rank_of[right]
            if left_rank > right_rank:
                limit, left = left_rank, halves[left][1]
            elif right_rank >= 0:
                limit, right = right_rank + 1, halves[right][0]
            else:
                return True


class LinearEncoder:
    """Words -> ids for merges in the order of their making (`LinearEncoder.of` tells)."""

    def __init__(self, tokens: dict[str, int], compatible: Compatible):
        self.tokens = tokens
        self.compatible = compatible
        self.alphabet = {token for token in tokens if len(token) == 1}
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for token in tokens:
            if len(token) >= PREFIX:
                lengths[token[:PREFIX]].add(len(token))
        self.short_lengths = tuple(range(PREFIX - 1, 0, -1))
        for prefix, found in lengths.items():
            found.update(n for n in self.short_lengths if prefix[:n] in tokens)
        self.lengths = {
            prefix: tuple(sorted(found, reverse=True)) for prefix, found in lengths.items()
        }

    @classmethod
    def of(
        cls, vocab: Mapping[str, int], merges: Sequence[tuple[str, str]]
    ) -> "LinearEncoder | None":
        """The encoder, or None if a merge uses a token that only a later merge makes.

        A token that BPE never makes of its own text is left out: BPE makes it nowhere.
        """
        compatible = Compatible()
        rank_of, halves = compatible.rank_of, compatible.halves
        tokens = {token: number for token, number in vocab.items() if len(token) == 1}
        rank_of.update(dict.fromkeys(tokens.values(), -1))
        missing: set[int] = set()
        for rank, (left, right) in enumerate(merges):
            pair, new = (vocab[left], vocab[right]), vocab[left + right]
            compatible.rank_of_pair[pair] = rank
            unmade = {half for half in pair if half not in rank_of}
            if unmade:
                missing |= unmade
            elif new not in rank_of and compatible.before(*pair, limit=rank):
                if new in missing:
                    return None
                rank_of[new], halves[new] = rank, pair
                tokens[left + right] = new
        return cls(tokens, compatible)

    def __call__(self, word: str) -> list[int] | None:
        """The ids, or None if a character is not in the vocabulary."""
        whole = self.tokens.get(word)
        if whole is not None:
            return [whole]
        if not self.alphabet.issuperset(word):
            return None
        tokens, lengths, compatible = self.tokens, self.lengths, self.compatible
        ids: list[int] = []
        taken: list[int] = []
        dead: set[int] = set()
        at, end, shorter_than = 0, len(word), len(word) + 1
        while at < end:
            for length in lengths.get(word[at : at + PREFIX], self.short_lengths):
                after = at + length
                if (
                    length < shorter_than
                    and after <= end
                    and (token := tokens.get(word[at:after])) is not None
                    and after not in dead
                    and (not ids or compatible[ids[-1], token])
                ):
                    ids.append(token)
                    taken.append(length)
                    at, shorter_than = after, end + 1
                    break
            else:
                dead.add(at)
                ids.pop()
                shorter_than = taken.pop()
                at -= shorter_than
        return ids
