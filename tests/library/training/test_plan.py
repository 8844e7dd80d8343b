"""Sizes, plans and their cost: counts by the model itself, memory by its allocator."""

import math

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from course_lib.model.fused_attention import fused_attention
from course_lib.model.parameters import count_parameters
from course_lib.model.transformer import Transformer
from course_lib.text.batches import Batch
from course_lib.text.tokenizers import BPETokenizer
from course_lib.training.cost import describe_cost, memory_of_rank
from course_lib.training.optimizers import adamw
from course_lib.training.plan import Plan
from course_lib.training.sharded import Ranks, joined_ranks, shard_model, sharded_update
from course_lib.training.sizes import SIZES, find_size

NAMED = {"1m": 1e6, "3m": 3e6, "11m": 11e6, "30m": 30e6, "124m": 124e6, "350m": 350e6, "1b": 1e9}
ALONE = Ranks(rank=0, world_size=1, local_size=1, device=torch.device("cpu"))


def test_every_size_has_a_name_and_every_name_a_size():
    assert list(SIZES) == list(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_a_size_has_the_parameters_of_its_name(name):
    """Counted in the model itself, of which nothing is allocated."""
    with torch.device("meta"):
        model = Transformer(find_size(name).config())
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == pytest.approx(NAMED[name], rel=0.1)
    assert count_parameters(find_size(name).config()) == counted


def test_an_unknown_size_names_what_there_is():
    with pytest.raises(ValueError, match="size = '2b' must be one of 1m, 3m, 11m, 30m, 124m"):
        find_size("2b")


def test_what_is_not_given_follows_from_the_size():
    plan = Plan(find_size("11m"), vocab_size=4_096)
    assert (plan.learning_rate, plan.batch_tokens, plan.batch_rows) == (1e-3, 8_192, 32)
    assert plan.steps(10_000_000) == math.ceil(200_000_000 / 8_192)
    assert plan.tokens(10_000_000) == plan.steps(10_000_000) * 8_192
    assert Plan(find_size("11m"), vocab_size=4_096, num_tokens=8_193).steps(1) == 2
    assert Plan(find_size("11m"), vocab_size=4_096, num_steps=7).steps(1) == 7


def test_a_vocabulary_is_rounded_up_to_64():
    sizes = [Plan(find_size("1m"), vocab_size=size).config.vocab_size for size in (1, 64, 65, 822)]
    assert sizes == [64, 64, 128, 832]


def test_pieces_keep_a_rank_below_8192_tokens_at_once():
    plan = Plan(find_size("124m"), vocab_size=32_768)
    for world_size in (1, 2, 8, 64, 512):
        rows = plan.batch_rows // world_size
        pieces = plan.pieces(world_size)
        assert math.ceil(rows / pieces) * 1_024 <= 8_192
        assert pieces == 1 or math.ceil(rows / (pieces - 1)) * 1_024 > 8_192
    assert Plan(find_size("1m"), vocab_size=64, accumulation=3).pieces(2) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tokens": 5, "num_steps": 5}, "give tokens or steps, not both"),
        ({"num_steps": 0}, "num_steps = 0 must be at least 1"),
        ({"accumulation": -1}, "accumulation = -1 must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0 must be more than 0"),
        ({"learning_rate": math.nan}, "learning_rate = nan must be more than 0"),
        ({"schedule": "linear"}, "schedule = 'linear' must be one of cosine, stable-decay"),
        ({"sharding": "half"}, "sharding = 'half' must be one of full, hybrid, none"),
        ({"batch_tokens": 127}, "batch_tokens = 127 must be at least 128"),
    ],
)
def test_what_cannot_be_is_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        Plan(find_size("1m"), vocab_size=64, **options)


def test_ranks_that_do_not_fit_are_one_sentence():
    plan = Plan(find_size("1m"), vocab_size=64, accumulation=3)
    with pytest.raises(ValueError, match=r"8 rows of 128, which 3 ranks do not divide.*of 384"):
        plan.pieces(3)
    with pytest.raises(ValueError, match="accumulate = 3 must not exceed a rank's 2 rows"):
        plan.pieces(4)
    assert [count for count in range(1, 9) if plan.fits(count)] == [1, 2]


