"""Arrays that begin at a cache line: where they do not, every vector that is read or written touches two lines."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LINE = 64
"""Bytes of a cache line, and of the widest vectors."""


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Zeros of ``shape`` that begin at a multiple of LINE bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    held = np.zeros(size + LINE, np.uint8)
    start = -held.ctypes.data % LINE
    return held[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: npt.ArrayLike, dtype: npt.DTypeLike) -> Array:
    """A copy in C order that begins at a multiple of LINE bytes."""
    source = np.asarray(array)
    copy = aligned_zeros(source.shape, dtype)
    copy[...] = source
    return copy
