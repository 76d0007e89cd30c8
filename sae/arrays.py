"""Zarr and Parquet as the store uses them: checksums on every chunk and page, sizes checked before reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from sae.manifest import StoreError

_CHUNK_BYTES = 1 << 16
_CHUNKS_A_SHARD = 64


def write_group(
    path: Path, arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, str], **attributes: Any
) -> None:
    """Write a Zarr v3 group whose arrays are exactly ``dtypes``' names, each cast to its dtype.

    Chunks hold about 64 KB of whole rows, sharded 64 to a file; a Crc32c codec comes last, so that a flipped
    bit is an error and never a number.
    """
    if set(arrays) != set(dtypes):
        raise ValueError(f"expected arrays {sorted(dtypes)}, found {sorted(arrays)}")
    group = zarr.create_group(store=str(path), zarr_format=3, attributes=attributes)
    for name, dtype in dtypes.items():
        data = np.ascontiguousarray(arrays[name], dtype=dtype)
        row_bytes = max(1, data.itemsize * int(np.prod(data.shape[1:])))
        rows = max(1, min(_CHUNK_BYTES // row_bytes, max(1, data.shape[0])))
        shards = rows * min(_CHUNKS_A_SHARD, max(1, -(-data.shape[0] // rows)))
        array = group.create_array(
            name,
            shape=data.shape,
            dtype=data.dtype,
            chunks=(rows, *data.shape[1:]),
            shards=(shards, *data.shape[1:]),
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            fill_value=0,
        )
        # Shards that hold only the fill value must be written too: a missing one reads as zeros in silence.
        with zarr.config.set({"array.write_empty_chunks": True}):
            array[...] = data


class Group:
    """A read-only Zarr group of the store, its arrays checked against the names and dtypes of the schema."""

    def __init__(self, path: Path, dtypes: Mapping[str, str], attributes: tuple[str, ...] = ()) -> None:
        self.path = path
        try:
            group = zarr.open_group(store=str(path), mode="r", zarr_format=3)
            self._arrays: dict[str, Any] = {name: group[name] for name in dtypes}
            self.attributes = {name: group.attrs[name] for name in attributes}
        except Exception as error:
            raise StoreError(_damaged(path, error)) from None
        for name, dtype in dtypes.items():
            found = self._arrays[name]
            if not isinstance(found, zarr.Array) or str(found.dtype) != dtype:
                raise StoreError(f"{path} is damaged: {name} is not an array of {dtype}. Run `make verify`.")

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._arrays[name].shape)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start … stop of an array. Raises StoreError on a chunk whose checksum is wrong."""
        try:
            return np.asarray(self._arrays[name][start:stop])
        except Exception as error:
            raise StoreError(_damaged(self.path / name, error)) from None

    def read_rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The given rows (any order, repeats allowed) of an array."""
        try:
            return np.asarray(self._arrays[name].oindex[np.asarray(rows, dtype=np.int64)])
        except Exception as error:
            raise StoreError(_damaged(self.path / name, error)) from None


def write_table(path: Path, table: pa.Table, rows_per_group: int | None = None) -> None:
    """Write a Parquet file with page checksums and Zstandard compression."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True, row_group_size=rows_per_group)


def open_table(path: Path, schema: pa.Schema) -> pq.ParquetFile:
    """Open a Parquet file of the store; its columns must be those of the schema, its pages are verified."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True, memory_map=False)
        found = file.schema_arrow
    except Exception as error:
        raise StoreError(_damaged(path, error)) from None
    if found.names != schema.names or any(found.field(f.name).type != f.type for f in schema):
        raise StoreError(f"{path} is damaged: its columns are not those of this schema. Run `make verify`.")
    return file


def read_table(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """A whole Parquet file of the store, or some of its columns."""
    file = open_table(path, schema)
    try:
        return file.read(columns=columns, use_threads=False)
    except Exception as error:
        raise StoreError(_damaged(path, error)) from None


def _damaged(path: Path, error: Exception) -> str:
    what = " ".join(str(error).split())[:160] or type(error).__name__
    if isinstance(error, FileNotFoundError):
        what = "it is missing"
    return f"{path} cannot be read: {what}. Run `make verify` to list every damaged file."
