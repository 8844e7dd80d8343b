"""Generation against transformers, without its cache, and each row of a batch on its own."""

import functools
import itertools

import pytest
import torch
from torch import nn

from course_lib.inference import generate, stream
from course_lib.inference.prompts import pad_left
from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer

PROMPTS = [[5, 3, 8, 8, 1], [7], [2, 9, 4]]
VOCAB = 23


def make_model(seed=2, **sizes):
    """A tiny LLaMA with grouped heads whose weights are large enough to have opinions."""
    config = llama_config(
        **{
            "vocab_size": VOCAB,
            "context_length": 64,
            "model_dim": 24,
            "num_layers": 2,
            "num_heads": 6,
            "num_kv_heads": 2,
            **sizes,
        }
    )
    model = Transformer(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(std=0.3, generator=generator)
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


def successor(tokens):
    """A language model that is a plain function: after t comes t + 3, modulo 23."""
    return nn.functional.one_hot((tokens + 3) % VOCAB, VOCAB).float() * 9


def drawn(**options):
    """Options of a draw that repeats."""
    return {"generator": torch.Generator().manual_seed(3), **options}


def loop_without_cache(model, prompt, max_new_tokens):
    """Greedy decoding in its plainest form."""
    tokens = torch.tensor([prompt])
    with torch.no_grad():
        for _ in range(max_new_tokens):
            following = model(tokens)[:, -1].argmax(dim=-1, keepdim=True)
            tokens = torch.cat([tokens, following], dim=1)
    return tokens[0, len(prompt) :].tolist()


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_is_the_plainest_loop(model, prompt, use_cache):
    expected = loop_without_cache(model, prompt, 12)
    assert len(set(expected)) > 3, "the model says too little to test with"
    ours = generate(model, prompt, max_new_tokens=12, temperature=0, use_cache=use_cache)
    assert ours == expected


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.6}, {"top_k": 4}, {"top_p": 0.7}, {"top_k": 9, "top_p": 0.9}],
)
def test_the_cache_changes_no_token(model, options):
    answers = [
        generate(model, PROMPTS, max_new_tokens=12, use_cache=use_cache, **drawn(**options))
        for use_cache in (True, False)
    ]
    assert answers[0] == answers[1]
    assert [len(answer) for answer in answers[0]] == [12, 12, 12]


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("positions", ["rope", "learned", "sinusoidal", "alibi", "none"])
def test_prompts_of_unequal_length_answer_as_each_alone(positions, use_cache):
    model = make_model(4, positions=positions)
    options = {"max_new_tokens": 8, "temperature": 0, "use_cache": use_cache}
    alone = [generate(model, prompt, **options) for prompt in PROMPTS]
    assert generate(model, PROMPTS, **options) == alone
    assert generate(model, PROMPTS[::-1], **options) == alone[::-1]


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor])
def test_a_prompt_may_be_a_list_a_tuple_or_a_tensor(kind):
    prompt = [5, 3, 8]
    assert generate(successor, kind(prompt), max_new_tokens=3, temperature=0) == [11, 14, 17]
    batch = generate(successor, [kind(prompt), kind([1])], max_new_tokens=2, temperature=0)
    assert batch == [[11, 14], [4, 7]]


def test_a_tensor_of_prompts_is_a_batch():
    tokens = torch.tensor([[1, 2], [3, 4]])
    before = tokens.clone()
    assert generate(successor, tokens, max_new_tokens=2, temperature=0) == [[5, 8], [7, 10]]
    assert torch.equal(tokens, before)
    assert generate(successor, tokens[:1], max_new_tokens=1, temperature=0) == [[5]]


def test_a_plain_function_reads_unequal_prompts_without_their_padding():
    seen = []

    def model(tokens):
        seen.append(tokens.tolist())
        return successor(tokens)

    assert generate(model, [[4, 5], [6]], max_new_tokens=2, temperature=0) == [[8, 11], [9, 12]]
    assert seen == [[[4, 5]], [[6]], [[4, 5, 8]], [[6, 9]]]