def test_the_identity_is_of_model_and_data_and_not_of_the_schedule():
    tokenizer = BPETokenizer.train([], 256)

    def identity(tokenizer=tokenizer, **options):
        return Plan(find_size("1m"), **{"vocab_size": 256, **options}).identity(tokenizer)

    assert identity() == identity(learning_rate=1.0, num_steps=5, sharding="none", accumulation=2)
    others = ({"seed": 1}, {"corpus": "stories-ru"}, {"batch_tokens": 512}, {"vocab_size": 700})
    assert all(identity() != identity(**options) for options in others)
    assert identity() != identity(BPETokenizer.train(["abab"], 257))


def peak_bytes(function):
    """The most memory that was allocated at once, by the allocator's own events."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    events = [each for each in profiled.profiler.kineto_results.events() if each.nbytes()]
    held = torch.tensor([each.nbytes() for each in sorted(events, key=lambda e: e.start_ns())])
    return int(held.cumsum(0).max())


@pytest.mark.slow
@pytest.mark.budget(30)
@pytest.mark.parametrize(
    ("changes", "num_rows", "num_pieces"),
    [({}, 8, 1), ({"num_kv_heads": 1, "vocab_size": 4_096}, 6, 2), ({"model_dim": 256}, 3, 1)],
)
def test_memory_is_what_the_formula_says_within_a_third(changes, num_rows, num_pieces):
    """The sum of the parts is a bound: gradients are whole when most activations are gone."""
    config = find_size("1m").config().replace(**changes)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(config.vocab_size, (num_rows, 129), generator=generator)
    documents = 1 + torch.arange(128).div(50, rounding_mode="floor").repeat(num_rows, 1)
    batch = Batch(tokens[:, :-1], tokens[:, 1:], documents, torch.arange(128).repeat(num_rows, 1))

    def train_twice():
        model = shard_model(config, ranks, seed=None, attention=fused_attention)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.01)
        optimizer = adamw(model)
        for _ in range(2):
            sharded_update(model, batch.split(num_pieces), optimizer)

    with joined_ranks() as ranks:
        train_twice()
        measured = peak_bytes(train_twice)
    said = memory_of_rank(config, piece_tokens=num_rows * 128 // num_pieces).total
    assert measured <= said <= 1.34 * measured


def test_pieces_of_the_state_and_tokens_at_once_are_what_memory_depends_on():
    config = find_size("124m").config()
    whole = memory_of_rank(config, piece_tokens=4_096)
    eighth = memory_of_rank(config, piece_tokens=4_096, num_pieces=8)
    half = memory_of_rank(config, piece_tokens=2_048)
    assert whole.state == 16 * count_parameters(config)
    assert eighth.state == pytest.approx(whole.state / 8, rel=1e-6)
    assert half.activations == whole.activations / 2
    assert whole.total == whole.state + whole.gathered + whole.activations


def test_the_cost_is_told_for_several_numbers_of_ranks():
    plan = Plan(find_size("1b"), vocab_size=32_768, num_steps=10)
    lines = describe_cost(plan, ALONE).splitlines()
    assert lines[0] == "1b: 1,036,445,696 parameters (vocabulary 32,768)"
    assert lines[1].startswith("10,485,760 tokens in 10 updates of 1,048,576: 512 rows of 2,048")
    here, cards = [number for number, line in enumerate(lines) if line.startswith("On ")]
    assert [line.split()[0] for line in lines[cards + 2 : cards + 9]] == (
        ["1", "2", "4", "8", "16", "64", "256"]
    )
    assert lines[here + 2].split()[1:3] == ["16.583", "GB"]  # 16 bytes a parameter
    rates = [float(line.split()[7].replace(",", "")) for line in lines[cards + 2 : cards + 9]]
    assert rates[3] == pytest.approx(8 * 0.4 * 989e12 / 7.33e9, rel=1e-3)


def test_a_small_model_is_not_planned_on_cards_that_it_does_not_fill():
    assert "H100" not in describe_cost(Plan(find_size("1m"), vocab_size=64, num_steps=1), ALONE)
