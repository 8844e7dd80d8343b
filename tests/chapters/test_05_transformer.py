"""Checks of chapter 05: attention, its mask and heads, the norm, the feed-forward, the block.

Oracles: worked by hand, PyTorch's own attention, SiLU and RMSNorm, loops over single numbers,
invariants, gradients.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close


def draw(*shape: int, seed: int = 0, size: float = 1.0, dtype: torch.dtype = torch.float32):
    """Normal numbers; the same seed gives the same."""
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(shape, generator=generator, dtype=dtype)


def test_two_words_worked_by_hand(scaled_dot_product_attention):
    """Scores ln 3 · 2 / √4 and 0: weights 3/4 and 1/4, so the mixture of 8 and 4 is 7."""
    query = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0]])
    key = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    value = torch.tensor([[8.0], [4.0]])
    assert_close(scaled_dot_product_attention(query, key, value), torch.tensor([[7.0]]))


def test_mixture_agrees_with_pytorch(scaled_dot_product_attention):
    """Batch 2, 3 heads, 5 queries, 7 keys, queries of length 6, values of length 4."""
    query, key, value = draw(2, 3, 5, 6), draw(2, 3, 7, 6, seed=1), draw(2, 3, 7, 4, seed=2)
    expected = F.scaled_dot_product_attention(query, key, value)
    assert_close(scaled_dot_product_attention(query, key, value), expected)


def test_scale_is_the_root_of_the_querys_own_length(scaled_dot_product_attention):
    """With 8 heads of length 3 the scores are divided by √3: not by √24, 3 or nothing."""
    query, key, value = (draw(2, 8, 4, 3, seed=seed, size=2.0) for seed in range(3))
    expected = F.scaled_dot_product_attention(query, key, value)
    assert_close(scaled_dot_product_attention(query, key, value), expected)


def test_hidden_keys_have_no_influence(scaled_dot_product_attention):
    """Whatever stands in a hidden key and its value, even 10,000, the mixture is the same."""
    query, key, value = draw(2, 5, 6), draw(2, 7, 6, seed=1), draw(2, 7, 4, seed=2)
    mask = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(3)) < 0.6
    mask[:, :, 2] = False  # nobody may look at key 2
    mask[:, :, 0] = True
    spoiled_key, spoiled_value = key.clone(), value.clone()
    spoiled_key[:, 2], spoiled_value[:, 2] = 100.0, 10_000.0
    mixture = scaled_dot_product_attention(query, spoiled_key, spoiled_value, mask)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert_close(mixture, expected)


def test_weights_of_the_visible_keys_sum_to_one(scaled_dot_product_attention):
    """With all values 1 the mixture is the sum of the weights."""
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    query, key = draw(2, 3, 5, 6), draw(2, 3, 5, 6, seed=1)
    mixture = scaled_dot_product_attention(query, key, torch.ones(2, 3, 5, 2), mask)
    assert_close(mixture, torch.ones(2, 3, 5, 2))


def test_query_that_may_look_at_nothing_gives_zeros(scaled_dot_product_attention):
    """A softmax over nothing but -inf is nan, and one nan spoils every gradient."""
    query, key, value = draw(2, 3, 6), draw(2, 4, 6, seed=1), draw(2, 4, 5, seed=2)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1] = False
    mixture = scaled_dot_product_attention(query, key, value, mask)
    assert_close(mixture[:, 1], torch.zeros(2, 5))
    seen = F.scaled_dot_product_attention(query[:, ::2], key, value)
    assert_close(mixture[:, ::2], seen)


def test_scores_in_the_thousands_stay_finite(scaled_dot_product_attention):
    """Rows of very different size, each with a maximum of its own."""
    query, key, value = draw(2, 5, 6, size=300.0), draw(2, 7, 6, seed=1), draw(2, 7, 4, seed=2)
    query[:, ::2] *= -0.01
    key = key * 30
    expected = F.scaled_dot_product_attention(query.double(), key.double(), value.double())
    assert_close(scaled_dot_product_attention(query, key, value), expected.float())


def test_strided_inputs_are_left_unchanged_and_dtype_is_kept(scaled_dot_product_attention):
    """Heads arrive as transposed views, in the precision of the model."""
    query, key, value = (
        draw(2, 5, 3, 4, seed=seed, dtype=torch.float64).transpose(1, 2) for seed in range(3)
    )
    before = [each.clone() for each in (query, key, value)]
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    mask_before = mask.clone()
    mixture = scaled_dot_product_attention(query, key, value, mask)
    assert mixture.dtype == torch.float64
    assert_close(mixture, F.scaled_dot_product_attention(*before, attn_mask=mask_before))
    for each, original in zip((query, key, value, mask), (*before, mask_before), strict=True):
        assert torch.equal(each, original)


def test_gradients_agree_with_pytorch(scaled_dot_product_attention):
    """Through the weights to query and key, and through the mixture to value."""
    mask = torch.ones(5, 7, dtype=torch.bool).tril(2)
    gradients = []
    for attend in (
        scaled_dot_product_attention,
        lambda query, key, value, mask: F.scaled_dot_product_attention(query, key, value, mask),
    ):
        inputs = [draw(2, n, 6, seed=n, dtype=torch.float64).requires_grad_() for n in (5, 7, 7)]
        mixture = attend(inputs[0], inputs[1], inputs[2][..., :4], mask)
        (mixture * draw(2, 5, 4, seed=9, dtype=torch.float64)).sum().backward()
        gradients.append([each.grad for each in inputs])
    for mine, theirs in zip(*gradients, strict=True):
        assert mine is not None, "no gradient reached an input"
        assert_close(mine, theirs)


def test_square_mask_is_a_triangle(causal_mask):
    """Query 0 sees key 0, query 1 keys 0 and 1, query 2 all three: its own key too."""
    mask = causal_mask(3, 3)
    assert mask.tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_new_queries_see_the_whole_cache(causal_mask):
    """2 new tokens, 5 keys: they stand at positions 3 and 4."""
    mask = causal_mask(2, 5)
    assert mask.tolist() == [[True, True, True, True, False], [True] * 5]


def test_one_new_token_sees_everything(causal_mask):
    """The usual step of generation."""
    assert causal_mask(1, 6).tolist() == [[True] * 6]


def test_queries_before_the_first_key_see_nothing(causal_mask):
    """4 queries, 2 keys: the first two stand before the first key."""
    assert causal_mask(4, 2).tolist() == [[False] * 2, [False] * 2, [True, False], [True, True]]


@pytest.mark.parametrize(("num_queries", "num_keys"), [(7, 7), (3, 11), (0, 4), (3, 0), (6, 5)])
def test_mask_agrees_with_counting(causal_mask, num_queries, num_keys):
    """A loop over all pairs: key k is seen by query i if k ≤ i + keys − queries."""
    mask = causal_mask(num_queries, num_keys)
    assert mask.dtype == torch.bool
    assert tuple(mask.shape) == (num_queries, num_keys)
    for query in range(num_queries):
        for key in range(num_keys):
            assert mask[query, key] == (key <= query + num_keys - num_queries), (query, key)


def test_two_heads_worked_by_hand(split_heads):
    """Token 0 is (0, 1, 2, 3): head 0 has (0, 1) of it, head 1 has (2, 3)."""
    x = torch.arange(12.0).reshape(1, 3, 4)
    heads = split_heads(x, 2)
    assert tuple(heads.shape) == (1, 2, 3, 2)
    assert heads[0, 0].tolist() == [[0, 1], [4, 5], [8, 9]]
    assert heads[0, 1].tolist() == [[2, 3], [6, 7], [10, 11]]


@pytest.mark.parametrize(("num_heads", "head_dim"), [(3, 5), (5, 3), (1, 7), (7, 1)])
def test_every_number_is_where_it_belongs(split_heads, num_heads, head_dim):
    """A loop: head j of token t has the entries j · head_dim and on of its vector."""
    x = draw(2, 4, num_heads * head_dim)
    heads = split_heads(x, num_heads)
    assert tuple(heads.shape) == (2, num_heads, 4, head_dim)
    for batch in range(2):
        for head in range(num_heads):
            for time in range(4):
                part = x[batch, time, head * head_dim : (head + 1) * head_dim]
                assert torch.equal(heads[batch, head, time], part), (batch, head, time)


def test_a_token_reaches_only_its_own_place(split_heads):
    """Changing token 2 changes place 2 in every head, and nothing else."""
    x = draw(2, 5, 12)
    before = split_heads(x, 3).clone()
    other = x.clone()
    other[:, 2] += 1
    changed = (split_heads(other, 3) != before).any(dim=-1)
    expected = torch.zeros(2, 3, 5, dtype=torch.bool)
    expected[:, :, 2] = True
    assert torch.equal(changed, expected)


def test_no_batch_or_two_batch_dimensions_will_do(split_heads):
    """(time, width) and (a, b, time, width), strided too."""
    x = draw(4, 6)
    assert_close(split_heads(x, 3)[1], x[:, 2:4])
    x = draw(6, 4, 3, 2).permute(3, 2, 1, 0)  # (2, 3, 4, 6), strided
    assert_close(split_heads(x, 2)[:, :, 1], x[..., 3:])


def test_width_that_cannot_be_cut_is_refused(split_heads):
    """7 numbers make no 2 equal heads: a ValueError, which names the sizes."""
    with pytest.raises(ValueError, match=r".+"):
        split_heads(draw(2, 3, 7), 2)


def test_vector_worked_by_hand(rms_norm):
    """(1, 7) has the mean square 25: divided by 5 it is (0.2, 1.4), then times the weight."""
    x, weight = torch.tensor([[1.0, 7.0]]), torch.tensor([1.0, 10.0])
    assert_close(rms_norm(x, weight, epsilon=0.0), torch.tensor([[0.2, 14.0]]))


def test_norm_agrees_with_pytorch(rms_norm):
    """Vectors whose mean is far from 0, so that a mean that is subtracted shows."""
    x, weight = draw(2, 3, 7, size=3.0) + 5, draw(7, seed=1)
    assert_close(rms_norm(x, weight), F.rms_norm(x, (7,), weight, 1e-5))


def test_epsilon_stands_inside_the_root(rms_norm):
    """With a mean square of 9 and epsilon 16 the divisor is √25 = 5, not 3 + 16."""
    x, weight = torch.tensor([[3.0, -3.0, 3.0]]), torch.ones(3)
    assert_close(rms_norm(x, weight, epsilon=16.0), torch.tensor([[0.6, -0.6, 0.6]]))


def test_vector_of_zeros_stays_zero(rms_norm):
    """Padding is often all zeros: epsilon keeps 0 / 0 away, in the gradient too."""
    x = torch.zeros(2, 5, requires_grad=True)
    normalised = rms_norm(x, torch.ones(5))
    normalised.sum().backward()
    assert torch.equal(normalised.detach(), torch.zeros(2, 5))
    assert x.grad.isfinite().all()


def test_each_vector_has_its_own_size(rms_norm):
    """A huge vector beside a tiny one: both come out with a mean square of 1."""
    x = draw(2, 5, 8) * torch.tensor([1e4, 1.0, 1e-1, 1e3, 10.0])[:, None]
    mean_square = rms_norm(x, torch.ones(8), epsilon=1e-12).square().mean(dim=-1)
    assert_close(mean_square, torch.ones(2, 5))


def test_norm_keeps_dtype_and_leaves_its_input(rms_norm):
    """In fp64, on a strided view."""
    x = draw(7, 3, 2, dtype=torch.float64).permute(2, 1, 0)
    before, weight = x.clone(), draw(7, seed=1, dtype=torch.float64)
    normalised = rms_norm(x, weight, epsilon=1e-3)
    assert normalised.dtype == torch.float64
    assert torch.equal(x, before)
    assert_close(normalised, F.rms_norm(before, (7,), weight, 1e-3))


def feed_forward_inputs(size: float = 1.0):
    """x (2, 3, 5) and the weights of a layer from 5 to 7 numbers and back."""
    return (
        draw(2, 3, 5, size=size),
        draw(7, 5, seed=1),
        draw(7, 5, seed=2),
        draw(5, 7, seed=3),
    )


def test_one_number_worked_by_hand(swiglu):
    """x = 2: gate ln 3 · 2 / 2, whose SiLU is ln 3 · 3/4; up 4; down 10."""
    x = torch.tensor([[2.0]])
    gate, up, down = (torch.tensor([[number]]) for number in (math.log(3) / 2, 2.0, 10.0))
    assert_close(swiglu(x, gate, up, down), torch.tensor([[math.log(3) * 0.75 * 4 * 10]]))


def test_layer_agrees_with_pytorch(swiglu):
    """PyTorch's SiLU and linear layers with the same weights."""
    x, gate, up, down = feed_forward_inputs()
    expected = F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)
    assert_close(swiglu(x, gate, up, down), expected)


