"""Vectors of one's own: a .npy file, or a Parquet file with a column of lists."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build.embedders.base import Batch, Embedder
from sae.errors import UserError
from sae.progress import Progress

_ROWS_A_BLOCK = 8192


class PrecomputedEmbedder:
    """Rows of a file as embeddings of the documents, scaled to unit length.

    A .npy file (memory-mapped) and a Parquet file without ``id_column`` hold one row for each document, in
    the documents' order. With ``id_column`` rows are matched by doc_id and others are passed over. ``column``
    is the Parquet column of vectors; the only column of lists of numbers when it is not given. Only
    ``query_embedder``, the model that made the vectors, can embed other texts (phrases for labels, example
    queries); without it ``can_embed_texts`` is false, and a build makes do with the documents' own vectors.
    """

    whole_batches = False
    truncated = 0

    def __init__(
        self,
        path: str | Path,
        column: str | None = None,
        id_column: str | None = None,
        query_embedder: Embedder | None = None,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"The file of vectors {self.path} does not exist; check `path` of the embedder.")
        self._is_npy = self.path.suffix == ".npy"
        if self._is_npy and (column or id_column):
            raise UserError(f"{self.path} is a .npy file: column and id_column are for Parquet files.")
        self._id_column = id_column
        self._vector_column = "" if self._is_npy else self._find_column(column)
        self._query_embedder = query_embedder
        if query_embedder is not None and query_embedder.d_in != self.d_in:
            raise UserError(
                f"{self.path} holds vectors of {self.d_in} numbers, and the query model "
                f"{query_embedder.name} gives {query_embedder.d_in}; name the model that made the file."
            )

    @cached_property
    def name(self) -> str:
        found = self.path.stat()
        content = _sha256(self.path.resolve(), found.st_size, found.st_mtime_ns)
        return f"precomputed {self.path.name} (sha256 {content[:12]})"

    @cached_property
    def d_in(self) -> int:
        if self._is_npy:
            return int(self._matrix.shape[1])
        for _, vectors in self._parquet_blocks(1):
            return int(vectors.shape[1])
        raise UserError(f"{self.path} has no rows; name the file that holds a vector for each document.")

    @property
    def can_embed_texts(self) -> bool:
        return self._query_embedder is not None

    def check(self) -> None:
        """The query model's own check: the file itself was looked at when this was made."""
        if self._query_embedder is not None:
            self._query_embedder.check()

    @property
    def query_embedder(self) -> Embedder:
        """The model that made the vectors. Raises UserError when none was named."""
        if self._query_embedder is None:
            raise UserError(
                f"The vectors of {self.path} are for documents only, and other texts are to be embedded: "
                'name the model that made them, as in query = { kind = "openai", model = "…" }.'
            )
        return self._query_embedder

    def document_rows(self, doc_ids: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """float32 (n_documents, d_in) unit rows of the documents of these ids, in their order.

        Raises UserError naming the first bad row: not finite, all zeros, missing, ragged.
        """
        n_documents = len(doc_ids)
        if self._id_column is None and n_documents != self._n_rows:
            raise UserError(
                f"{self.path} holds {self._n_rows:,} vectors for {n_documents:,} documents; give one row for "
                "each document in the documents' order, or a Parquet file with id_column. Rows left out in "
                "cleaning are listed in the quarantine report."
            )
        out = np.empty((n_documents, self.d_in), np.float32)
        place = {doc_id: i for i, doc_id in enumerate(doc_ids)} if self._id_column else None
        filled = np.zeros(n_documents, bool)
        start = 0
        for ids, vectors in self._blocks():
            rows = np.arange(start, start + len(vectors))
            self._check(vectors, rows)
            start += len(vectors)
            if place is not None:
                where = np.array([place.get(doc_id, -1) for doc_id in ids], np.int64)
                vectors, rows = vectors[where >= 0], where[where >= 0]
                if filled[rows].any() or len(np.unique(rows)) < len(rows):
                    raise UserError(
                        f"{self.path} names a document twice in column {self._id_column}; keep one row of each."
                    )
            out[rows] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            filled[rows] = True
            if progress:
                progress(min(start, n_documents), n_documents, "read")
        if not filled.all():
            lacking = int((~filled).sum())
            first = doc_ids[int(np.argmin(filled))]
            raise UserError(
                f"{self.path} lacks vectors for {lacking:,} of {n_documents:,} documents, "
                f"the first of them {first!r}. Add them to the file, or leave these documents out."
            )
        return out

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        return self.query_embedder.embed(texts, progress)

    def plan_batches(self, texts: Sequence[str]) -> list[Batch]:
        return self.query_embedder.plan_batches(texts)

    def run_batches(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        return self.query_embedder.run_batches(batches)

    def _check(self, vectors: np.ndarray, rows: np.ndarray) -> None:
        bad = ~np.isfinite(vectors).all(axis=1)
        if bad.any():
            raise UserError(
                f"{self.path}, row {rows[bad][0]:,}: the vector holds a number that is not finite; embed it again."
            )
        bad = ~vectors.any(axis=1)
        if bad.any():
            raise UserError(
                f"{self.path}, row {rows[bad][0]:,}: the vector is all zeros and has no direction; embed it again."
            )

    @cached_property
    def _n_rows(self) -> int:
        return len(self._matrix) if self._is_npy else pq.read_metadata(self.path).num_rows

    @cached_property
    def _matrix(self) -> np.ndarray:
        try:
            matrix = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise UserError(
                f"{self.path} is not a readable .npy file ({error}). Write it again with numpy.save."
            ) from None
        if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
            found = f"{matrix.dtype} {matrix.shape}" if isinstance(matrix, np.ndarray) else "an archive"
            raise UserError(f"{self.path} must hold numbers of shape (documents, width); it holds {found}.")
        if 0 in matrix.shape:
            raise UserError(f"{self.path} has shape {matrix.shape}: there is nothing in it.")
        return matrix

    def _find_column(self, wanted: str | None) -> str:
        try:
            columns = pq.read_schema(self.path)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{self.path} is neither .npy nor a readable Parquet file ({reason}). Write it again."
            ) from None
        for name in (wanted, self._id_column):
            if name is not None and name not in columns.names:
                raise UserError(f"{self.path} has no column {name!r}; it has {', '.join(columns.names)}.")
        fit = [field.name for field in columns if _is_vector(field.type)]
        if wanted is not None and wanted not in fit:
            raise UserError(
                f"{self.path}, column {wanted!r}: {columns.field(wanted).type}, not a list of numbers. "
                "Name another as `column`."
            )
        if wanted is None and len(fit) != 1:
            raise UserError(
                f"{self.path} has {len(fit)} columns of lists of numbers ({', '.join(fit) or 'none'}); "
                "name the one with the vectors as `column`."
            )
        return wanted or fit[0]

    def _blocks(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """Doc_ids (empty without id_column) and float32 (m, d_in) vectors, block after block."""
        if not self._is_npy:
            yield from self._parquet_blocks(_ROWS_A_BLOCK)
            return
        for start in range(0, len(self._matrix), _ROWS_A_BLOCK):
            yield [], np.asarray(self._matrix[start : start + _ROWS_A_BLOCK], np.float32)

    def _parquet_blocks(self, n_rows: int) -> Iterator[tuple[list[str], np.ndarray]]:
        columns = [self._vector_column] + ([self._id_column] if self._id_column else [])
        start, width = 0, None
        with pq.ParquetFile(self.path) as file:
            for block in file.iter_batches(n_rows, columns=columns):
                vectors = block.column(self._vector_column)
                lengths = np.array(
                    [-1 if n is None else n for n in pa.compute.list_value_length(vectors).to_pylist()]
                )
                width = width or int(lengths[0])
                if (lengths != width).any() or width < 1:
                    row = start + int(np.argmax(lengths != width))
                    found = lengths[row - start]
                    shown = "no vector" if found < 1 else f"{found} numbers where the first row has {width}"
                    raise UserError(f"{self.path}, row {row:,}: {shown}.")
                numbers = vectors.flatten().cast(pa.float32()).to_numpy(zero_copy_only=False)
                ids = [str(i) for i in block.column(self._id_column).to_pylist()] if self._id_column else []
                yield ids, numbers.reshape(len(block), width)
                start += len(block)


@lru_cache(maxsize=32)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    """Hashed once a process: every stage's key asks for it. Size and time tell a file that was replaced."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_vector(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
