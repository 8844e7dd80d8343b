"""GPU kernels in Triton: flash attention and fused operations; without a GPU, in its interpreter.

Triton decides when a kernel is defined whether it is compiled or interpreted, so importing this
package decides first: where there is no GPU the interpreter is switched on, unless
TRITON_INTERPRET says otherwise.
"""

import os
import sys

import torch

try:
    import triton.language
except ImportError as error:
    raise ImportError(
        "`kernels` needs Triton, which is made for Linux on x86-64; all else in the course works "
        "without it."
    ) from error


def _switch_interpreter() -> bool:
    """Whether kernels are interpreted in this process, and Triton prepared for it."""
    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
    is_interpreted = triton.knobs.runtime.interpret
    if is_interpreted:
        _interpret_language()
    return is_interpreted


def _interpret_language() -> None:
    """Wrap triton.language's own jitted functions (max, sum, zeros, ...) for the interpreter.

    They are wrapped for the compiler if triton was imported before the switch, as the first
    torch.optim.AdamW does; the symptom is "Cannot call @triton.jit'd outside of ... a kernel".
    """
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction

    for name, module in list(sys.modules.items()):
        if name.partition("triton.language")[:2] != ("", "triton.language"):
            continue
        for member_name, member in list(vars(module).items()):
            if isinstance(member, JITFunction):
                setattr(module, member_name, InterpretedFunction(member.fn))


IS_INTERPRETED = _switch_interpreter()
