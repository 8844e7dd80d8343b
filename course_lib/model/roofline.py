"""The roofline: is a computation bound by arithmetic or by memory, and the same for attention.

In reading order: `Machine` and the table `MACHINES`; `Work`, what a computation asks for;
`roofline_seconds`; `plain_attention_work` and `flash_attention_work`, counted by formula; and
`copy_bytes_per_second`, measured here.
"""

import math
import time
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Machine:
    """Peak arithmetic, bandwidth to slow memory, and the size of the fast one, of one device."""

    name: str
    flops_per_second: float
    bytes_per_second: float
    fast_bytes: int

    @property
    def ridge(self) -> float:
        """FLOPs a byte above which arithmetic is the limit, and below which memory is."""
        return self.flops_per_second / self.bytes_per_second


# Dense fp16 or bf16 with fp32 sums, from the makers' data sheets; fast memory is all shared memory
# and L1 of the card. The lecture's slide names the A100 of 80 GB, its pyramid that of 40 GB.
MACHINES = {
    machine.name: machine
    for machine in (
        Machine("A100 40 GB", 312e12, 1.555e12, 108 * 192 * 1024),
        Machine("A100 80 GB", 312e12, 2.039e12, 108 * 192 * 1024),
        Machine("H100 80 GB", 989e12, 3.35e12, 132 * 256 * 1024),
    )
}


@dataclass(frozen=True)
class Work:
    """Floating-point operations, and bytes between fast and slow memory."""

    flops: float | int
    num_bytes: float | int

    @property
    def intensity(self) -> float:
        """FLOPs a byte."""
        return self.flops / self.num_bytes


def roofline_seconds(work: Work, machine: Machine) -> float:
    """max(flops / peak, bytes / bandwidth): the time if arithmetic and transfers overlap fully.

    A lower bound: real kernels reach 50-80 % of it.

    Williams, Waterman and Patterson 2009, https://doi.org/10.1145/1498765.1498785. Chapter 15.
    """
    return max(work.flops / machine.flops_per_second, work.num_bytes / machine.bytes_per_second)


def plain_attention_work(length: int, head_dim: int, *, bytes_per_number: int = 2) -> Work:
    """Two products of 2 N^2 d; S and P are each written and read again: 4 N^2 + 4 N d numbers.

    One head, forward, not causal; the softmax's own few operations a score are left out.

    Dao et al. 2022, https://arxiv.org/abs/2205.14135, algorithm 0. Chapter 15.
    """
    numbers = 4 * length**2 + 4 * length * head_dim
    return Work(4 * length**2 * head_dim, numbers * bytes_per_number)


def flash_attention_work(
    length: int, head_dim: int, *, block_queries: int = 128, bytes_per_number: int = 2
) -> Work:
    """The same products; Q, O and N log-sum-exps (fp32) once, K and V once a block of queries.

    2 N d + 2 ceil(N / block) N d numbers: larger blocks of queries read K and V less often.

    Dao 2023, https://arxiv.org/abs/2307.08691, algorithm 1. Chapter 15.
    """
    passes = math.ceil(length / block_queries)
    numbers = 2 * length * head_dim + 2 * passes * length * head_dim
    return Work(4 * length**2 * head_dim, numbers * bytes_per_number + 4 * length)


def copy_bytes_per_second(*, num_bytes: int = 2**26, repeats: int = 5) -> float:
    """Bytes read and written a second by the fastest of a few copies, on the CPU.

    The tensor must be larger than the caches, or their speed is measured.
    """
    source = torch.ones(num_bytes // 4)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(repeats + 1):  # the first call also asks the system for the pages
        started = time.perf_counter()
        target.copy_(source)
        seconds.append(time.perf_counter() - started)
    return 2 * 4 * source.numel() / min(seconds[1:])
