"""What a run found: build/gpu-DEVICE.json, the record that the course keeps, and README's table.

The table is written from the record between two marks that a reader never sees. The record is
tracked, so that the table can be checked where there is no GPU.
"""

import json
import re
from pathlib import Path

from course_lib.files import write_atomically

from .attention import FLEX, SDPA_BACKENDS
from .attention import OURS as OUR_ATTENTION
from .fused import COMPILED, EAGER
from .fused import OURS as OUR_FUSED

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "kernels" / "gpu.json"
README = ROOT / "README.md"
NOT_MEASURED = "Speed and memory on a GPU: not measured yet."
SHORTEST_IN_TABLE = 4096
_MARKED = re.compile(r"(<!-- gpu -->\n).*?(<!-- /gpu -->)", re.DOTALL)

Row = dict[str, object]


def save(found: dict[str, object], folder: Path) -> Path:
    """Write gpu-DEVICE.json into `folder`; its path."""
    device = re.sub(r"[^A-Za-z0-9]+", "-", str(found["device"])).strip("-")
    path = folder / f"gpu-{device}.json"
    write_atomically(path, as_json(found))
    return path


def publish(found: dict[str, object]) -> None:
    """Keep the record, and write README's table from it."""
    write_atomically(RECORD, as_json(found))
    write_atomically(README, fill(README.read_text(encoding="utf-8"), found))


def as_json(found: dict[str, object]) -> str:
    """A row on a line, so that a new run is a readable diff."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list):
            lines = ",\n".join(f"  {json.dumps(row)}" for row in value)
            parts.append(f" {json.dumps(key)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def load_record() -> dict[str, object] | None:
    """The record that the course keeps, if any."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else None


def fill(page: str, found: dict[str, object] | None) -> str:
    """The page with what stands between the marks as the record has it.

    ValueError if the page has no marks, or has them twice.
    """
    if len(_MARKED.findall(page)) != 1:
        raise ValueError("README.md must have <!-- gpu --> and <!-- /gpu --> once, each on a line")
    text = NOT_MEASURED if found is None else report(found)
    return _MARKED.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page)


def report(found: dict[str, object]) -> str:
    """A sentence and three tables, in Markdown."""
    versions, tests, roofs = found["versions"], found["tests"], found["rooflines"]
    matmul = _number(roofs.get("matmul_bfloat16_tflops"), 0)
    sentence = (
        f"On one {found['device']}, torch {versions['torch']}, triton {versions['triton']}: "
        f"{tests['passed']} tests of the kernels passed, {tests['failed'] + tests['errors']} "
        f"failed. In the same run a bf16 matrix product reached {matmul} TFLOP/s, a copy "
        f"{_number(roofs.get('copy_gb_per_second'), 0)} GB/s. Attention is in bf16, 16,384 tokens "
        "in sequences of the length given; — is what a library refused, or had no memory for."
    )
    tables = [
        attention_table(found["attention"]),
        fused_table(found["fused"]),
        training_table(found["training"]),
    ]
    return "\n\n".join([sentence, *tables])


def attention_table(rows: list[Row]) -> str:
    """TFLOP/s and the peak memory of a step: ours, the fastest SDPA backend, FlexAttention."""
    lines = _head(
        "head_dim, mask, length",
        "forward TFLOP/s: ours",
        "fastest SDPA",
        FLEX,
        "backward TFLOP/s: ours",
        "fastest SDPA",
        FLEX,
        "MiB of a step: ours",
        "that SDPA",
        FLEX,
    )
    for case in _groups(rows, ("dtype", "head_dim", "is_causal", "length")):
        first = case[OUR_ATTENTION]
        if first["dtype"] != "bfloat16" or first["length"] < SHORTEST_IN_TABLE:
            continue
        forward, backward = (_fastest(case, each) for each in ("forward_tflops", "backward_tflops"))
        mask = "causal" if first["is_causal"] else "full"
        cells = [f"{first['head_dim']}, {mask}, {first['length']}"]
        for name, peer in (("forward_tflops", forward), ("backward_tflops", backward)):
            fastest = _number(case[peer][name], 0) + f" ({peer[5:]})" if peer else "—"
            cells += [_number(first[name], 0), fastest, _number(case[FLEX][name], 0)]
        cells += [_number(first["step_mib"], 0)]
        cells += [_number(case[backward]["step_mib"], 0) if backward else "—"]
        cells += [_number(case[FLEX]["step_mib"], 0)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def fused_table(rows: list[Row]) -> str:
    """Milliseconds and peak memory of forward and backward together."""
    lines = _head(
        "operation, rows x dim",
        "ms: fused",
        EAGER,
        COMPILED,
        "MiB: fused",
        EAGER,
        COMPILED,
    )
    for case in _groups(rows, ("operation", "rows", "dim", "vocab_size", "dtype")):
        first = case[OUR_FUSED]
        vocabulary = f" x {first['vocab_size']}" if first["vocab_size"] else ""
        cells = [f"`{first['operation']}`, {first['rows']} x {first['dim']}{vocabulary}"]
        three = [case[name] for name in (OUR_FUSED, EAGER, COMPILED)]
        cells += [_number(row["step_ms"], 3) for row in three]
        cells += [_number(row["step_mib"], 0) for row in three]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def training_table(rows: list[Row]) -> str:
    """Tokens a second, TFLOP/s and peak memory of whole training steps."""
    lines = _head("training step", "tokens/s", "TFLOP/s", "MiB")
    for row in rows:
        name = f"{row['size']}, {row['rows']} x {row['context_length']}, {row['contestant']}"
        digits = {"tokens_per_second": 0, "tflops": 0, "step_mib": 0}
        cells = [name, *(_number(row[figure], each) for figure, each in digits.items())]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _groups(rows: list[Row], keys: tuple[str, ...]) -> list[dict[str, Row]]:
    """contestant -> row, for each case, in the order of the table."""
    groups: dict[tuple, dict[str, Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), {})[row["contestant"]] = row
    return [groups[key] for key in sorted(groups)]


def _fastest(case: dict[str, Row], figure: str) -> str | None:
    """The SDPA backend with the largest figure, if any has one."""
    able = [name for name in SDPA_BACKENDS if case[name][figure] is not None]
    return max(able, key=lambda name: case[name][figure], default=None)


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def _number(value: float | None, digits: int) -> str:
    return "—" if value is None else f"{value:,.{digits}f}"
