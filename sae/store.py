"""Open an artifact store and read from it: ``open_store(path).corpus(name).sae(name)``.

Readers are lazy: opening costs one small file; a page reads the rows, columns and slices that it shows.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sae import limits, schema
from sae.arrays import Group, open_table, read_matching, read_table
from sae.bundle import is_bundle, unpack
from sae.encode import Weights
from sae.manifest import Manifest, StoreError, check_file, read_manifest, shortened
from sae.trust import check_encoder, check_finite, check_folder, map_matrix
from sae.trust_values import check_values
from sae.weights import read_weights


def open_store(path: Path | str, *, check_sizes: bool = True) -> "Store":
    """Open the artifacts folder that holds CURRENT, one build's own folder, or a bundle (unpacked once).

    Raises StoreError with one sentence when there is nothing there, the build was never finished, is of another
    schema, or (with ``check_sizes``) a file is missing or has the wrong size.
    """
    root = Path(path)
    if is_bundle(root):
        root = unpack(root)
    if os.path.lexists(root / schema.MANIFEST):
        return Store(root, check_sizes)
    pointer = root / schema.CURRENT
    if not root.is_dir() or not os.path.lexists(pointer):
        if (root / schema.BUILDS).is_dir() and any((root / schema.BUILDS).iterdir()):
            raise StoreError(f"No finished build in {root}/. Run `make artifacts` to finish it.")
        raise StoreError(f"No artifacts in {root}/. Run `make artifacts`.")
    name = current_build(pointer) or ""
    if not name.isalnum():
        raise StoreError(f"{pointer} does not name a build. Run `make artifacts`.")
    build = root / schema.BUILDS / name
    if build.is_symlink() or build.parent.is_symlink():
        raise StoreError(f"{build} is a link; copy the build there instead.")
    if not build.is_dir():
        raise StoreError(f"{pointer} names the build {name}, which is not there. Run `make artifacts`.")
    return Store(build, check_sizes)


def current_build(pointer: Path) -> str | None:
    """The name in a CURRENT file; None when it is no small regular file (a pipe would keep a reader waiting)."""
    try:
        found = pointer.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > limits.NAME_CHARACTERS:
            return None
        return pointer.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


class Store:
    """One immutable build. Attributes: path, manifest, corpora (names)."""

    def __init__(self, build: Path, check_sizes: bool = True) -> None:
        self.path = build
        self.manifest: Manifest = read_manifest(build)
        if check_sizes:
            try:
                check_folder(build, self.manifest.files.keys())
            except (ValueError, OSError) as error:
                raise StoreError(f"{build} {error}. Ask whoever made it for a whole one.") from None
        for path, entry in self.manifest.files.items() if check_sizes else ():
            # Zarr's metadata are small and have no checksum of their own: a flipped digit would be believed.
            if reason := check_file(build, path, entry, checksum=path.endswith(schema.ZARR_METADATA)):
                raise StoreError(
                    f"{build / path} {reason}. Run `make verify` for the whole list, `make artifacts` to mend it."
                )
        self.corpora: tuple[str, ...] = tuple(self.manifest.corpora)
        self._verified: dict[str, tuple[int, int, int]] = {}

    def corpus(self, name: str) -> "Corpus":
        if name not in self.manifest.corpora:
            raise StoreError(
                f"There is no corpus {name!r} in this build; it holds {', '.join(self.corpora)}."
            )
        return Corpus(self, name)

    @property
    def query_encoder(self) -> Path | None:
        """Folder of the local query encoder, or None when the corpora were embedded elsewhere."""
        prefix = schema.QUERY_ENCODER + "/"
        files = {path: e.sha256 for path, e in self.manifest.files.items() if path.startswith(prefix)}
        if not files:
            return None
        try:
            check_encoder({path.removeprefix(prefix): digest for path, digest in files.items()})
        except ValueError as error:
            raise StoreError(f"{self.path} {error}. Search by example, or build the store here.") from None
        for path in files:
            self.checked(path)
        return self.path / schema.QUERY_ENCODER

    def checked(self, path: str) -> Path:
        """The file at a relative path, its bytes compared with the manifest's checksum.

        For files that are memory-mapped or handed to other libraries, which verify nothing themselves.
        """
        entry = self.manifest.files.get(path)
        reason = "is not in the manifest" if entry is None else check_file(self.path, path, entry)
        if reason:
            raise StoreError(f"{self.path / path} {reason}. Run `make verify`, then `make artifacts`.")
        return self.path / path

    def verified(self, path: str) -> Path:
        """The same, compared once for as long as the file stays the same one: for tables, whose footers have no
        checksum of their own."""
        try:
            found = (self.path / path).lstat()
            identity = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            return self.checked(path)  # which says what is wrong
        if self._verified.get(path) != identity:
            self.checked(path)
            self._verified[path] = identity
        return self.path / path


class Corpus:
    """The documents of one corpus with their embeddings. Attributes: name, path, n_documents, d_in, saes."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self.path = store.path / name
        self.facts = store.manifest.corpora[name]
        self.n_documents: int = self.facts["n_documents"]
        self.d_in: int = self.facts["d_in"]
        self.saes: tuple[str, ...] = tuple(self.facts["saes"])

    def sae(self, name: str) -> "SAE":
        if name not in self.facts["saes"]:
            raise StoreError(f"There is no SAE {name!r} for {self.name}; there are {', '.join(self.saes)}.")
        return SAE(self, name)

    def table(self, name: str) -> Path:
        """A Parquet file of the corpus, compared with its checksum."""
        return self.store.verified(f"{self.name}/{name}")

    @cached_property
    def embeddings(self) -> np.ndarray:
        """float16 (n_documents, d_in), memory-mapped; compared with its checksum once, when first used."""
        return self._map(schema.EMBEDDINGS, "float16", (self.n_documents, self.d_in))

    @cached_property
    def search_rows(self) -> np.ndarray:
        """int8 (n_documents, d_in), memory-mapped: the coarse rows that every search passes over."""
        return self._map(schema.SEARCH, "int8", (self.n_documents, self.d_in))

    @cached_property
    def search_scales(self) -> np.ndarray:
        """float32 (n_documents, 2): the step of each coarse row, and the length of what its rounding lost."""
        return np.array(self._map(schema.SEARCH_SCALES, "float32", (self.n_documents, 2)))

    def _map(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        path = self.store.checked(f"{self.name}/{name}")
        try:
            found = map_matrix(path, dtype, shape)
            if found.dtype.kind == "f":
                check_finite(found)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path} {shortened(error)}. Run `make verify`, then `make artifacts`."
            ) from None
        return found

    def documents(self, rows: Sequence[int] | np.ndarray, columns: list[str] | None = None) -> pa.Table:
        """The documents at the given rows, in that order; only the row groups that hold them are read."""
        return take_rows(self._documents, rows, columns)

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


