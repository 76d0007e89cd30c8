"""Zarr and Parquet as the store uses them: checksums on every chunk and page, sizes checked before reading."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from sae.storage import limits
from sae.storage.manifest import StoreError
from sae.storage.trust_parquet import decoded_sizes, footer_fits
from sae.storage.trust_values import Bounds, check_values
from sae.storage.trust_zarr import ArrayCheck, check_group

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
            # Shards that hold only the fill value must be written too: a reader takes a missing one for damage.
            config={"write_empty_chunks": True},
        )
        array[...] = data


class Group:
    """A read-only Zarr group of the store. Nothing of it is decoded before ``sae.storage.trust_zarr`` has looked at it.

    ``verified`` compares a shard with the manifest before its first use, where there is a manifest.
    """

    def __init__(
        self,
        path: Path,
        dtypes: Mapping[str, str],
        attributes: tuple[str, ...] = (),
        optional: tuple[str, ...] = (),
        verified: Callable[[Path], object] | None = None,
    ) -> None:
        self.path = path
        try:
            self.attributes = check_group(path, attributes, optional)
            self._checks = {name: ArrayCheck(path / name, dtype, verified) for name, dtype in dtypes.items()}
            group = zarr.open_group(store=str(path), mode="r", zarr_format=3)
            self._arrays: dict[str, Any] = {name: group[name] for name in dtypes}
        except Exception as error:
            raise StoreError(_damaged(path, error)) from None
        for name, dtype in dtypes.items():
            found = self._arrays[name]
            if (
                not isinstance(found, zarr.Array)
                or str(found.dtype) != dtype
                or found.shape != self.shape(name)
            ):
                raise StoreError(f"{path} is damaged: {name} is not an array of {dtype}. Run `make verify`.")

    def shape(self, name: str) -> tuple[int, ...]:
        return self._checks[name].shape

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start … stop of an array. Raises StoreError on a chunk whose checksum is wrong."""
        try:
            self._checks[name].check_range(start, self.shape(name)[0] if stop is None else stop)
            return np.asarray(self._arrays[name][start:stop])
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(_damaged(self.path / name, error)) from None

    def read_rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The given rows (any order, repeats allowed) of an array."""
        rows = np.asarray(rows, dtype=np.int64)
        try:
            self._checks[name].check_rows(rows)
            return np.asarray(self._arrays[name].oindex[rows])
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(_damaged(self.path / name, error)) from None


def write_table(path: Path, table: pa.Table, rows_per_group: int | None = None) -> None:
    """Write a Parquet file with page checksums and Zstandard compression.

    Without dictionaries: a reader then knows from the page headers what a column decodes to.
    """
    pq.write_table(
        table,
        path,
        compression="zstd",
        use_dictionary=False,
        write_page_checksum=True,
        row_group_size=rows_per_group,
    )


def open_table(path: Path, schema: pa.Schema) -> pq.ParquetFile:
    """Open a Parquet file of the store: its columns are those of the schema, its pages within limits."""
    try:
        footer_fits(path)
        file = pq.ParquetFile(
            path,
            page_checksum_verification=True,
            memory_map=False,
            thrift_string_size_limit=limits.PARQUET_FOOTER_BYTES,
            thrift_container_size_limit=1 << 20,
        )
        found = file.schema_arrow
    except Exception as error:
        raise StoreError(_damaged(path, error)) from None
    if found.names != schema.names or any(
        found.field(f.name).type != f.type or found.field(f.name).nullable != f.nullable for f in schema
    ):
        raise StoreError(f"{path} is damaged: its columns are not those of this schema. Run `make verify`.")
    try:
        decoded_sizes(path, file.metadata)
    except (ValueError, OSError) as error:
        raise StoreError(_damaged(path, error)) from None
    return file


def read_table(
    path: Path, schema: pa.Schema, columns: list[str] | None = None, within: Bounds | None = None
) -> pa.Table:
    """A whole Parquet file of the store, or some of its columns; ``within`` bounds its identifiers."""
    file = open_table(path, schema)
    try:
        sizes = decoded_sizes(path, file.metadata)
        if sum(sizes.get(name, 0) for name in columns or schema.names) > limits.TABLE_BYTES:
            raise ValueError("it would take too much memory")
        table = file.read(columns=columns, use_threads=False)
        check_values(table, within)
    except Exception as error:
        raise StoreError(_damaged(path, error)) from None
    return table


def read_matching(
    path: Path, schema: pa.Schema, column: str, value: int, within: Bounds | None = None
) -> pa.Table:
    """Rows of a Parquet file of the store in which an integer column has one value."""
    open_table(path, schema).close()
    try:
        table = pq.read_table(
            path, filters=[(column, "=", value)], page_checksum_verification=True, use_threads=False
        )
        check_values(table, within)
    except Exception as error:
        raise StoreError(_damaged(path, error)) from None
    return table


def _damaged(path: Path, error: Exception) -> str:
    what = " ".join(str(error).split())[:160] or type(error).__name__
    if isinstance(error, FileNotFoundError):
        what = "it is missing"
    return f"{path} cannot be read: {what}. Run `make verify` to list every damaged file."
