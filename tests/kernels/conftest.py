"""Where the kernels run here, and what they allocate: filled with nan, and counted."""

import importlib.util

import pytest
import torch

# Triton is made for Linux on x86-64; elsewhere there is nothing to test.
collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["test_*.py"]


@pytest.fixture
def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def allocated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Poison all uninitialised memory: a number never written shows. Gives the sizes asked for."""
    sizes: list[int] = []

    def poisoned(allocate):
        def call(*args, **kwargs):
            tensor = allocate(*args, **kwargs)
            sizes.append(tensor.numel())
            return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

        return call

    monkeypatch.setattr(torch, "empty", poisoned(torch.empty))
    monkeypatch.setattr(torch, "empty_like", poisoned(torch.empty_like))
    return sizes
