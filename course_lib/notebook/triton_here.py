"""Triton for a chapter's cells: `from course_lib.notebook.triton_here import tl, triton`.

The interpreter is switched on where there is no GPU. Where Triton is not made for the machine
(macOS, Windows), both names are stand-ins: cells that define kernels still run, and `kernels_run`
says in one sentence why nothing is launched.
"""

import importlib


class _Absent:
    """Stands in for a module: each attribute is again one, and as a decorator it does nothing."""

    def __getattr__(self, name: str) -> "_Absent":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, decorated: object) -> object:
        return decorated


try:
    importlib.import_module("kernels")  # decides first: compiled or interpreted
    triton = importlib.import_module("triton")
    tl = importlib.import_module("triton.language")
except ImportError:
    triton = tl = _Absent()


def kernels_run() -> bool:
    """Whether kernels can be launched here; where not, says so in one sentence."""
    if isinstance(triton, _Absent):
        print("Triton is made for Linux on x86-64, so this cell launches no kernel here.")
    return not isinstance(triton, _Absent)
