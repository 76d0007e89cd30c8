"""Read one SAE of a store: weights, latents by document and by feature, features, co-occurrence, evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sae import schema
from sae.encode import Weights
from sae.storage.arrays import Group, read_matching, read_table
from sae.storage.manifest import StoreError
from sae.storage.stored_rows import Rows
from sae.storage.weights import read_weights

if TYPE_CHECKING:
    from sae.storage.corpus_store import Corpus


@dataclass(frozen=True)
class SparseRows:
    """Neighbours of a feature: ``features`` int32 (m,), ``counts`` int32 (m,), ``similarities`` float32 (m,)."""

    features: np.ndarray
    counts: np.ndarray
    similarities: np.ndarray


class SAE:
    """One SAE of a corpus: weights, latents, features. Attributes: name, path, n_latents, k, facts."""

    def __init__(self, corpus: "Corpus", name: str) -> None:
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
        return read_weights(self.path / schema.SAE, self.corpus.d_in, self.n_latents, self._verified)

    def _verified(self, path: Path) -> Path:
        store = self.corpus.store
        return store.verified(path.relative_to(store.path).as_posix())

    @cached_property
    def _latents(self) -> Group:
        group = Group(self.path / schema.LATENTS, schema.LATENT_ARRAYS, verified=self._verified)
        by_document, entries = (self.corpus.n_documents, self.k), group.shape("documents")
        self._expect(group, top_indices=by_document, top_acts=by_document, activations=entries)
        self._expect(group, offsets=(self.n_latents + 1,))
        if len(entries) != 1 or entries[0] > self.corpus.n_documents * self.k:
            raise StoreError(f"{group.path} has more activations than documents. Run `make verify`.")
        return group

    @cached_property
    def cooccurrence(self) -> Group:
        """The sparse matrix of features active together (schema.COOCCURRENCE_ARRAYS)."""
        group = Group(self.path / schema.COOCCURRENCE, schema.COOCCURRENCE_ARRAYS, verified=self._verified)
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
    def label_vectors(self) -> Rows:
        """Embedded labels, float16 (n_latents, d_in); rows of zeros where there is no label."""
        shape = (self.weights.n_latents, self.corpus.d_in)
        return self.corpus.matrix(f"{self.name}/{schema.LABEL_VECTORS}", "float16", shape)

    def evidence(self, feature_id: int) -> pa.Table:
        """The documents that the label was made and scored with."""
        path = self.table(schema.EVIDENCE)
        return read_matching(path, schema.EVIDENCE_COLUMNS, "feature_id", feature_id, self.within)

    def training(self) -> pa.Table:
        """The training history (schema.TRAINING_COLUMNS)."""
        return read_table(self.table(schema.TRAINING), schema.TRAINING_COLUMNS)