@dataclass(frozen=True)
class SparseRows:
    """Neighbours of a feature: ``features`` int32 (m,), ``counts`` int32 (m,), ``similarities`` float32 (m,)."""

    features: np.ndarray
    counts: np.ndarray
    similarities: np.ndarray


class SAE:
    """One SAE of a corpus: weights, latents, features. Attributes: name, path, n_latents, k, facts."""

    def __init__(self, corpus: Corpus, name: str) -> None:
        self.corpus, self.name = corpus, name
        self.path = corpus.path / name
        self.facts = corpus.facts["saes"][name]
        self.n_latents: int = self.facts["n_latents"]
        self.k: int = self.facts["k"]
        features = ("feature_id", "parent", "most_similar", "least_similar", "cooccurring")
        self.within: dict[str, int] = dict.fromkeys(features, self.n_latents) | {
            "document": corpus.n_documents
        }

    def table(self, name: str) -> Path:
        """A Parquet file of the SAE, compared with its checksum."""
        return self.corpus.store.verified(f"{self.corpus.name}/{self.name}/{name}")

    @cached_property
    def weights(self) -> Weights:
        """The SAE as NumPy arrays, float32."""
        return read_weights(self.path / schema.SAE, self.corpus.d_in, self.n_latents)

    @cached_property
    def _latents(self) -> Group:
        group = Group(self.path / schema.LATENTS, schema.LATENT_ARRAYS)
        by_document, entries = (self.corpus.n_documents, self.k), group.shape("documents")
        self._expect(group, top_indices=by_document, top_acts=by_document, activations=entries)
        self._expect(group, offsets=(self.n_latents + 1,))
        if len(entries) != 1 or entries[0] > self.corpus.n_documents * self.k:
            raise StoreError(f"{group.path} has more activations than documents. Run `make verify`.")
        return group

    @cached_property
    def cooccurrence(self) -> Group:
        """The sparse matrix of features active together (schema.COOCCURRENCE_ARRAYS)."""
        group = Group(self.path / schema.COOCCURRENCE, schema.COOCCURRENCE_ARRAYS)
        entries = group.shape("features")
        self._expect(group, offsets=(self.n_latents + 1,), counts=entries, similarities=entries)
        if len(entries) != 1 or entries[0] > self.n_latents**2:
            raise StoreError(f"{group.path} has more pairs than features. Run `make verify`.")
        self._check_offsets(group, group.read("offsets"), entries[0])
        return group

    def _expect(self, group: Group, **shapes: tuple[int, ...]) -> None:
        for name, shape in shapes.items():
            if group.shape(name) != shape:
                raise StoreError(
                    f"{group.path} holds {name} {group.shape(name)}, not {shape}. Run `make verify`."
                )

    def _check_offsets(self, group: Group, offsets: np.ndarray, entries: int) -> None:
        # Compared, not subtracted: differences of hostile offsets overflow.
        if offsets[0] != 0 or offsets[-1] != entries or (offsets[1:] < offsets[:-1]).any():
            raise StoreError(f"{group.path} has broken offsets. Run `make verify`.")

    @cached_property
    def _offsets(self) -> np.ndarray:
        offsets = self._latents.read("offsets")
        self._check_offsets(self._latents, offsets, self._latents.shape("documents")[0])
        return offsets

    def by_document(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(top_acts float32 (m, k), top_indices int32 (m, k)) of the given documents, strongest first."""
        rows = np.asarray(rows, dtype=np.int64)
        acts = self._latents.read_rows("top_acts", rows).astype(np.float32)
        indices = self._latents.read_rows("top_indices", rows)
        self._check_entries(indices, self.n_latents, "features", acts)
        return acts, indices

    def by_feature(self, feature_id: int, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(documents int32 (m,), activations float32 (m,)) of one feature, strongest first."""
        start, stop = int(self._offsets[feature_id]), int(self._offsets[feature_id + 1])
        if limit is not None:
            stop = min(stop, start + limit)
        documents = self._latents.read("documents", start, stop)
        acts = self._latents.read("activations", start, stop).astype(np.float32)
        self._check_entries(documents, self.corpus.n_documents, "documents", acts)
        return documents, acts

    def _check_entries(self, named: np.ndarray, n: int, what: str, values: np.ndarray) -> None:
        if named.size and (named.min() < 0 or named.max() >= n):
            raise StoreError(f"{self.path} names {what} that do not exist. Run `make verify`.")
        if not np.isfinite(values).all():
            raise StoreError(f"{self.path} holds numbers that are not finite. Run `make verify`.")

    def cooccurring(self, feature_id: int) -> SparseRows:
        """All features that are active together with one feature."""
        group = self.cooccurrence
        start, stop = (int(v) for v in group.read("offsets", feature_id, feature_id + 2))
        found = SparseRows(
            *(group.read(name, start, stop) for name in ("features", "counts", "similarities"))
        )
        self._check_entries(found.features, self.n_latents, "features", found.similarities)
        return found

    def features(self, columns: list[str] | None = None) -> pa.Table:
        """One row a feature, in order of feature_id: statistics, label, scores (schema.FEATURE_COLUMNS)."""
        table = read_table(self.table(schema.FEATURES), schema.FEATURE_COLUMNS, columns, self.within)
        names = set(table.column_names)
        sound = table.num_rows == self.n_latents
        if "feature_id" in names:
            sound = sound and np.array_equal(table["feature_id"].to_numpy(), np.arange(self.n_latents))
        if {"other_saes", "other_features"} <= names:
            others = (pc.list_flatten(table[name]).to_pylist() for name in ("other_saes", "other_features"))
            sizes = {name: facts["n_latents"] for name, facts in self.corpus.facts["saes"].items()}
            lengths = [pc.list_value_length(table[name]) for name in ("other_saes", "other_features")]
            sound = sound and lengths[0].equals(lengths[1])
            sound = sound and all(0 <= j < sizes.get(name, 0) for name, j in zip(*others, strict=False))
        if not sound:
            raise StoreError(
                f"{self.path / schema.FEATURES} names features that do not exist. Run `make verify`."
            )
        return table

    @cached_property
    def label_vectors(self) -> np.ndarray:
        """Embedded labels, float16 (n_latents, d_in), memory-mapped; rows of zeros where there is no label."""
        shape = (self.weights.n_latents, self.corpus.d_in)
        return self.corpus._map(f"{self.name}/{schema.LABEL_VECTORS}", "float16", shape)

    def evidence(self, feature_id: int) -> pa.Table:
        """The documents that the label was made and scored with."""
        path = self.table(schema.EVIDENCE)
        return read_matching(path, schema.EVIDENCE_COLUMNS, "feature_id", feature_id, self.within)

    def training(self) -> pa.Table:
        """The training history (schema.TRAINING_COLUMNS)."""
        return read_table(self.table(schema.TRAINING), schema.TRAINING_COLUMNS)


def take_rows(file: pq.ParquetFile, rows: Sequence[int] | np.ndarray, columns: list[str] | None) -> pa.Table:
    """Rows of a Parquet file in the order asked for, reading only the row groups that hold them."""
    wanted = np.asarray(rows, dtype=np.int64)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    groups = np.unique(np.searchsorted(starts, wanted, side="right") - 1)
    try:
        table = file.read_row_groups(groups.tolist(), columns=columns, use_threads=False)
        check_values(table)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"The documents cannot be read ({error}). Run `make verify`.") from None
    # Where each wanted row stands in the concatenation of the groups read.
    before = np.concatenate([[0], np.cumsum([sizes[g] for g in groups])])
    position = np.searchsorted(groups, np.searchsorted(starts, wanted, side="right") - 1)
    return table.take(pa.array(before[position] + wanted - starts[groups[position]]))
