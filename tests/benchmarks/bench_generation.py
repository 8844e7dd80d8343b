"""Row 8 of the goals: generation from a model of 3 M parameters, one text at a time."""

import torch
from transformers import LlamaForCausalLM

from course_lib.hub.llama import weight_names
from course_lib.inference import generate
from course_lib.model.fused_attention import fused_attention
from course_lib.model.transformer import Transformer
from tests.benchmarks.bench_training import SHAPES, llama, their_llama
from tests.benchmarks.contest import describe_machine, measure, report

PROMPT_TOKENS = 8
LENGTHS = {256: "<= 0.25", 1024: "<= 0.067"}  # new tokens -> goal beside no cache


def both_models(context_length: int) -> tuple[Transformer, LlamaForCausalLM]:
    """Ours and theirs with the same weights; larger than at first, so that tokens vary."""
    config = llama(*SHAPES["3 M"]).replace(context_length=context_length)
    ours, theirs = Transformer(config, attention=fused_attention).eval(), their_llama(config).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(2)
    state = ours.state_dict()
    weights = {there: state[here] for here, there in weight_names(config).items()}
    theirs.load_state_dict(weights | {"lm_head.weight": state["embedding.weight"]})
    return ours, theirs


def prompt(number: int) -> list[int]:
    """Some tokens, others each round."""
    generator = torch.Generator().manual_seed(number)
    return torch.randint(1024, (PROMPT_TOKENS,), generator=generator).tolist()


def run(rounds: int) -> None:
    """Greedy, with the caches and, once a length, without."""
    print(describe_machine(["torch", "transformers", "numpy"]))
    for length, goal in LENGTHS.items():
        ours, theirs = both_models(length + PROMPT_TOKENS)

        def our_tokens(tokens: list[int], use_cache=True, model=ours, length=length) -> list[int]:
            options = {"max_new_tokens": length, "temperature": 0, "use_cache": use_cache}
            return generate(model, tokens, **options)

        def their_tokens(tokens: list[int], model=theirs, length=length) -> list[int]:
            with torch.no_grad():
                rows = torch.tensor([tokens])
                options = {"max_new_tokens": length, "do_sample": False, "pad_token_id": 0}
                rows = model.generate(rows, attention_mask=torch.ones_like(rows), **options)
            return rows[0, len(tokens) :].tolist()

        same = sum(our_tokens(prompt(n)) == their_tokens(prompt(n)) for n in range(2))
        seconds = measure(
            {"course_lib": (prompt, our_tokens), "transformers": (prompt, their_tokens)}, rounds
        )
        without = measure({"without cache": (prompt, lambda p: our_tokens(p, use_cache=False))}, 1)
        tokens_per_second = length / min(seconds["course_lib"])
        title = (
            f"Row 8: {length} tokens, {ours.config.model_dim} x {ours.config.num_layers}, greedy, "
            f"fp32, {tokens_per_second:,.0f} tokens/s; the same tokens for {same} of 2 prompts"
        )
        goals = {"transformers": "<= 0.167", "without cache": goal}
        report(title, "course_lib", seconds | without, goals)
