"""Scores from content and distance together: Transformer-XL, and DeBERTa's disentangled attention.

In reading order: `relative_shift`, `transformer_xl_scores`,
`TransformerXLPositions`; `disentangled_scores`, `DebertaPositions`.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.model.positions.absolute import sinusoidal
from course_lib.model.positions.base import Positions, pairwise_distances


def relative_shift(
    x: Float[Tensor, "*batch queries distances"],
) -> Float[Tensor, "*batch queries keys"]:
    """Columns by falling distance, keys - 1 down to 1 - queries, become columns by key.

    Row i is moved left by queries - 1 - i: pad by one column, drop queries - 1 numbers from the
    front and cut the rest into rows of the old length. distances = keys + queries - 1; the paper,
    being causal, computes only those from 0 up. For consecutive positions, the queries last: for
    any others gather, as `TransformerXLPositions` does, which costs the same.

    Dai et al. 2019, https://arxiv.org/abs/1901.02860, appendix B. Chapter 06.
    """
    num_queries, num_distances = x.shape[-2:]
    flat = F.pad(x, (0, 1)).flatten(-2)[..., num_queries - 1 :]
    rows = flat[..., : num_queries * num_distances].unflatten(-1, (num_queries, num_distances))
    return rows[..., : num_distances - num_queries + 1]


def transformer_xl_scores(
    query: Float[Tensor, "batch heads queries dim"],
    key: Float[Tensor, "batch heads keys dim"],
    *,
    distance_keys: Float[Tensor, "heads distances dim"],
    index: Int[Tensor, "*#batch queries keys"],
    content_bias: Float[Tensor, "heads dim"],
    position_bias: Float[Tensor, "heads dim"],
) -> Float[Tensor, "batch heads queries keys"]:
    """q_i . W R_{i-j} + u . k_j + v . W R_{i-j}: what distance adds to q_i . k_j, unscaled.

    `distance_keys` holds W R for a range of distances, `index` which of them a pair has;
    u is `content_bias`, v is `position_bias`.

    Dai et al. 2019, https://arxiv.org/abs/1901.02860, section 3.3, terms (b), (c) and (d).
    Chapter 06.
    """
    by_distance = (query + position_bias[:, None]) @ distance_keys.transpose(-2, -1)
    by_key = key @ content_bias[:, :, None]  # (batch, heads, keys, 1)
    return _take(by_distance, index) + by_key.transpose(-2, -1)


class TransformerXLPositions(Positions):
    """`transformer_xl_scores` with sinusoids of the distance, projected by each layer for itself.

    Distances beyond training are new sinusoids, not an error. The paper's u and v are shared by
    all layers; these are each layer's own, as in XLNet.

    Dai et al. 2019, https://arxiv.org/abs/1901.02860, section 3.3. Chapter 06.
    """

    per_layer = True

    def __init__(self, model_dim: int, num_heads: int, head_dim: int):
        super().__init__()
        self.model_dim, self.num_heads = model_dim, num_heads
        self.projection = nn.Linear(model_dim, num_heads * head_dim, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, head_dim))
        self.position_bias = nn.Parameter(torch.zeros(num_heads, head_dim))

    def bias(
        self,
        query: Float[Tensor, "batch heads queries dim"],
        key: Float[Tensor, "batch kv_heads keys dim"],
        query_positions: Int[Tensor, "*#batch queries"],
        key_positions: Int[Tensor, "*#batch keys"],
    ) -> Float[Tensor, "batch heads queries keys"]:
        of_pairs = pairwise_distances(query_positions, key_positions)
        nearest, farthest = int(of_pairs.min()), int(of_pairs.max())
        every = torch.arange(nearest, farthest + 1, device=query.device)
        sinusoids = sinusoidal(every, self.model_dim).to(query.dtype)
        scores = transformer_xl_scores(
            query,
            _repeat_heads(key, self.num_heads),
            distance_keys=_split_heads(self.projection(sinusoids), self.num_heads),
            index=of_pairs - nearest,
            content_bias=self.content_bias,
            position_bias=self.position_bias,
        )
        return scores * query.shape[-1] ** -0.5


def disentangled_scores(
    query: Float[Tensor, "batch heads queries dim"],
    key: Float[Tensor, "batch heads keys dim"],
    *,
    position_query: Float[Tensor, "heads spans dim"],
    position_key: Float[Tensor, "heads spans dim"],
    distances: Int[Tensor, "*#batch queries keys"],
) -> Float[Tensor, "batch heads queries keys"]:
    """q_i . K_d + k_j . Q_d, d = i - j: content to position and position to content, unscaled.

    K and Q are `position_key` and `position_query`, 2k rows each: row d + k, the first or the last
    where |d| is beyond k. The third term, q_i . k_j, is attention's own; with three terms the
    scores are divided by sqrt(3 dim). The paper writes Q_{j-i}; its code, and so every released
    model, takes Q_{i-j}.

    He et al. 2021, https://arxiv.org/abs/2006.03654, eq. 4 and algorithm 1. Chapter 06.
    """
    reach = position_key.shape[1] // 2
    row = (distances + reach).clamp(0, 2 * reach - 1)
    to_position = _take(query @ position_key.transpose(-2, -1), row)
    to_content = _take(key @ position_query.transpose(-2, -1), row.transpose(-2, -1))
    return to_position + to_content.transpose(-2, -1)


class DebertaPositions(Positions):
    """`disentangled_scores` from one table of `2 max_distance` vectors, projected to Q and K.

    Distances beyond `max_distance` share the outermost rows, so any length is accepted. All three
    score terms are divided by sqrt(3 head_dim): give `scale` to attention. DeBERTa has one table
    for all layers; for that, assign the first layer's `table` to the others.

    He et al. 2021, https://arxiv.org/abs/2006.03654, section 3.1. Chapter 06.
    """

    per_layer = True

    def __init__(self, model_dim: int, num_heads: int, head_dim: int, *, max_distance: int = 128):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (3 * head_dim) ** -0.5
        self.table = nn.Embedding(2 * max_distance, model_dim)
        nn.init.normal_(self.table.weight, std=0.02)
        self.query_projection = nn.Linear(model_dim, num_heads * head_dim)
        self.key_projection = nn.Linear(model_dim, num_heads * head_dim)

    def bias(
        self,
        query: Float[Tensor, "batch heads queries dim"],
        key: Float[Tensor, "batch kv_heads keys dim"],
        query_positions: Int[Tensor, "*#batch queries"],
        key_positions: Int[Tensor, "*#batch keys"],
    ) -> Float[Tensor, "batch heads queries keys"]:
        table = self.table.weight
        scores = disentangled_scores(
            query,
            _repeat_heads(key, self.num_heads),
            position_query=_split_heads(self.query_projection(table), self.num_heads),
            position_key=_split_heads(self.key_projection(table), self.num_heads),
            distances=pairwise_distances(query_positions, key_positions),
        )
        return scores * self.scale


def _take(x: Tensor, index: Tensor) -> Float[Tensor, "batch heads rows columns"]:
    """x[b, h, i, index[b, i, j]] at [b, h, i, j]: the index is the same for all heads."""
    index = index.expand(x.shape[0], *index.shape[-2:])[:, None]
    return x.gather(-1, index.expand(-1, x.shape[1], -1, -1))


def _split_heads(x: Tensor, num_heads: int) -> Float[Tensor, "heads rows dim"]:
    return rearrange(x, "rows (heads dim) -> heads rows dim", heads=num_heads)


def _repeat_heads(key: Tensor, num_heads: int) -> Float[Tensor, "batch heads keys dim"]:
    """Grouped keys as attention uses them: one for each query head."""
    return key.repeat_interleave(num_heads // key.shape[1], dim=1)
