"""Read families, splitting and matches between corpora from an artifact store."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from sae import schema
from sae.storage.arrays import read_matching, read_table
from sae.storage.manifest import StoreError
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
        return read_table(
            self.sae.table(schema.FAMILY_SCORES), schema.FAMILY_SCORE_COLUMNS, within=self.sae.within
        )

    def members(self) -> pa.Table:
        """All trees (schema.FAMILY_COLUMNS)."""
        return read_table(self.sae.table(schema.FAMILIES), schema.FAMILY_COLUMNS, within=self.sae.within)

    def tree(self, family_id: int) -> pa.Table:
        """One family's features in depth-first order."""
        return self._of(schema.FAMILIES, schema.FAMILY_COLUMNS, family_id)

    def points(self, family_id: int) -> pa.Table:
        """Documents in the plane of one family's principal components (schema.FAMILY_POINT_COLUMNS)."""
        return self._of(schema.FAMILY_POINTS, schema.FAMILY_POINT_COLUMNS, family_id)

    def _of(self, name: str, columns: pa.Schema, family_id: int) -> pa.Table:
        return read_matching(self.sae.table(name), columns, "family_id", family_id, self.sae.within)

    def metrics(self) -> pa.Table:
        """Table 1, chance, filter and structure numbers (schema.FAMILY_METRIC_COLUMNS)."""
        return read_table(self.sae.table(schema.FAMILY_METRICS), schema.FAMILY_METRIC_COLUMNS)

    def structure(self) -> pa.Table:
        """Reordered matrices for drawing (schema.STRUCTURE_COLUMNS)."""
        return read_table(self.sae.table(schema.STRUCTURE), schema.STRUCTURE_COLUMNS)

    def block(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts and activation similarities among m features, int32 and float32 (m, m), diagonals 0."""
        features = np.asarray(features, np.int64)
        counts = np.zeros((len(features), len(features)), np.int32)
        similarities = np.zeros(counts.shape, np.float32)
        order = np.argsort(features)
        for row, feature in enumerate(features.tolist()):
            start, stop = (int(v) for v in self.sae.cooccurrence.read("offsets", feature, feature + 2))
            others = self.sae.cooccurrence.read("features", start, stop)
            at = np.searchsorted(features[order], others)
            at = np.minimum(at, len(features) - 1)
            found = features[order][at] == others
            columns = order[at[found]]
            counts[row, columns] = self.sae.cooccurrence.read("counts", start, stop)[found]
            similarities[row, columns] = self.sae.cooccurrence.read("similarities", start, stop)[found]
        return counts, similarities


def splitting(corpus: Corpus) -> pa.Table:
    """Nearest features between the SAEs of a corpus (schema.SPLITTING_COLUMNS)."""
    table = read_table(corpus.table(schema.SPLITTING), schema.SPLITTING_COLUMNS)
    saes = {name: corpus.sae(name).n_latents for name in corpus.saes}
    _check_named(corpus, table, ["sae"], "feature_id", {(name,): n for name, n in saes.items()})
    _check_named(corpus, table, ["other"], "nearest", {(name,): n for name, n in saes.items()})
    return table


def splitting_summary(corpus: Corpus) -> pa.Table:
    """Distributions, counts and good examples of splitting (schema.SPLITTING_SUMMARY_COLUMNS)."""
    return read_table(corpus.table(schema.SPLITTING_SUMMARY), schema.SPLITTING_SUMMARY_COLUMNS)


def domains(corpus: Corpus) -> pa.Table:
    """Nearest features in the other corpora (schema.DOMAIN_COLUMNS)."""
    table = read_table(corpus.table(schema.DOMAINS), schema.DOMAIN_COLUMNS)
    there = {
        (name, sae): corpus.store.corpus(name).sae(sae).n_latents
        for name in corpus.store.corpora
        for sae in corpus.store.corpus(name).saes
    }
    here = {(sae,): n for (name, sae), n in there.items() if name == corpus.name}
    _check_named(corpus, table, ["sae"], "feature_id", here)
    _check_named(corpus, table, ["other_corpus", "other_sae"], "nearest", there)
    return table


def _check_named(
    corpus: Corpus, table: pa.Table, owners: list[str], column: str, sizes: Mapping[Any, int]
) -> None:
    """Raise StoreError when a feature of a table is not one of the SAE that the columns ``owners`` name."""
    if not table.num_rows:
        return
    for row in table.group_by(owners).aggregate([(column, "min"), (column, "max")]).to_pylist():
        size = sizes.get(tuple(row[name] for name in owners), 0)
        if row[f"{column}_min"] < 0 or row[f"{column}_max"] >= size:
            raise StoreError(f"{corpus.path} names features that do not exist. Run `make verify`.")


def has_splitting(corpus: Corpus) -> bool:
    """Whether the corpus has more than one SAE and the build compared them."""
    return (corpus.path / schema.SPLITTING).is_file()


def has_domains(corpus: Corpus) -> bool:
    """Whether the build compared this corpus with another."""
    return (corpus.path / schema.DOMAINS).is_file()
