"""Checks of chapter 03: prompts, answers read back, votes, prompt search, soft prompts.

Oracles: texts written out by hand, brute force over all choices, the model's own logits on text.
"""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from course_lib.model.config import llama_config
from course_lib.model.transformer import Transformer
from course_lib.text.batches import IGNORED, Batch
from course_lib.text.prompting import Example, Wording

WORDING = Wording("Question:", "Let us think:", "Answer:")
ENGLISH = Wording("Q:", "Steps:", "A:", "Count the fruit.")
LENA = Example("Lena has 3 + 5 sweets and gives 2 away.", "3 + 5 = 8. 8 - 2 = 6.", 6)
VASYA = Example("Vasya has 4 apples and eats half.", "half of 4 is 2.", 2)
PETYA = Example("Petya has 18 pears and eats half.", "half of 18 is 9.", 9)


def test_zero_shot_is_the_question_and_the_cue(build_prompt):
    """No instruction, no example, and no space behind the cue."""
    prompt = build_prompt(WORDING, [], VASYA)
    assert prompt == "Question: Vasya has 4 apples and eats half. Answer:"


def test_zero_shot_with_a_chain_of_thought_ends_in_the_other_cue(build_prompt):
    """The model is to write the steps: the prompt ends where they begin."""
    prompt = build_prompt(WORDING, [], VASYA, chain_of_thought=True)
    assert prompt == "Question: Vasya has 4 apples and eats half. Let us think:"


def test_few_shot_written_out(build_prompt):
    """The instruction, two solved examples in their order, then the open question, a line each."""
    prompt = build_prompt(ENGLISH, [LENA, VASYA], PETYA)
    assert prompt.split("\n") == [
        "Count the fruit.",
        "Q: Lena has 3 + 5 sweets and gives 2 away. A: 6",
        "Q: Vasya has 4 apples and eats half. A: 2",
        "Q: Petya has 18 pears and eats half. A:",
    ]


def test_few_shot_with_a_chain_of_thought_written_out(build_prompt):
    """Every example shows its steps, then the word for the answer."""
    prompt = build_prompt(WORDING, (LENA, PETYA), VASYA, chain_of_thought=True)
    assert prompt.split("\n") == [
        "Question: Lena has 3 + 5 sweets and gives 2 away. Let us think: 3 + 5 = 8. 8 - 2 = 6. "
        "Answer: 6",
        "Question: Petya has 18 pears and eats half. Let us think: half of 18 is 9. Answer: 9",
        "Question: Vasya has 4 apples and eats half. Let us think:",
    ]


def test_the_answer_asked_for_is_not_in_the_prompt(build_prompt):
    """117 stands in no question: a prompt that has it gives the answer away."""
    query = Example("What is 39 times 3?", "30 times 3 is 90, 9 times 3 is 27. 90 + 27 = 117.", 117)
    for chain_of_thought, shots in itertools.product((False, True), ([], [LENA], [LENA, VASYA])):
        prompt = build_prompt(WORDING, shots, query, chain_of_thought=chain_of_thought)
        assert "117" not in prompt
        assert prompt.endswith(":")


def test_russian_words_and_an_instruction_without_examples(build_prompt):
    """The words are the wording's own, whatever the language."""
    wording = Wording("Вопрос:", "Давай порассуждаем:", "Ответ:", "Реши задачи.")
    query = Example("У Васи 4 яблока. Он съел половину.", "половина от 4 равна 2.", 2)
    prompt = build_prompt(wording, [], query, chain_of_thought=True)
    assert prompt == (
        "Реши задачи.\nВопрос: У Васи 4 яблока. Он съел половину. Давай порассуждаем:"
    )


def test_shots_are_only_read(build_prompt):
    """A list that grew would show the query as an example in the next prompt."""
    shots = [LENA, VASYA]
    build_prompt(WORDING, shots, PETYA)
    assert shots == [LENA, VASYA]
    assert build_prompt(WORDING, shots, PETYA).count("Question:") == 3


def test_a_number_right_after_a_prompt_that_ended_in_the_cue(extract_answer):
    """The prompt ended in `Answer:`, so the text begins with the number."""
    assert extract_answer(" 6", "Answer:") == 6
    assert extract_answer("12.", "Answer:") == 12
    assert extract_answer("\n 40 apples", "A:") == 40


