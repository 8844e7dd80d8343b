"""In how many bits the products of training are taken: fp32, bf16, or what is faster here.

In reading order: `choose_dtype`, `products_in`.
"""

import contextlib
from typing import Literal

import torch

from course_lib.training.accounting import matmul_peak

Precision = Literal["float32", "bfloat16", "auto"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_dtype(name: str, device: torch.device | str = "cpu") -> torch.dtype:
    """float32, bfloat16, or with "auto" the one whose products are faster, measured in 10 ms each.

    bf16 is twice as fast as fp32 on processors with instructions for it, and some thirty times
    slower on others; on a GPU far faster. ValueError for another name.
    """
    if name == "auto":
        return max(DTYPES.values(), key=lambda each: matmul_peak(each, device, seconds=0.01))
    if name not in DTYPES:
        raise ValueError(f'dtype = {name!r} must be one of "auto", "float32", "bfloat16"')
    return DTYPES[name]


def products_in(
    dtype: torch.dtype, device: torch.device | str = "cpu"
) -> contextlib.AbstractContextManager:
    """Within the block matrix products are in `dtype`; weights and the residual stream stay fp32.

    bf16 has fp32's range and 8 bits of precision: no loss scaling, but an update smaller than
    1/256 of a weight would be lost if the weights had so few bits too.

    Micikevicius et al. 2017, https://arxiv.org/abs/1710.03740, section 3.1; bf16: Kalamkar et al.
    2019, https://arxiv.org/abs/1905.12322. Chapters 07 and 14.
    """
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=dtype)
