"""What runs around a chapter: checks, progress, claims, plots, demos and the command `course`.

The names a chapter uses are imported from here; each is loaded when it is first asked for, so
that the command `course` starts without PyTorch.
"""

import importlib

HOMES = {
    "check": "checking",
    "check_rejects": "checking",
    "hint": "checking",
    "solution": "checking",
    "progress": "journal",
    "setup": "presets",
    "claim": "claims",
    "claims_table": "claims",
    "LiveLoss": "live_loss",
    "show": "plots",
    "demos": "demos",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{HOMES[name]}")
    return module if name == "demos" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(HOMES)