def test_closed_gate_lets_nothing_through(swiglu):
    """Gate weights of zero close it, up weights of zero leave nothing to pass: both give 0."""
    x, gate, up, down = feed_forward_inputs()
    assert_close(swiglu(x, torch.zeros_like(gate), up, down), torch.zeros_like(x))
    assert_close(swiglu(x, gate, torch.zeros_like(up), down), torch.zeros_like(x))


def test_up_branch_is_linear(swiglu):
    """Up weights three times as large give a result three times as large; gate weights do not."""
    x, gate, up, down = feed_forward_inputs()
    once = F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)
    assert_close(swiglu(x, gate, 3 * up, down), 3 * once)
    thrice = F.linear(F.silu(F.linear(x, 3 * gate)) * F.linear(x, up), down)
    assert_close(swiglu(x, 3 * gate, up, down), thrice)


def test_gates_in_the_thousands_stay_finite(swiglu):
    """exp(1000) is inf: z · exp(z) / (1 + exp(z)) would be nan."""
    x, gate, up, down = feed_forward_inputs(size=1_000.0)
    wanted = (each.double() for each in (x, gate, up, down))
    x64, gate64, up64, down64 = wanted
    expected = F.linear(F.silu(F.linear(x64, gate64)) * F.linear(x64, up64), down64)
    assert_close(swiglu(x, gate, up, down), expected.float(), rtol=1e-4, atol=1.0)


