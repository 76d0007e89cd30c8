"""Rows of a large matrix in a file, read when they are asked for, so that nothing of it is memory-mapped.

A mapped file that somebody truncates ends the process on any operating system, and one that is overwritten shows
other numbers. Here each read looks at the file first and gives a sentence instead.
"""

import os
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sae.errors import UserError

_BLOCK_BYTES = 1 << 20
_MOST_BYTES = 1 << 30  # of one read: Linux stops at 2 GB, macOS refuses more


class Rows(Protocol):
    """What a matrix of the store can do, held in memory or not."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any:
        """Rows as an array: one by its number, several by a slice or by an array of numbers."""

    def __matmul__(self, vector: Any, /) -> Any:
        """The product with a vector (d,): (n,)."""


class StoredRows:
    """A matrix (n, d) in C order from byte ``start`` of a file, which it keeps open. Safe to share between threads.

    Attributes: path, shape, dtype. Reading raises UserError when the file has changed since it was opened.
    """

    def __init__(self, file: FileIO, dtype: npt.DTypeLike, shape: tuple[int, int], start: int) -> None:
        self.path, self.shape, self.dtype = Path(file.name), shape, np.dtype(dtype)
        self._start = start
        self._row_bytes = shape[1] * self.dtype.itemsize
        self._file = file
        self._identity = self._found()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | npt.ArrayLike) -> np.ndarray:
        if isinstance(key, slice):
            first, stop, step = key.indices(len(self))
            if step == 1:
                return self._read(first, max(0, stop - first))
            key = np.arange(first, stop, step)
        wanted = np.asarray(key)
        if wanted.dtype == bool:
            wanted = np.flatnonzero(wanted)
        wanted = np.asarray(wanted, dtype=np.int64)
        if wanted.size and not -len(self) <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"rows from {wanted.min()} to {wanted.max()} of {len(self)}")
        fd, size, start = self._file.fileno(), self._row_bytes, self._start
        places = (wanted.ravel() % max(1, len(self)) * size + start).tolist()
        data = bytearray().join([os.pread(fd, size, place) for place in places])
        self._check(len(data) == len(places) * size)
        return np.frombuffer(data, self.dtype).reshape(*wanted.shape, self.shape[1])

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        size = max(1, _BLOCK_BYTES // max(1, self._row_bytes))
        blocks = [self[start : start + size] @ vector for start in range(0, len(self), size)]
        return np.concatenate(blocks) if blocks else self[:] @ vector

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def _found(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def _read(self, row: int, n: int) -> np.ndarray:
        rows = np.empty((n, self.shape[1]), self.dtype)
        view = memoryview(rows.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        at, done = self._start + row * self._row_bytes, 0
        while done < len(view):
            read = os.preadv(self._file.fileno(), [view[done : done + _MOST_BYTES]], at + done)
            if not read:
                break
            done += read
        self._check(done == len(view))
        return rows

    def _check(self, whole: bool) -> None:
        """Called after a read, so that what changed while it went on is noticed too."""
        if not whole or self._found() != self._identity:
            raise UserError(
                f"{self.path} was changed while it was in use. Run `make verify`, then `make artifacts`."
            )