class Watched(nn.Module):
    """Passes calls on to a model and keeps what it was asked."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config, self.calls = model, model.config, []

    def forward(self, tokens, *, positions=None, documents=None, lengths=None, cache=None):
        self.calls.append((tuple(tokens.shape), self.training, torch.is_grad_enabled()))
        return self.model(
            tokens, positions=positions, documents=documents, lengths=lengths, cache=cache
        )


def test_with_a_cache_every_token_is_read_once(model):
    watched = Watched(model)
    generate(watched, PROMPTS, max_new_tokens=4, temperature=0)
    assert [shape for shape, *_ in watched.calls] == [(3, 5), (3, 1), (3, 1), (3, 1)]


@pytest.mark.parametrize("use_cache", [True, False])
def test_the_courses_transformer_is_given_a_cache_and_documents(model, use_cache):
    seen = []
    hook = model.register_forward_pre_hook(
        lambda module, args, given: seen.append((tuple(args[0].shape), set(given))),
        with_kwargs=True,
    )
    generate(model, PROMPTS, max_new_tokens=2, temperature=0, use_cache=use_cache)
    generate(model, PROMPTS[:1], max_new_tokens=1, temperature=0, use_cache=use_cache)
    hook.remove()
    cache, ragged = {"cache"} if use_cache else set(), {"documents", "positions"}
    second = (3, 1) if use_cache else (3, 6)
    assert seen == [((3, 5), ragged | cache), (second, ragged | cache), ((1, 5), cache)]


@pytest.mark.parametrize("use_cache", [True, False])
def test_an_encoder_decoder_continues_with_its_memory_given(use_cache):
    model = make_model(kind="encoder_decoder", positions="learned")
    source = torch.randint(VOCAB, (2, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        memory = model.encode(source)
    answers = generate(
        functools.partial(model, memory=memory),
        [[1], [1]],
        max_new_tokens=8,
        temperature=0,
        use_cache=use_cache,
    )
    for row, answer in enumerate(answers):
        reader = functools.partial(model, memory=memory[row : row + 1])
        assert answer == loop_without_cache(reader, [1], 8)
    assert answers[0] != answers[1]


def test_dropout_and_gradients_are_off_and_the_mode_is_put_back(model):
    watched = Watched(model).train()
    generate(watched, [1, 2], max_new_tokens=2)
    for _ in stream(watched, [1, 2], max_new_tokens=2):
        assert watched.training
        assert torch.is_grad_enabled()
    assert {state for _, *state in watched.calls for state in [tuple(state)]} == {(False, False)}
    assert watched.training
    watched.eval()


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ((), [4, 7, 10, 13, 16]),
        (10, [4, 7, 10]),
        ((13, 10), [4, 7, 10]),
        ([[7, 10]], [4, 7, 10]),
        (((10, 7), 13), [4, 7, 10, 13]),
        ([4], [4]),
        ([[1, 4]], [4, 7, 10, 13, 16]),  # 1 is the prompt's, not the answer's
    ],
)
def test_an_answer_ends_with_its_stop(stop, expected):
    options = {"max_new_tokens": 5, "temperature": 0, "stop": stop}
    assert generate(successor, [1], **options) == expected
    assert list(stream(successor, [1], **options)) == expected


def test_rows_end_each_for_itself():
    answers = generate(successor, [[1], [7], [2]], max_new_tokens=5, temperature=0, stop=10)
    assert answers == [[4, 7, 10], [10], [5, 8, 11, 14, 17]]


def test_generation_ends_when_every_row_has():
    calls = []

    def model(tokens):
        calls.append(tokens.shape[1])
        return successor(tokens)

    generate(model, [[1], [4]], max_new_tokens=50, temperature=0, stop=10)
    assert calls == [1, 2, 3]


def test_a_row_that_ended_does_not_disturb_the_draws_of_the_others(model):
    free = generate(model, PROMPTS, max_new_tokens=12, **drawn())
    stopped = generate(model, PROMPTS, max_new_tokens=12, stop=free[0][2], **drawn())
    assert len(stopped[0]) <= 3
    for short, long in zip(stopped, free, strict=True):
        assert long[: len(short)] == short


def test_a_stream_is_the_same_answer_token_by_token(model):
    options = {"max_new_tokens": 9, "temperature": 0.9, "top_k": 7}
    answer = generate(model, [4, 2], **drawn(**options))
    growing = stream(model, [4, 2], **drawn(**options))
    assert [next(growing) for _ in range(4)] == answer[:4]
    assert list(growing) == answer[4:]


def test_a_stream_computes_only_what_is_asked_for():
    calls = []

    def model(tokens):
        calls.append(1)
        return successor(tokens)

    growing = stream(model, [1], max_new_tokens=1000)
    assert calls == []
    assert list(itertools.islice(growing, 3)) == [4, 7, 10]
    assert len(calls) == 3


def test_draws_repeat_with_their_generator(model):
    one, two = (generate(model, PROMPTS, max_new_tokens=8, **drawn()) for _ in range(2))
    other = generate(model, PROMPTS, max_new_tokens=8, generator=torch.Generator().manual_seed(4))
    assert one == two
    assert one != other


def test_the_answers_distribution_is_the_models():
    """Two tokens after [0] under a table of probabilities, counted over 4,000 rows."""
    table = torch.tensor([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.3, 0.3, 0.4]])
    answers = generate(
        lambda tokens: table.log()[tokens],
        [[0]] * 4000,
        max_new_tokens=2,
        generator=torch.Generator().manual_seed(0),
    )
    for first, second in itertools.product(range(3), repeat=2):
        expected = float(table[0, first] * table[first, second])
        deviation = (4000 * expected * (1 - expected)) ** 0.5
        assert abs(answers.count([first, second]) - 4000 * expected) < 5 * deviation


def test_nothing_asked_is_nothing_given():
    assert generate(successor, [1], max_new_tokens=0) == []
    assert generate(successor, [[1], [2]], max_new_tokens=0) == [[], []]


@pytest.mark.parametrize(
    ("tokens", "options", "words"),
    [
        ([], {}, "prompt 0 is empty"),
        ([[1], []], {}, "prompt 1 is empty"),
        (torch.empty(0, 3, dtype=torch.long), {}, "there is no prompt"),
        ([1, -2], {}, "token ids from 0 up"),
        ([1], {"max_new_tokens": -1}, "max_new_tokens = -1"),
        ([1], {"stop": [[]]}, "empty stop sequence"),
        ([1], {"temperature": -1.0}, "temperature = -1"),
        ([1], {"top_k": 0}, "top_k = 0"),
    ],
)
def test_bad_input_is_one_sentence(tokens, options, words):
    with pytest.raises(ValueError, match=words):
        generate(successor, tokens, **{"max_new_tokens": 2, **options})


def test_a_stream_of_a_batch_is_refused_at_once():
    with pytest.raises(ValueError, match="give generate"):
        stream(successor, [[1], [2]], max_new_tokens=2)


def test_left_padding_worked_by_hand():
    padded = pad_left([[5], [6, 7, 8]], room=1)
    assert padded.tokens.tolist() == [[0, 0, 5, 0], [6, 7, 8, 0]]
    assert padded.documents.tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert padded.positions.tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    assert padded.starts == [2, 0]
    assert padded.is_ragged
    assert not pad_left([[1, 2], [3, 4]]).is_ragged


@pytest.fixture(scope="module")
def their_model():
    """A tiny random LLaMA of transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=24,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(std=0.3, generator=generator)
    return model


@pytest.mark.budget(20)  # importing transformers
@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"do_sample": False}, {"top_k": 9, "top_p": 0.9}, {"top_k": 2}]
)
def test_answers_are_those_of_transformers(their_model, options):
    """Greedy, and drawn: from one state of PyTorch's generator both draw the same tokens."""
    padded = pad_left(PROMPTS)
    options = {"do_sample": True, "top_k": 0, "temperature": 0.8, **options}
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        theirs = their_model.generate(
            padded.tokens, attention_mask=padded.documents, max_new_tokens=20, **options
        )
        torch.manual_seed(1)
        sampled = options.pop("do_sample")
        ours = generate(
            lambda tokens: their_model(tokens).logits,
            PROMPTS,
            max_new_tokens=20,
            temperature=options["temperature"] if sampled else 0,
            top_k=options["top_k"] or None,
            top_p=options.get("top_p"),
        )
    assert ours == theirs[:, padded.num_columns :].tolist()
