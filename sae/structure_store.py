"""Read families, splitting and matches between corpora from an artifact store."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sae import schema
from sae.arrays import Group, open_table, read_table
from sae.store import SAE, Corpus


class FamilyReader:
    """Families of one SAE; every reader raises StoreError on a missing or damaged file."""

    def __init__(self, sae: SAE) -> None:
        self.sae = sae

    @property
    def available(self) -> bool:
        """Whether the build holds families at all."""
        return (self.sae.path / schema.FAMILIES).is_file()

    def scores(self) -> pa.Table:
        """One row a family, largest first (schema.FAMILY_SCORE_COLUMNS)."""
        return read_table(self.sae.path / schema.FAMILY_SCORES, schema.FAMILY_SCORE_COLUMNS)

    def members(self) -> pa.Table:
        """All trees (schema.FAMILY_COLUMNS)."""
        return read_table(self.sae.path / schema.FAMILIES, schema.FAMILY_COLUMNS)

    def tree(self, family_id: int) -> pa.Table:
        """One family's features in depth-first order."""
        return _of(self.sae.path / schema.FAMILIES, schema.FAMILY_COLUMNS, family_id)

    def points(self, family_id: int) -> pa.Table:
        """Documents in the plane of one family's principal components (schema.FAMILY_POINT_COLUMNS)."""
        return _of(self.sae.path / schema.FAMILY_POINTS, schema.FAMILY_POINT_COLUMNS, family_id)

    def metrics(self) -> pa.Table:
        """Table 1, chance, filter and structure numbers (schema.FAMILY_METRIC_COLUMNS)."""
        return read_table(self.sae.path / schema.FAMILY_METRICS, schema.FAMILY_METRIC_COLUMNS)

    def structure(self) -> pa.Table:
        """Reordered matrices for drawing (schema.STRUCTURE_COLUMNS)."""
        return read_table(self.sae.path / schema.STRUCTURE, schema.STRUCTURE_COLUMNS)

    @cached_property
    def _cooccurrence(self) -> Group:
        return Group(self.sae.path / schema.COOCCURRENCE, schema.COOCCURRENCE_ARRAYS)

    def block(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts and activation similarities among m features, int32 and float32 (m, m), diagonals 0."""
        features = np.asarray(features, np.int64)
        counts = np.zeros((len(features), len(features)), np.int32)
        similarities = np.zeros(counts.shape, np.float32)
        order = np.argsort(features)
        for row, feature in enumerate(features.tolist()):
            start, stop = (int(v) for v in self._cooccurrence.read("offsets", feature, feature + 2))
            others = self._cooccurrence.read("features", start, stop)
            at = np.searchsorted(features[order], others)
            at = np.minimum(at, len(features) - 1)
            found = features[order][at] == others
            columns = order[at[found]]
            counts[row, columns] = self._cooccurrence.read("counts", start, stop)[found]
            similarities[row, columns] = self._cooccurrence.read("similarities", start, stop)[found]
        return counts, similarities


def splitting(corpus: Corpus) -> pa.Table:
    """Nearest features between the SAEs of a corpus (schema.SPLITTING_COLUMNS)."""
    return read_table(corpus.path / schema.SPLITTING, schema.SPLITTING_COLUMNS)


def splitting_summary(corpus: Corpus) -> pa.Table:
    """Distributions, counts and good examples of splitting (schema.SPLITTING_SUMMARY_COLUMNS)."""
    return read_table(corpus.path / schema.SPLITTING_SUMMARY, schema.SPLITTING_SUMMARY_COLUMNS)


def domains(corpus: Corpus) -> pa.Table:
    """Nearest features in the other corpora (schema.DOMAIN_COLUMNS)."""
    return read_table(corpus.path / schema.DOMAINS, schema.DOMAIN_COLUMNS)


def has_splitting(corpus: Corpus) -> bool:
    """Whether the corpus has more than one SAE and the build compared them."""
    return (corpus.path / schema.SPLITTING).is_file()


def has_domains(corpus: Corpus) -> bool:
    """Whether the build compared this corpus with another."""
    return (corpus.path / schema.DOMAINS).is_file()


def _of(path: Path, columns: pa.Schema, family_id: int) -> pa.Table:
    file = open_table(path, columns)
    file.close()
    filters = [("family_id", "=", family_id)]
    return pq.read_table(path, filters=filters, page_checksum_verification=True, use_threads=False)
