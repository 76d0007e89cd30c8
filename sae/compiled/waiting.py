"""Waiting awake, for kernels: a thread that sleeps takes longer to wake than most of what it is waited for takes."""

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from sae.compiled.jit import compiled

Array = np.ndarray[Any, Any]

_HAS_PAUSE = platform.machine().lower() in ("x86_64", "amd64")


def _look(typing_context: Any, numbers: Any, place: Any) -> Any:
    """What numba writes for ``look`` below."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _HAS_PAUSE:  # leaves the core to whoever shares it
            kind = ir.FunctionType(ir.VoidType(), ())
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), ())
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(held.data, [arguments[1]]), "acquire", 8)

    return types.int64(numbers, types.intp), generate


look: Any = intrinsic(_look)
"""``look(numbers, place)`` in a kernel: what is in ``numbers[place]``, int64, now, whoever wrote it."""


@compiled
def await_change(number: Array, seen: int, looks: int) -> bool:
    """Whether ``number[0]`` became another than ``seen`` within so many ``looks``."""
    left = looks
    while left > 0 and look(number, 0) == seen:
        left -= 1
    return left > 0


@compiled
def await_sum(numbers: Array, total: int, looks: int) -> bool:
    """Whether ``numbers`` came to add up to ``total`` within so many ``looks``."""
    for _ in range(looks // len(numbers)):
        reached = 0
        for place in range(len(numbers)):
            reached += look(numbers, place)
        if reached == total:
            return True
    return False
