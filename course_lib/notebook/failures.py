"""Words for a failed check: the values that disagree, the line that raised."""

import linecache
import re

import pytest
import torch

MESSAGE_LINES = 14
SMALL = 24  # tensors up to this many entries are shown whole
LONGEST = 300  # characters of a value
COMPARED = "the two differ"
# What pytest says of `assert tensor.all()`: the check's own line says it better.
NOISE = re.compile(r"\s*(assert tensor\(False\)$|\+\s+where .*<built-in method)")


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
    text = text.replace(f"assert {COMPARED}\n", "")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not NOISE.match(line)]
    if compared := _compared(excinfo):
        lines = compared
    lines = [line.removeprefix("  ") for line in lines]
    for note in getattr(error, "__notes__", []):  # on which rank, and where
        lines += note.splitlines()
    if not frames:  # an error of the answer is told by its own line, once for all checks
        lines += _check_line(excinfo)
    left_out = len(lines) - MESSAGE_LINES
    return "\n".join(lines[:MESSAGE_LINES] + ([f"... ({left_out} more)"] if left_out > 0 else []))


def _compared(excinfo: pytest.ExceptionInfo) -> list[str]:
    """The two sides of a failed torch.testing.assert_close, which itself shows neither."""
    for entry in excinfo.traceback:
        values = entry.frame.f_locals
        if entry.name == "assert_close" and "actual" in values and "expected" in values:
            return two_sides(values["actual"], values["expected"])
    return []


def two_sides(actual: object, expected: object) -> list[str]:
    """'yours: ...' and 'expected: ...'; of large tensors the first entry that differs."""
    tensors = isinstance(actual, torch.Tensor) and isinstance(expected, torch.Tensor)
    if not tensors:
        return [f"yours:    {actual!r}"[:LONGEST], f"expected: {expected!r}"[:LONGEST]]
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


def _check_line(excinfo: pytest.ExceptionInfo) -> list[str]:
    """The line of the check that failed, which shows the call it made."""
    checks = [entry for entry in excinfo.traceback if "/tests/chapters/" in _file_of(entry)]
    lines = str(checks[-1].statement).strip().splitlines() if checks else []
    return [f"check:    {lines[0]}"[:LONGEST]] if lines else []


def _line_of(entry: object) -> str:
    """'line 3: return y.total()'; only the number where the source is not kept."""
    number = entry.lineno + 1
    source = linecache.getline(_file_of(entry), number).strip()
    return f"line {number}: {source}" if source else f"line {number}"


def _file_of(entry: object) -> str:
    return entry.frame.code.raw.co_filename
