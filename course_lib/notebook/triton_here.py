"""Triton for a chapter's cells: `from course_lib.notebook.triton_here import tl, triton`.

The interpreter is switched on, also where there is a GPU: a chapter's tensors lie on the CPU.
TRITON_INTERPRET=0 prevents it. Where Triton is not made for the machine (macOS, Windows), both
names are stand-ins: cells that define kernels still run, and `kernels_run` says in one sentence why
nothing is launched.
"""

import importlib
import os


class _Absent:
    """Stands in for a module: each attribute is again one, and as a decorator it does nothing."""

    def __getattr__(self, name: str) -> "_Absent":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, decorated: object) -> object:
        return decorated


def _load() -> tuple[object, object]:
    """triton and triton.language, after `kernels` has switched the interpreter on."""
    os.environ.setdefault("TRITON_INTERPRET", "1")
    try:
        importlib.import_module("kernels")
        return importlib.import_module("triton"), importlib.import_module("triton.language")
    except ImportError:
        return _Absent(), _Absent()


triton, tl = _load()


def kernels_run() -> bool:
    """Whether kernels can be launched here; where not, says so in one sentence."""
    if isinstance(triton, _Absent):
        print("Triton is made for Linux on x86-64, so this cell launches no kernel here.")
    return not isinstance(triton, _Absent)
