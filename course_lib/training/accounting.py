"""What training costs and how much of the machine it uses: FLOPs of a token, peak, MFU's two parts.

In reading order: `training_flops`, by formula, and `matmul_peak`, by measuring.
"""

import functools
import time

import torch
from torch import Tensor

from course_lib.model.config import TransformerConfig


def training_flops(config: TransformerConfig, *, context_length: int | None = None) -> int:
    """6 (matrix entries) + 12 num_layers context_length width, for each token: forward + backward.

    A multiplication and an addition for every entry of the matrices in the layers and the head, and
    for every pair in the scores and the mixture (width = num_heads head_dim); backward is twice
    forward. Looking up an embedding costs none. Of causal attention the hidden half counts too, as
    usual. ValueError for an encoder-decoder, whose stacks see different numbers of tokens.

    Chowdhery et al. 2022, https://arxiv.org/abs/2204.02311, appendix B. Chapters 07 and 14.
    """
    if config.kind == "encoder_decoder" or config.positions in ("transformer_xl", "deberta"):
        raise ValueError(
            f"kind={config.kind!r} with positions={config.positions!r} has products that the "
            "formula does not know: count with torch.utils.flop_counter.FlopCounterMode"
        )
    time = config.context_length if context_length is None else context_length
    width, kv_width = (n * config.head_dim for n in (config.num_heads, config.num_kv_heads))
    feed_forward = (3 if config.gated else 2) * config.model_dim * config.hidden_dim
    layer = 2 * config.model_dim * (width + kv_width) + feed_forward
    head = config.vocab_size * config.model_dim
    head += config.model_dim**2 if config.head == "masked" else 0
    return 6 * (config.num_layers * layer + head) + 12 * config.num_layers * time * width


def matmul_peak(
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    *,
    seconds: float = 0.05,
) -> float:
    """FLOP/s of the fastest square matrix product found in about so many seconds.

    Sizes double from 64 until one product takes a tenth of the time. Once a process for each number
    of threads: what MFU (model FLOPs utilization) is relative to. It depends on who else computes.

    Chowdhery et al. 2022, https://arxiv.org/abs/2204.02311, appendix B. Chapters 07 and 14.
    """
    return _measured_peak(dtype, device, seconds, torch.get_num_threads())


@functools.cache
def _measured_peak(
    dtype: torch.dtype, device: torch.device | str, seconds: float, num_threads: int
) -> float:
    size, fastest = 64, 0.0
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    _seconds_of_product(matrix)  # the first one also starts the library
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        taken = _seconds_of_product(matrix)
        fastest = max(fastest, 2 * size**3 / taken)
        if taken < seconds / 10:
            size *= 2
            matrix = torch.ones(size, size, dtype=dtype, device=device)
    return fastest


def _seconds_of_product(matrix: Tensor) -> float:
    start = time.perf_counter()
    product = matrix @ matrix
    if matrix.device.type != "cpu":
        product[0, 0].item()  # waits for it
    return time.perf_counter() - start
