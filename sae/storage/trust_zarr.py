"""Zarr of a store, checked before Zarr opens it: exactly the metadata that Sextant writes, chunks of known size.

Metadata is compared with what ``sae.storage.arrays.write_group`` would have written for the same shape; only shape,
chunk length and compression level may vary. Before a shard is read, its index and the header of every
Zstandard frame in it are looked at: a chunk that claims another size than the metadata says, or that is absent
(which Zarr would show as zeros), is refused. A shard of a store is compared with the manifest before: a chunk's own
checksum says that it is whole, not that it stands in its place. Checks raise ValueError, OSError or StoreError.
"""

import math
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sae.storage import limits
from sae.storage.trust import count, load_json

_METADATA = "zarr.json"
_FRAME = 0xFD2FB528  # RFC 8878, section 3.1.1


class ArrayCheck:
    """One array of a group: shape, rows a chunk and a shard; ``check_rows`` looks at shards before a read.

    ``verified`` is called with the path of each shard, and raises where it is not what the manifest says.
    """

    def __init__(self, folder: Path, dtype: str, verified: Callable[[Path], object] | None = None) -> None:
        self.folder = folder
        self._verified = verified
        try:
            self._read(_metadata(folder), dtype)
        except (KeyError, TypeError, IndexError, AttributeError):
            raise ValueError("its metadata are not those that Sextant writes") from None

    def _read(self, found: dict[str, Any], dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.shape: tuple[int, ...] = _shape(found.get("shape"))
        grid = found["chunk_grid"]["configuration"]["chunk_shape"]
        codec = found["codecs"][0]["configuration"]
        inner = codec["chunk_shape"]
        rest = list(self.shape[1:])
        if not isinstance(grid, list) or not isinstance(inner, list) or grid[1:] != rest or inner[1:] != rest:
            raise ValueError("its chunks do not hold whole rows")
        row_bytes = self.dtype.itemsize * math.prod(rest)
        self.rows_a_chunk = count(inner[0], 1, limits.CHUNK_BYTES // row_bytes, "chunk length")
        self.rows_a_shard = count(grid[0], 1, self.rows_a_chunk * limits.CHUNKS_A_SHARD, "shard length")
        if self.rows_a_shard % self.rows_a_chunk:
            raise ValueError("its shards do not hold whole chunks")
        if self.shape[0] * row_bytes > limits.ARRAY_BYTES:
            raise ValueError(f"its shape {self.shape} is larger than Sextant reads")
        level = codec["codecs"][1]["configuration"]["level"]
        count(level, -50, 22, "compression level")
        expected = _expected(list(self.shape), dtype, grid, inner, level)
        if {**found, "fill_value": float(found["fill_value"])} != expected:
            raise ValueError("its metadata are not those that Sextant writes")
        self._chunk_bytes = self.rows_a_chunk * row_bytes
        self._row_bytes = row_bytes
        self._sound: dict[int, tuple[int, int]] = {}  # shard -> size and time of the file that was looked at

    def check_range(self, start: int, stop: int) -> None:
        """Look at every shard of rows start … stop, which are decoded at once."""
        if not 0 <= start <= stop <= self.shape[0]:
            raise ValueError(f"rows {start} to {stop} are not in it")
        if (stop - start) * self._row_bytes > limits.WHOLE_BYTES:
            raise ValueError("more would be decoded at once than Sextant allows")
        if stop > start:
            for shard in range(start // self.rows_a_shard, (stop - 1) // self.rows_a_shard + 1):
                self._check_shard(shard)

    def check_rows(self, rows: np.ndarray) -> None:
        """Look at every shard that holds one of the rows."""
        if rows.size and (rows.min() < 0 or rows.max() >= self.shape[0]):
            raise ValueError("rows are asked for that are not in it")
        if rows.size * self._row_bytes > limits.WHOLE_BYTES:
            raise ValueError("more would be decoded at once than Sextant allows")
        for shard in np.unique(rows // self.rows_a_shard).tolist():
            self._check_shard(shard)

    def _check_shard(self, shard: int) -> None:
        path = self.folder.joinpath("c", str(shard), *["0"] * (len(self.shape) - 1))
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("a shard is not a regular file")
        identity = (found.st_size, found.st_mtime_ns)
        if self._sound.get(shard) == identity:
            return
        if self._verified:
            self._verified(path)
        n_chunks = self.rows_a_shard // self.rows_a_chunk
        rows = min(self.shape[0] - shard * self.rows_a_shard, self.rows_a_shard)
        index_bytes = 16 * n_chunks + 4
        end = found.st_size - index_bytes
        with path.open("rb") as file:
            if end < 0:
                raise ValueError("a shard is too short for its index")
            index = np.frombuffer(os.pread(file.fileno(), index_bytes - 4, end), "<u8").reshape(n_chunks, 2)
            for offset, size in index[: -(-rows // self.rows_a_chunk)].tolist():
                if offset + size > end or size < 10:
                    raise ValueError("a chunk is absent or lies outside its shard")
                if frame_size(os.pread(file.fileno(), 18, offset)) != self._chunk_bytes:
                    raise ValueError("a chunk would decode to another size than its metadata say")
                _check_one_frame(file.fileno(), offset, offset + size - 4)
        self._sound[shard] = identity


def check_group(folder: Path, attributes: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes of a group; exactly the named ones, beside them at most the optional ones."""
    found = _metadata(folder)
    values = found.get("attributes")
    if not isinstance(values, dict) or set(values) - set(optional) != set(attributes):
        raise ValueError(f"its attributes are not {list(attributes)}")
    if {**found, "attributes": {}} != {"attributes": {}, "zarr_format": 3, "node_type": "group"}:
        raise ValueError("its metadata are not those that Sextant writes")
    return values


def frame_size(head: bytes) -> int:
    """Decoded size in bytes that a Zstandard frame states (RFC 8878, section 3.1.1.1). Raises ValueError."""
    at, width = _header(head)
    return int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)


def _header(head: bytes) -> tuple[int, int]:
    """(where a frame states its size, in how many bytes); its first block follows."""
    magic, descriptor = struct.unpack_from("<IB", head) if len(head) >= 6 else (0, 0)
    if magic != _FRAME:
        raise ValueError("a chunk is not compressed with Zstandard")
    single = descriptor >> 5 & 1
    width = (single, 2, 4, 8)[descriptor >> 6]
    at = 6 - single
    if descriptor & 3 or width == 0 or len(head) < at + width:
        raise ValueError("a chunk does not state its size")
    return at, width


def _check_one_frame(file: int, start: int, end: int) -> None:
    """Refuse bytes after a frame: another frame there would be decoded too, whatever its size."""
    head = os.pread(file, 18, start)
    at = start + sum(_header(head))
    last = 0
    while not last and at + 3 <= end:
        block = int.from_bytes(os.pread(file, 3, at), "little")
        last, kind, size = block & 1, block >> 1 & 3, block >> 3
        at += 3 + (1 if kind == 1 else size)
    if not last or at + (4 if head[4] & 4 else 0) != end:
        raise ValueError("a chunk is not one Zstandard frame")


def _metadata(folder: Path) -> dict[str, Any]:
    path = folder / _METADATA
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > limits.ZARR_METADATA_BYTES:
        raise ValueError("its metadata are not a small regular file")
    raw = load_json(path.read_bytes())
    if not isinstance(raw, dict):
        raise ValueError("its metadata are not an object")
    return raw


def _shape(found: Any) -> tuple[int, ...]:
    if not isinstance(found, list) or not 1 <= len(found) <= 2:
        raise ValueError("it has neither one nor two dimensions")
    for number, size in enumerate(found):
        most = limits.DOCUMENTS * limits.K if number == 0 else max(limits.D_IN, limits.K)
        count(size, number, most, "a dimension")
    return tuple(found)


def _expected(shape: list[int], dtype: str, grid: list[int], inner: list[int], level: int) -> dict[str, Any]:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    crc = {"name": "crc32c"}
    zstd = {"name": "zstd", "configuration": {"level": level, "checksum": False}}
    return {
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": grid}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": inner,
                    "codecs": [little, zstd, crc],
                    "index_codecs": [little, crc],
                    "index_location": "end",
                },
            }
        ],
        "attributes": {},
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
