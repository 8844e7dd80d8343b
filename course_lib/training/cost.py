"""What a run will cost, said before it starts: memory of a rank, tokens a second, hours.

In reading order: `Memory` and `memory_of_rank` (by formula), `describe_cost` (the text printed).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from course_lib.model.config import TransformerConfig
from course_lib.model.parameters import count_parameters
from course_lib.training.accounting import matmul_peak, training_flops
from course_lib.training.plan import Plan
from course_lib.training.sharded import Ranks

STATE_BYTES = {"weights": 4, "gradients": 4, "optimizer": 8}  # a parameter, AdamW, fp32
COUNTS = (1, 2, 4, 8, 16, 64, 256)
CPU_MFU = 0.5  # of the measured peak
GPU_MFU = 0.4
H100_FLOPS = 989e12  # bf16 without sparsity, by NVIDIA's data sheet
FILLS_A_CARD = 100_000_000  # parameters; with fewer a card waits for the CPU


@dataclass(frozen=True)
class Memory:
    """Bytes on one rank at the worst moment of an update."""

    weights: int
    gradients: int
    optimizer: int
    gathered: int
    activations: int

    @property
    def state(self) -> int:
        """What stays between updates and is divided among the ranks."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        """All of it."""
        return self.state + self.gathered + self.activations


def memory_of_rank(
    config: TransformerConfig, *, piece_tokens: int, num_pieces: int = 1, number_bytes: int = 4
) -> Memory:
    """Memory of a LLaMA with its state in `num_pieces`, computing `piece_tokens` tokens at once.

    For backward each token leaves 6 model_dim + 6 width + 4 hidden_dim numbers in every layer, and
    in the end 3 vocab_size in fp32: logits, their softmax, its gradient. Attention is the fused
    one, which keeps no scores. Whole, and in pieces no more, are two blocks and the embedding.

    Korthikanti et al. 2022, https://arxiv.org/abs/2205.05198, section 4.1. Chapters 13 and 14.
    """
    num_parameters = count_parameters(config)
    embedding = config.vocab_size * config.model_dim
    block = (num_parameters - embedding) // config.num_layers
    width = config.num_heads * config.head_dim
    layer = 6 * config.model_dim + 6 * width + 4 * config.hidden_dim
    token = number_bytes * (config.num_layers * layer + 4 * config.model_dim)
    token += 3 * 4 * config.vocab_size
    return Memory(
        **{name: size * -(-num_parameters // num_pieces) for name, size in STATE_BYTES.items()},
        gathered=number_bytes * 2 * (embedding + 2 * block),
        activations=piece_tokens * token,
    )


def describe_cost(plan: Plan, ranks: Ranks) -> str:
    """Parameters, tokens and FLOPs, then memory, tokens/s and time for several numbers of ranks.

    Speed is this rank's matrix products, measured here while all ranks measure, times the share of
    it that training is assumed to reach; without the time of communication, which depends on links.
    """
    peak = matmul_peak(ranks.compute_dtype, ranks.device)
    mfu = GPU_MFU if ranks.device.type == "cuda" else CPU_MFU
    name = str(ranks.compute_dtype).removeprefix("torch.")
    here = sorted({ranks.world_size, *COUNTS})
    lines = [
        *_head(plan),
        "",
        f"On ranks like this one: {peak / 1e9:,.0f} GFLOP/s in {name} measured, {mfu:.0%} assumed",
        *_table(plan, here, peak * mfu, dtype=ranks.compute_dtype, local_size=ranks.local_size),
    ]
    if ranks.device.type != "cuda" and count_parameters(plan.config) >= FILLS_A_CARD:
        lines += [
            "",
            f"On H100 cards: {H100_FLOPS / 1e12:,.0f} TFLOP/s in bfloat16 by its data sheet, "
            f"{GPU_MFU:.0%} assumed",
            *_table(plan, COUNTS, H100_FLOPS * GPU_MFU, dtype=torch.bfloat16, local_size=8),
        ]
    return "\n".join([*lines, "", "Tokens/s and time are without communication between ranks."])


def _head(plan: Plan) -> Iterator[str]:
    config = plan.config
    num_parameters, flops = count_parameters(config), training_flops(config)
    num_steps, num_tokens = plan.steps(num_parameters), plan.tokens(num_parameters)
    named = plan.size.vocab_size
    remark = "" if config.vocab_size == named else f", the name is for {named:,}"
    yield (
        f"{plan.size.name}: {num_parameters:,} parameters "
        f"(vocabulary {config.vocab_size:,}{remark})"
    )
    yield (
        f"{num_tokens:,} tokens in {num_steps:,} updates of {num_tokens // num_steps:,}: "
        f"{plan.batch_rows:,} rows of {config.context_length:,}"
    )
    yield f"{flops:.2e} FLOPs a token, {flops * num_tokens:.2e} in all"


def _table(
    plan: Plan, counts: Iterable[int], speed: float, *, dtype: torch.dtype, local_size: int
) -> Iterator[str]:
    """A head, and a line for each number of ranks that the batch's rows can be dealt to."""
    config = plan.config
    rate = speed / training_flops(config)
    num_tokens = plan.tokens(count_parameters(config))
    yield f"{'ranks':>6}{'state':>12}{'computing':>12}{'memory':>12}{'tokens/s':>14}{'time':>13}"
    for count in filter(plan.fits, counts):
        rows = -(-plan.batch_rows // count // plan.pieces(count))
        memory = memory_of_rank(
            config,
            piece_tokens=rows * config.context_length,
            num_pieces={"none": 1, "full": count}.get(plan.sharding, min(count, local_size)),
            number_bytes=dtype.itemsize,
        )
        sizes = (memory.state, memory.total - memory.state, memory.total)
        shown = "".join(f"{size / 1e9:>9.3f} GB" for size in sizes)
        duration = _shown_seconds(num_tokens / (rate * count))
        yield f"{count:>6}{shown}{rate * count:>14,.0f}{duration:>13}"


def _shown_seconds(seconds: float) -> str:
    """In hours, or where these are few in minutes or seconds."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