def test_the_number_behind_the_cue_of_a_chain(extract_answer):
    """3, 5 and 8 are steps on the way; `cue` says where the answer stands."""
    assert extract_answer(" 3 + 5 = 8. 8 - 2 = 6. Answer: 6", "Answer:") == 6
    assert extract_answer(" 30 + 9 = 39. Result:39.", "Result:") == 39


def test_the_next_question_is_not_ours(extract_answer):
    """A model that is not stopped invents the next problem, with an answer of its own."""
    assert extract_answer(" 6\nQuestion: Olya has 9 nuts. Answer: 9", "Answer:") == 6


def test_after_a_chain_the_next_question_is_not_ours_either(extract_answer):
    """Two cues stand in the text; the first line has the first of them."""
    chain = " 2 + 4 = 6. Ответ: 6\nВопрос: у Оли 7 слив. Давай порассуждаем: 7. Ответ: 7"
    assert extract_answer(chain, "Ответ:") == 6


def test_of_two_cues_in_the_line_the_first_counts(extract_answer):
    """A model that goes on behind its answer may write the cue again."""
    assert extract_answer(" 2 + 4 = 6. Answer: 6. Or is it? Answer: 9", "Answer:") == 6


def test_a_chain_that_came_to_no_answer_has_none(extract_answer):
    """Words without a number in the right place are no answer, and neither is the step before."""
    assert extract_answer(" half of 4 is 2. 2 + 4 = 6.", "Answer:") is None
    assert extract_answer(" I do not know. Answer: none of the 7", "Answer:") is None
    assert extract_answer(" 4 or 5? Answer: who knows", "Answer:") is None
    assert extract_answer("", "Answer:") is None
    assert extract_answer(" half of 4\n6", "Answer:") is None


def test_zero_negative_and_long_numbers_are_read(extract_answer):
    """0 is an answer; so is -3, if a wrong one; and 120 is one number."""
    assert extract_answer(" 0", "Answer:") == 0
    assert extract_answer(" 5 - 8 = -3. Answer: -3", "Answer:") == -3
    assert extract_answer(" 120\n", "Answer:") == 120
    assert type(extract_answer(" 120\n", "Answer:")) is int


def test_the_cue_is_a_text_and_no_pattern(extract_answer):
    """`A?` and `(a)` mean themselves."""
    assert extract_answer(" 4 + 4 = 8. A? 8", "A?") == 8
    assert extract_answer(" 4 + 4 = 8. (a) 8", "(a)") == 8


def test_the_most_frequent_answer_wins(majority_answer):
    """Three of five say 6."""
    assert majority_answer([6, 7, 6, 5, 6]) == 6
    assert majority_answer([41, 3, 3]) == 3


def test_a_sample_without_an_answer_has_no_vote(majority_answer):
    """None is the most frequent here, and says nothing."""
    assert majority_answer([None, 8, None, 8, None, 9]) == 8
    assert majority_answer([None, 0, None]) == 0


def test_without_any_answer_there_is_none(majority_answer):
    assert majority_answer([None, None]) is None
    assert majority_answer([]) is None


def test_of_equally_frequent_answers_the_earliest_wins(majority_answer):
    """Neither the smaller nor the later one: the order of the samples decides."""
    assert majority_answer([9, 2, 2, 9]) == 9
    assert majority_answer([2, 9, 9, 2]) == 2
    assert majority_answer([None, 5, 4]) == 5


def test_the_vote_is_no_mean_and_no_median(majority_answer):
    """One wild answer among others must not move it."""
    assert majority_answer([1, 1, 100, 50, 60]) == 1


SLOTS = [("", "Solve."), ("Q:", "Task:", "Problem:"), ("A:", "Result:")]


def test_one_slot_is_searched_by_trying_everything(search_prompts):
    """Three options, three scores, and the best of them."""
    table = {("a",): 0.25, ("b",): 0.75, ("c",): 0.5}
    best, scores = search_prompts([("a", "b", "c")], table.__getitem__, max_scored=10)
    assert best == ("b",)
    assert scores == table


def test_an_equal_score_is_no_reason_to_change(search_prompts):
    """Then the search would wander for ever among equals."""
    best, scores = search_prompts(SLOTS, lambda choice: 1.0, max_scored=99)
    assert best == ("", "Q:", "A:")
    assert len(scores) == 5, "the first one and one change of a slot each"


