"""What is measured: the full plan for a GPU, and a dry one for the interpreter on a CPU."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionCase:
    """Self-attention over `tokens` in all, in sequences of `length`, heads of `head_dim`."""

    length: int
    head_dim: int
    is_causal: bool = True
    dtype: str = "bfloat16"
    tokens: int = 16384
    model_dim: int = 2048

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, time, head_dim)"""
        return (
            self.tokens // self.length,
            self.model_dim // self.head_dim,
            self.length,
            self.head_dim,
        )

    @property
    def forward_flops(self) -> float:
        """Two products of 2 queries * keys * head_dim; a causal one needs half. Backward: 2.5 x."""
        batch, heads, length, head_dim = self.shape
        flops = 4 * batch * heads * length * length * head_dim
        return flops / 2 if self.is_causal else flops


@dataclass(frozen=True)
class FusedCase:
    """A fused operation on `rows` of `dim` numbers; `vocab_size` is for the loss."""

    operation: str
    rows: int
    dim: int
    vocab_size: int = 0
    dtype: str = "bfloat16"


@dataclass(frozen=True)
class TrainingCase:
    """A step of a size of course_lib.training.sizes on `rows` rows; its products in `dtype`."""

    size: str
    rows: int
    context_length: int
    vocab_size: int
    dtype: str = "bfloat16"


@dataclass(frozen=True)
class Plan:
    """One run: its cases in order of importance; after `seconds` of measuring the rest is left out.

    `matmul_sizes` are of square matrices, by type; `compiler` is torch.compile's backend.
    """

    attention: tuple[AttentionCase, ...]
    fused: tuple[FusedCase, ...]
    training: tuple[TrainingCase, ...]
    matmul_sizes: tuple[tuple[str, int], ...]
    copy_bytes: int
    seconds: float
    compiler: str
    tests: tuple[str, ...] = ()
    tuning: AttentionCase = AttentionCase(4096, 128)


def _full_attention() -> tuple[AttentionCase, ...]:
    """bf16 by length, head_dim and mask; fp16 and fp32 shorter. What the goals speak of first."""
    long = (4096, 8192, 16384)
    cases = [AttentionCase(length, 128, causal) for causal in (True, False) for length in long]
    for head_dim in (64, 256):
        cases += [
            AttentionCase(length, head_dim, causal)
            for causal in (True, False)
            for length in (4096, 16384)
        ]
    cases += [
        AttentionCase(length, 128, causal) for causal in (True, False) for length in (1024, 2048)
    ]
    cases += [AttentionCase(1024, head_dim) for head_dim in (64, 256)]
    cases += [AttentionCase(length, 128, dtype="float16") for length in (1024, 4096)]
    cases += [AttentionCase(length, 64, dtype="float32") for length in (1024, 4096)]
    return tuple(cases)


FULL = Plan(
    attention=_full_attention(),
    fused=(
        FusedCase("rms_norm", 16384, 4096),
        FusedCase("swiglu", 16384, 8192),
        FusedCase("linear_cross_entropy", 16384, 768, 50304),
        FusedCase("linear_cross_entropy", 8192, 4096, 128256),
    ),
    training=(TrainingCase("124m", 32, 1024, 32768),),
    matmul_sizes=(("bfloat16", 8192), ("float16", 8192), ("float32", 4096)),
    copy_bytes=2**30,
    seconds=420,
    compiler="inductor",
)
_TINY = {"tokens": 96, "model_dim": 32}
DRY = Plan(
    attention=(
        AttentionCase(48, 32, dtype="float32", **_TINY),
        AttentionCase(96, 16, False, dtype="float16", **_TINY),
    ),
    fused=(
        FusedCase("rms_norm", 5, 24, dtype="float32"),
        FusedCase("swiglu", 5, 24, dtype="float32"),
        FusedCase("linear_cross_entropy", 8, 16, 40, dtype="float32"),
    ),
    training=(TrainingCase("1m", 1, 128, 2048, dtype="float32"),),
    matmul_sizes=(("float32", 64),),
    copy_bytes=2**12,
    seconds=600,
    compiler="eager",
    tests=("-k", "swiglu or grouped"),
    tuning=AttentionCase(48, 32, dtype="float32", tokens=48, model_dim=32),
)
