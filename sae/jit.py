"""How numba compiles the kernels of this package; imported before any of them is compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba

_config: Any = numba.config
_features = llvm.get_host_cpu_features()
if _features.get("avx512f") and not _config.CPU_FEATURES:
    # LLVM prefers 256-bit vectors on processors whose 512-bit units are as fast.
    _config.CPU_NAME = llvm.get_host_cpu_name()
    _config.CPU_FEATURES = _features.flatten() + ",-prefer-256-bit"

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_compile = numba.njit(
    # Sums may be reordered into vectors; NaN and infinity are refused before training.
    fastmath={"nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"},
    error_model="numpy",
    boundscheck=False,
    cache=True,
    nogil=True,
)


def compiled(function: Kernel) -> Kernel:
    """Decorator of a kernel. It runs on the calling thread and lets other threads run Python meanwhile.

    The compiled code is cached beside the source and made anew when its own file changes; after changing a
    kernel that another file calls, touch that file too.
    """
    kernel: Any = _compile(function)
    return cast(Kernel, kernel)