def test_the_slots_are_improved_one_after_the_other(search_prompts):
    """Each option has a worth of its own: the best is the sum of the best, 2 + 3 + 1."""
    worth = {"": 0, "Solve.": 2, "Q:": 1, "Task:": 3, "Problem:": 2, "A:": 1, "Result:": 0.5}
    best, scores = search_prompts(
        SLOTS, lambda choice: float(sum(map(worth.get, choice))), max_scored=99
    )
    assert best == ("Solve.", "Task:", "A:")
    assert scores[best] == 6
    assert len(scores) < 12, "far fewer than all 12 choices have to be scored"


def test_the_next_slot_builds_on_what_the_last_one_gained(search_prompts):
    """The scores in the order they were made: `Solve.` is kept while the next slots change."""
    worth = {"Solve.": 2, "Q:": 1, "Task:": 3, "Problem:": 2, "A:": 1}
    _, scores = search_prompts(
        SLOTS, lambda choice: float(sum(worth.get(each, 0) for each in choice)), max_scored=99
    )
    assert list(scores) == [
        ("", "Q:", "A:"),
        ("Solve.", "Q:", "A:"),
        ("Solve.", "Task:", "A:"),
        ("Solve.", "Problem:", "A:"),
        ("Solve.", "Task:", "Result:"),
        ("", "Task:", "A:"),  # the second round has only this one to score
    ]


def test_a_change_is_judged_beside_the_changes_before_it(search_prompts):
    """`Result:` is good with `Task:` alone. Looked at from the first prompt, both look useless."""
    table = dict.fromkeys(itertools.product(*SLOTS), 0.0)
    table |= {("", "Task:", "A:"): 0.25, ("", "Task:", "Result:"): 0.5, ("", "Q:", "Result:"): -1.0}
    best, _ = search_prompts(SLOTS, table.__getitem__, max_scored=99)
    assert best == ("", "Task:", "Result:")


def test_another_round_uses_what_a_later_slot_has_gained(search_prompts):
    """`Solve.` helps only after `Result:` was chosen, and its slot comes first: go round again."""
    table = dict.fromkeys(itertools.product(*SLOTS), 0.0)
    table |= {("", "Q:", "Result:"): 0.5, ("Solve.", "Q:", "Result:"): 0.75}
    best, scores = search_prompts(SLOTS, table.__getitem__, max_scored=99)
    assert best == ("Solve.", "Q:", "Result:")
    assert scores[best] == 0.75


def test_no_prompt_is_scored_twice(search_prompts):
    """A score is a run of the model over many problems."""
    asked = []

    def score(choice):
        asked.append(choice)
        return float(len(set(choice) & {"Solve.", "Problem:", "Result:"}))

    best, scores = search_prompts(SLOTS, score, max_scored=99)
    assert best == ("Solve.", "Problem:", "Result:")
    assert len(asked) == len(set(asked))
    assert set(asked) == set(scores)


@pytest.mark.parametrize("max_scored", [1, 2, 3, 5])
def test_the_search_stops_when_the_budget_is_spent(search_prompts, max_scored):
    """And still returns the best of what it has seen; the first prompt is the first."""
    asked = []

    def score(choice):
        asked.append(choice)
        return float(choice == ("", "Q:", "A:"))  # every other one is worse

    best, scores = search_prompts(SLOTS, score, max_scored=max_scored)
    assert len(asked) == len(scores) == max_scored
    assert best == asked[0] == ("", "Q:", "A:")


def test_a_slot_that_the_budget_cuts_short_counts_too(search_prompts):
    """Three scores and four options: the best of the three is returned."""
    table = {("a",): 0.0, ("b",): 0.5, ("c",): 0.25, ("d",): 1.0}
    best, scores = search_prompts([("a", "b", "c", "d")], table.__getitem__, max_scored=3)
    assert len(scores) == 3
    assert best == ("b",)


def test_within_a_slot_the_best_option_is_taken_not_the_last_better_one(search_prompts):
    """0.5 and then 0.25 are both better than 0."""
    table = {("a",): 0.0, ("b",): 0.5, ("c",): 0.25}
    assert search_prompts([("a", "b", "c")], table.__getitem__, max_scored=9)[0] == ("b",)


def tiny_model(dtype=torch.float64):
    """Two layers, with weights large enough to matter."""
    config = llama_config(
        vocab_size=13, context_length=32, model_dim=12, num_layers=2, num_heads=3, hidden_dim=10
    )
    model = Transformer(config, seed=3).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator(1)).to(dtype))
    return model


