"""How numba compiles the kernels of this package; imported before any of them is compiled."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
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


@cache
def _stamp() -> str:
    """Changes with any file of the library that has to do with compiled code."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))
    return hashlib.sha256(
        b"".join(text for text in texts if b"sae.compiled.jit" in text or b"numba" in text)
    ).hexdigest()


def compiled(function: Kernel) -> Kernel:
    """Decorator of a kernel. It runs on the calling thread and lets other threads run Python meanwhile.

    The compiled code is cached beside the source, and made anew when a kernel in any file changes: those of one file
    are compiled into those of another that calls them, while numba by itself asks only for a kernel's own file.
    """
    kernel: Any = _compile(function)
    if hasattr(kernel, "_cache"):  # not where numba is switched off
        kernel._cache._cache_file._source_stamp = _stamp()  # a private field; numba 0.68 has no public one
    return cast(Kernel, kernel)
