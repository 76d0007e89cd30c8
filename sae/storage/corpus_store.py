"""Read one corpus of a store: documents, embeddings, the search matrix, example queries, what was left out."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sae import schema
from sae.storage.arrays import open_table, read_table
from sae.storage.manifest import StoreError, shortened
from sae.storage.sae_store import SAE
from sae.storage.stored_rows import Rows
from sae.storage.trust import check_finite, open_matrix
from sae.storage.trust_values import check_values

if TYPE_CHECKING:
    from sae.store import Store


class Corpus:
    """The documents of one corpus with their embeddings. Attributes: name, path, n_documents, d_in, saes."""

    def __init__(self, store: "Store", name: str) -> None:
        self.store, self.name = store, name
        self.path = store.path / name
        self.facts = store.manifest.corpora[name]
        self.n_documents: int = self.facts["n_documents"]
        self.d_in: int = self.facts["d_in"]
        self.saes: tuple[str, ...] = tuple(self.facts["saes"])

    def sae(self, name: str) -> SAE:
        if name not in self.facts["saes"]:
            raise StoreError(f"There is no SAE {name!r} for {self.name}; there are {', '.join(self.saes)}.")
        return SAE(self, name)

    def table(self, name: str) -> Path:
        """A Parquet file of the corpus, compared with its checksum."""
        return self.store.verified(f"{self.name}/{name}")

    @cached_property
    def embeddings(self) -> Rows:
        """float16 (n_documents, d_in); compared with its checksum once, when first used."""
        return self.matrix(schema.EMBEDDINGS, "float16", (self.n_documents, self.d_in))

    @cached_property
    def search_rows(self) -> Rows:
        """int8 (n_documents, d_in): the coarse rows that every search passes over."""
        return self.matrix(schema.SEARCH, "int8", (self.n_documents, self.d_in))

    @cached_property
    def search_scales(self) -> np.ndarray:
        """float32 (n_documents, 2): the step of each coarse row, and the length of what its rounding lost."""
        return np.array(self.matrix(schema.SEARCH_SCALES, "float32", (self.n_documents, 2)))

    def matrix(self, name: str, dtype: str, shape: tuple[int, int]) -> Rows:
        """A ``.npy`` file of the corpus, compared with its checksum, of exactly this dtype and shape, finite."""
        path = self.store.checked(f"{self.name}/{name}")
        try:
            found = open_matrix(path, dtype, shape)
            if found.dtype.kind == "f":
                check_finite(found)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path} {shortened(error)}. Run `make verify`, then `make artifacts`."
            ) from None
        return found

    def documents(self, rows: Sequence[int] | np.ndarray, columns: list[str] | None = None) -> pa.Table:
        """The documents at the given rows, in that order; only the row groups that hold them are read."""
        return take_rows(self._documents, rows, columns, self.path / schema.DOCUMENTS)

    def column(self, name: str) -> pa.ChunkedArray:
        """One whole column of the documents, such as ``title``."""
        return read_table(self.table(schema.DOCUMENTS), schema.DOCUMENT_COLUMNS, [name]).column(name)

    @cached_property
    def _documents(self) -> pq.ParquetFile:
        file = open_table(self.table(schema.DOCUMENTS), schema.DOCUMENT_COLUMNS)
        if file.metadata.num_rows != self.n_documents:
            raise StoreError(
                f"{self.path / schema.DOCUMENTS} has {file.metadata.num_rows:,} documents instead of "
                f"{self.n_documents:,}. Run `make artifacts`."
            )
        return file

    def queries(self) -> pa.Table:
        """Example queries with their embeddings (``query``, ``embedding``)."""
        return read_table(self.table(schema.QUERIES), schema.QUERY_COLUMNS)

    def quarantine(self) -> pa.Table:
        """What was left out of the corpus, or altered, and why."""
        return read_table(self.table(schema.QUARANTINE), schema.QUARANTINE_COLUMNS)


def take_rows(
    file: pq.ParquetFile, rows: Sequence[int] | np.ndarray, columns: list[str] | None, name: Path | str
) -> pa.Table:
    """Rows of a Parquet file, called ``name`` in errors, in the order asked for, reading only the row groups that hold
    them."""
    wanted = np.asarray(rows, dtype=np.int64)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    groups = np.unique(np.searchsorted(starts, wanted, side="right") - 1)
    try:
        table = file.read_row_groups(groups.tolist(), columns=columns, use_threads=False)
        check_values(table)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{name} cannot be read ({shortened(error)}). Run `make verify`.") from None
    # Where each wanted row stands in the concatenation of the groups read.
    before = np.concatenate([[0], np.cumsum([sizes[g] for g in groups])])
    position = np.searchsorted(groups, np.searchsorted(starts, wanted, side="right") - 1)
    return table.take(pa.array(before[position] + wanted - starts[groups[position]]))