def generator(seed):
    return torch.Generator().manual_seed(seed)


def draw_tokens(*shape, seed=0):
    return torch.randint(13, shape, generator=generator(seed))


def draw_vectors(length, seed=5):
    return torch.randn(length, 12, generator=generator(seed)).double()


def test_the_vectors_of_real_tokens_are_a_real_prompt(soft_prompt_logits):
    """With the embeddings of tokens as prompt it must give what the model gives behind them."""
    model, words, tokens = tiny_model(), draw_tokens(5, seed=1), draw_tokens(2, 7)
    whole = torch.cat([words.expand(2, -1), tokens], dim=1)
    expected = model(whole)[:, 5:]
    logits = soft_prompt_logits(model, model.embedding(words).detach(), tokens)
    assert tuple(logits.shape) == (2, 7, 13), (
        "one row of logits for each token, none for the prompt"
    )
    assert_close(logits, expected)


def test_vectors_that_belong_to_no_word_are_read_as_they_are(soft_prompt_logits):
    """Row by row through the layers by hand, which is what the model does with any vectors."""
    model, prompt, tokens = tiny_model(), draw_vectors(3), draw_tokens(2, 4)
    rows = [torch.cat([prompt, model.embedding(each)])[None] for each in tokens]
    hidden = torch.cat([model.decoder(row, torch.arange(7)) for row in rows])
    expected = hidden[:, 3:] @ model.embedding.weight.T
    assert_close(soft_prompt_logits(model, prompt, tokens), expected)


def test_every_row_reads_the_same_prompt(soft_prompt_logits):
    """Three rows at once are three rows one by one."""
    model, prompt, tokens = tiny_model(), draw_vectors(4), draw_tokens(3, 6)
    together = soft_prompt_logits(model, prompt, tokens)
    for row in range(3):
        assert_close(together[row : row + 1], soft_prompt_logits(model, prompt, tokens[row, None]))


def test_the_prompt_is_read_before_the_tokens(soft_prompt_logits):
    """Another prompt changes the logits at every token; a later token changes no earlier one."""
    model, prompt, tokens = tiny_model(), draw_vectors(3), draw_tokens(2, 6)
    logits = soft_prompt_logits(model, prompt, tokens)
    other = soft_prompt_logits(model, draw_vectors(3, seed=6), tokens)
    assert (logits - other).abs().amax(dim=-1).min() > 1e-6
    changed = tokens.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 13
    assert_close(soft_prompt_logits(model, prompt, changed)[:, :4], logits[:, :4])


def test_gradients_reach_the_prompt_and_agree_with_differences(soft_prompt_logits):
    """In fp64, by finite differences; inputs unchanged."""
    model, tokens = tiny_model().requires_grad_(False), draw_tokens(2, 3)
    prompt, before = draw_vectors(2).requires_grad_(), tokens.clone()
    assert torch.autograd.gradcheck(lambda p: soft_prompt_logits(model, p, tokens), [prompt])
    assert torch.equal(tokens, before)


class Free(nn.Module):
    """A prompt that is its own parameters."""

    def __init__(self, length, seed=5):
        super().__init__()
        self.vectors = nn.Parameter(0.1 * draw_vectors(length, seed).float())

    def forward(self):
        return self.vectors


class Made(nn.Module):
    """A prompt that a matrix makes, as p-tuning's network does."""

    def __init__(self):
        super().__init__()
        self.inputs = nn.Parameter(draw_vectors(3).float())
        self.matrix = nn.Linear(12, 12)
        with torch.no_grad():
            self.matrix.weight.copy_(draw_vectors(12, seed=8) / 3)
            self.matrix.bias.zero_()

    def forward(self):
        return self.matrix(self.inputs)


def make_batches(step):
    """Rows of one task: the first three tokens are given, the next two are to be learned."""
    tokens = draw_tokens(4, 5, seed=7 + step % 2)
    targets = torch.full_like(tokens, IGNORED)
    targets[:, 3:] = torch.tensor([2, 9])
    return Batch(tokens, targets)