def test_layer_gradients_agree_with_pytorch(swiglu):
    """To the input and to all three weights."""
    gradients = []
    for layer in (
        swiglu,
        lambda x, gate, up, down: F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down),
    ):
        inputs = [each.double().requires_grad_() for each in feed_forward_inputs()]
        (layer(*inputs) * draw(2, 3, 5, seed=4, dtype=torch.float64)).sum().backward()
        gradients.append([each.grad for each in inputs])
    for mine, theirs in zip(*gradients, strict=True):
        assert mine is not None, "no gradient reached an input"
        assert_close(mine, theirs)


def twice(x):
    """A part that doubles."""
    return 2 * x


def plus_three(x):
    """A part that adds 3."""
    return x + 3


def tenth(x):
    """A norm that divides by 10."""
    return x / 10


def minus_one(x):
    """A norm that subtracts 1."""
    return x - 1


def test_pre_norm_block_worked_by_hand(decoder_block):
    """5 + 2 · (5 / 10) = 6, then 6 + (6 − 1 + 3) = 14."""
    x = torch.full((1, 1, 1), 5.0)
    assert decoder_block(x, [twice, plus_three], [tenth, minus_one]).item() == pytest.approx(14)


def test_post_norm_block_worked_by_hand(decoder_block):
    """(5 + 10) / 10 = 1.5, then 1.5 + 4.5 − 1 = 5."""
    x = torch.full((1, 1, 1), 5.0)
    result = decoder_block(x, [twice, plus_three], [tenth, minus_one], pre_norm=False)
    assert result.item() == pytest.approx(5)


