"""Words for a failed check: the values that disagree, the line that raised."""

import linecache

import pytest
import torch

MESSAGE_LINES = 14
SMALL = 24  # tensors up to this many entries are shown whole


def describe_failure(excinfo: pytest.ExceptionInfo, answer_file: str | None) -> str:
    """What a failed check found, in at most 14 lines.

    A comparison shows both values; an exception in the answer shows its line.
    """
    error = excinfo.value
    text = str(error) or type(error).__name__
    if isinstance(error, pytest.fail.Exception):
        return text
    frames = [entry for entry in excinfo.traceback if _file_of(entry) == answer_file]
    if frames:
        text = f"{type(error).__name__}: {text}\nin your {_line_of(frames[-1])}"
    elif not isinstance(error, AssertionError):
        text = f"{type(error).__name__}: {text}"
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if compared := _compared(excinfo):
        lines = compared
    left_out = len(lines) - MESSAGE_LINES
    return "\n".join(lines[:MESSAGE_LINES] + ([f"... ({left_out} more)"] if left_out > 0 else []))


def _compared(excinfo: pytest.ExceptionInfo) -> list[str]:
    """The two sides of a failed torch.testing.assert_close, which itself shows neither."""
    for entry in excinfo.traceback:
        values = entry.frame.f_locals
        if entry.name == "assert_close" and "actual" in values and "expected" in values:
            return _sides(values["actual"], values["expected"])
    return []


def _sides(actual: object, expected: object) -> list[str]:
    tensors = isinstance(actual, torch.Tensor) and isinstance(expected, torch.Tensor)
    if not tensors:
        return [f"yours:    {actual!r}"[:300], f"expected: {expected!r}"[:300]]
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        described = [f"shape {tuple(side.shape)}, {side.dtype}" for side in (actual, expected)]
        return [f"yours:    {described[0]}", f"expected: {described[1]}"]
    actual, expected = actual.detach(), expected.detach()
    if actual.numel() <= SMALL:
        return [f"yours:    {_short(actual)}", f"expected: {_short(expected)}"]
    differs = ~torch.isclose(actual, expected, equal_nan=True)
    index = tuple(differs.nonzero()[0].tolist()) if differs.any() else (0,) * actual.ndim
    return [
        f"at {list(index)} yours: {actual[index].item():.6g}, "
        f"expected: {expected[index].item():.6g}; {int(differs.sum())} of {actual.numel()} differ"
    ]


def _short(tensor: torch.Tensor) -> str:
    """Values to four significant digits, in nested brackets."""

    def text(value: object) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(text, value))}]"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    return text(tensor.tolist())


def _line_of(entry: object) -> str:
    """'line 3: return y.total()'; only the number where the source is not kept."""
    number = entry.lineno + 1
    source = linecache.getline(_file_of(entry), number).strip()
    return f"line {number}: {source}" if source else f"line {number}"


def _file_of(entry: object) -> str:
    return entry.frame.code.raw.co_filename