def loss_of(model, vectors, batch):
    """By the long way: -log p of every counted target, one row at a time."""
    total, count = 0.0, 0
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        rows = torch.cat([vectors, model.embedding(tokens)])[None]
        hidden = model.decoder(rows, torch.arange(rows.shape[1]))
        log_probs = F.log_softmax(hidden[0, len(vectors) :] @ model.embedding.weight.T, dim=-1)
        for place, target in enumerate(targets.tolist()):
            if target != IGNORED:
                total, count = total - log_probs[place, target], count + 1
    return total / count


def test_the_prompt_learns_the_task(tune_soft_prompt):
    """A model of random weights is hard to steer: 0.2 of 2.27 nats can go, 0.1 will do."""
    model, prompt = tiny_model(torch.float32), Free(3)
    with torch.no_grad():
        before = loss_of(model, prompt(), make_batches(0))
    losses = tune_soft_prompt(model, prompt, make_batches, num_steps=25, learning_rate=0.2)
    with torch.no_grad():
        after = loss_of(model, prompt(), make_batches(0))
    assert after < before - 0.1, f"loss {before:.3f} before tuning and {after:.3f} after"
    assert len(losses) == 25
    assert all(type(loss) is float for loss in losses), "the losses are numbers: loss.item()"


def test_the_first_loss_is_that_of_the_prompt_as_it_was_given(tune_soft_prompt):
    """The mean over the counted targets alone, each at the token that it follows: batch.targets are
    the next tokens already, and neither the prompt nor an IGNORED place counts.
    """
    model, prompt = tiny_model(torch.float32), Free(4)
    with torch.no_grad():
        expected = loss_of(model, prompt(), make_batches(0)).item()
    losses = tune_soft_prompt(model, prompt, make_batches, num_steps=2, learning_rate=0.01)
    assert losses[0] == pytest.approx(expected, rel=1e-5)


def test_the_model_stays_as_it_was(tune_soft_prompt):
    """Bit by bit; no gradient is left in it, and it can be trained afterwards as before."""
    model = tiny_model(torch.float32)
    model.embedding.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    flags = [parameter.requires_grad for parameter in model.parameters()]
    tune_soft_prompt(model, Free(3), make_batches, num_steps=5, learning_rate=0.1)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]), f"{name} has changed"
    assert all(parameter.grad is None for parameter in model.parameters()), "gradients are left"
    assert [parameter.requires_grad for parameter in model.parameters()] == flags


def test_a_prompt_made_by_a_network_is_tuned_through_it(tune_soft_prompt):
    """All its parameters move, not the vectors that it once made."""
    prompt = Made()
    before = copy.deepcopy(prompt.state_dict())
    losses = tune_soft_prompt(
        tiny_model(torch.float32), prompt, make_batches, num_steps=25, learning_rate=0.1
    )
    first, last = sum(losses[:4]) / 4, sum(losses[-4:]) / 4
    assert last < first - 0.05, f"25 steps took the loss from {first:.3f} to {last:.3f} only"
    for name, weight in prompt.state_dict().items():
        assert not torch.equal(weight, before[name]), f"{name} was not tuned"


def test_each_step_goes_down_the_slope_of_its_own_batch(tune_soft_prompt):
    """`backward` adds to what is in `.grad`: what the step before left there has to go first."""
    model, prompt, slopes, went_by = tiny_model(torch.float32), Free(3), [], []

    def batches(step):
        left = prompt.vectors.grad  # what the step before went by, if it is kept
        went_by.append(None if left is None else left.flatten().clone())
        with torch.enable_grad():
            vectors = prompt().detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(loss_of(model, vectors, make_batches(step)), vectors)
        slopes.append(slope.flatten())
        return make_batches(step)

    tune_soft_prompt(model, prompt, batches, num_steps=5, learning_rate=0.01)
    cosines = [  # clipping a gradient leaves it at 1
        F.cosine_similarity(slope, left, dim=0).item()
        for slope, left in zip(slopes[:-1], went_by[1:], strict=True)
        if left is not None and left.any()
    ]
    if cosines and cosines[0] > 0.999:  # else the loss itself is another one: see the first loss
        assert min(cosines) > 0.999, "a later step went by another gradient than that of its loss"


def test_each_step_gets_its_own_batch(tune_soft_prompt):
    """batches(0), batches(1), ...: once each, in order."""
    asked = []

    def batches(step):
        asked.append(step)
        return make_batches(step)

    tune_soft_prompt(tiny_model(torch.float32), Free(2), batches, num_steps=4, learning_rate=0.01)
    assert asked == [0, 1, 2, 3]
