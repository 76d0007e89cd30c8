"""How numba compiles and runs the kernels of this package; imported before any of them is compiled."""

from typing import Any

import llvmlite.binding as llvm
import numba

PARTITIONS = 32
"""Pieces into which a kernel divides its rows. It does not depend on the number of threads, and partial sums
are added in the order of pieces, so that a result does not depend on scheduling."""

# OpenMP threads wait like PyTorch's do; numba's own pool loses 10 to 30 % beside them.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

_features = llvm.get_host_cpu_features()
if _features.get("avx512f") and not numba.config.CPU_FEATURES:
    # LLVM prefers 256-bit vectors on processors whose 512-bit units are as fast.
    numba.config.CPU_NAME = llvm.get_host_cpu_name()
    numba.config.CPU_FEATURES = _features.flatten() + ",-prefer-256-bit"

_OPTIONS: dict[str, Any] = {
    # Sums may be reordered into vectors; NaN and infinity are refused before training.
    "fastmath": {"nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"},
    "error_model": "numpy",
    "boundscheck": False,
    "cache": True,
    "nogil": True,
}

compiled = numba.njit(**_OPTIONS)
"""Decorator of a kernel that runs on one thread."""

compiled_parallel = numba.njit(parallel=True, **_OPTIONS)
"""Decorator of a kernel whose ``prange`` runs over PARTITIONS on all threads."""