def test_pre_norm_leaves_the_stream_alone_if_the_parts_write_nothing(decoder_block):
    """x goes through unchanged, whatever the norms do; post-norm normalises it."""
    x = draw(2, 3, 5)
    silent = [torch.zeros_like] * 3
    norms = [tenth, minus_one, tenth]
    assert torch.equal(decoder_block(x, silent, norms), x)
    assert_close(decoder_block(x, silent, norms, pre_norm=False), (x / 10 - 1) / 10)


def test_each_part_sees_what_the_one_before_has_written(decoder_block):
    """Three parts in a row, as in a decoder with cross-attention."""
    x, seen = draw(2, 3, 5), []

    def part(number):
        def remember(x):
            seen.append(x.clone())
            return torch.full_like(x, number)

        return remember

    result = decoder_block(x, [part(1.0), part(10.0), part(100.0)], [minus_one] * 3)
    assert len(seen) == 3
    for given, expected in zip(seen, (x - 1, x, x + 10), strict=True):
        assert_close(given, expected)
    assert_close(result, x + 111)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_block_agrees_with_pytorchs_encoder_layer(decoder_block, pre_norm):
    """nn.TransformerEncoderLayer with the same weights: attention, then feed-forward."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = torch.nn.TransformerEncoderLayer(
            6, 2, dim_feedforward=11, dropout=0.0, batch_first=True, norm_first=pre_norm
        ).double()
    for norm in (layer.norm1, layer.norm2):
        norm.weight.data = draw(6, seed=5, dtype=torch.float64)
        norm.bias.data = draw(6, seed=6, dtype=torch.float64)
    x = draw(2, 3, 6, dtype=torch.float64)
    before = x.clone()

    def attend(x):
        return layer.self_attn(x, x, x, need_weights=False)[0]

    def feed_forward(x):
        return layer.linear2(torch.relu(layer.linear1(x)))

    norms = [layer.norm1, layer.norm2]
    result = decoder_block(x, [attend, feed_forward], norms, pre_norm=pre_norm)
    assert_close(result, layer(before))
    assert torch.equal(x, before)


def test_a_missing_norm_is_refused(decoder_block):
    """Two parts and one norm: a ValueError, not a part left out in silence."""
    with pytest.raises(ValueError, match=r".+"):
        decoder_block(draw(1, 2, 3), [twice, twice], [tenth])
