"""Arrays that begin where the processor reads them fastest.

At a cache line: where an array does not, every vector that is read or written touches two lines. Large ones in large
pages: the processor knows the places of few pages at a time. NumPy asks for them from 4 MB on, and only where whole
ones fit.
"""

import contextlib
import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LINE = 64
"""Bytes of a cache line, and of the widest vectors."""
PAGE = 1 << 21
"""Bytes of a large page."""
LARGE = PAGE // 4
"""Bytes from which an array has pages of its own."""


def _large_pages(size: int) -> Array:
    """At least ``size`` zero bytes that begin at a large page, where the system has such."""
    held = mmap.mmap(-1, size + 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a system without
        held.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(held, np.uint8)  # keeps what is held
    return whole[-whole.ctypes.data % PAGE :]


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Zeros of ``shape`` that begin at a multiple of LINE bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size >= LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
        return _large_pages(size)[:size].view(dtype).reshape(shape)
    held = np.zeros(size + LINE, np.uint8)
    start = -held.ctypes.data % LINE
    return held[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: npt.ArrayLike, dtype: npt.DTypeLike) -> Array:
    """A copy in C order that begins at a multiple of LINE bytes."""
    source = np.asarray(array)
    copy = aligned_zeros(source.shape, dtype)
    copy[...] = source
    return copy
