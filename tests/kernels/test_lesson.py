"""The kernels of the lesson, against PyTorch."""

import pytest
import torch
import torch.nn.functional as F

from kernels.lesson import flash_kernel, fused_softmax, launch_flash, launch_softmax

DTYPES = (torch.float32, torch.float16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (4, 64), (2, 130)])
def test_softmax_of_every_row(shape, dtype, device):
    x = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    torch.testing.assert_close(launch_softmax(fused_softmax, x), x.softmax(dim=-1))


def test_rows_may_be_far_apart_and_scores_large(device):
    x = 100 * torch.randn(7, 40, generator=torch.Generator().manual_seed(1)).to(device)
    view = x[:, :13]
    torch.testing.assert_close(launch_softmax(fused_softmax, view), view.softmax(dim=-1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("sizes", [(64, 64), (37, 70), (1, 33), (5, 5)])
def test_attention_with_ragged_blocks(sizes, is_causal, dtype, device):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(time, 16, generator=generator).to(device, dtype)
        for time in (sizes[0], *2 * sizes[1:])
    )
    output = launch_flash(flash_kernel, 10 * query, key, value, is_causal=is_causal)
    positions = torch.arange(sizes[0], device=device)[:, None] + sizes[1] - sizes[0]
    mask = torch.arange(sizes[1], device=device) <= positions if is_causal else None
    expected = F.scaled_dot_product_attention(
        10 * query.double(), key.double(), value.double(), attn_mask=mask
    )
    tolerance = 2e-5 if dtype is torch.float32 else 4e-3
    torch.testing.assert_close(output.double(), expected, rtol=tolerance, atol=tolerance)
