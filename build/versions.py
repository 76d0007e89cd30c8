"""Versions of what a result depends on beside our own code."""

import importlib.metadata
import platform
from functools import cache

PACKAGES = (
    "numpy",
    "torch",
    "scipy",
    "scikit-learn",
    "numba",
    "zarr",
    "pyarrow",
    "onnx",
    "onnxruntime",
    "tokenizers",
)


@cache
def versions() -> dict[str, str]:
    """Python's and the numeric packages' versions."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }
