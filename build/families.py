"""Stage: feature families of every SAE of a corpus, with labels, scores, table 1, chance, structure checks."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from build.judge import Judge
from build.profile_table import checked_table
from build.work import Target, Work
from sae import schema
from sae.storage.arrays import Group, write_table
from sae.storage.weights import read_weights
from sae.structure.cooccurrence import Cooccurrence, active_entries, cooccurrence_rows
from sae.structure.cooccurrence_parts import Among, among
from sae.structure.families import Families, Family, FamilyConfig, find_families
from sae.structure.family_metrics import (
    as_matrix,
    clean_families,
    disjoint,
    family_metrics,
    family_ratios,
    median,
    n_features,
)
from sae.structure.feature_filter import LOCAL, PAPERS, FeatureFilter, Filtered, filter_features
from sae.structure.layout import family_layout
from sae.structure.null_model import shuffle_latents
from sae.structure.orderings import (
    Projection,
    band_contrast,
    cosine_heatmap,
    decoder_orderings,
    family_order,
    family_projection,
    heatmap,
)


def settings(target: Target) -> object:
    config, rule = read_options(target.config.families)
    return [target.config.seed, list(target.sae_names), asdict(config), asdict(rule)]


def read_options(options: dict[str, Any]) -> tuple[FamilyConfig, FeatureFilter]:
    """The profile's [families] table: fields of FamilyConfig, ``max_density``, and ``at_least``, a table of
    scores and their lowest values (without it, what suits the labels' source). ``chance_links = 0`` keeps
    every link that τ keeps, as the papers do."""
    options, where = dict(options), "The profile's [families]"
    rule = {name: options.pop(name) for name in ("at_least", "max_density") if name in options}
    if options.get("chance_links") == 0:
        options["chance_links"] = None
    known = [field.name for kind in (FamilyConfig, FeatureFilter) for field in fields(kind)]
    return checked_table(FamilyConfig, options, where, known), checked_table(FeatureFilter, rule, where)


def run(work: Work) -> dict[str, Any]:
    config, rule = read_options(work.target.config.families)
    names = work.target.sae_names
    judge: Judge | None = None
    facts = {}
    for done, name in enumerate(names):
        work.progress(done, len(names), name)
        found = _SAE(work, name, config, rule)
        if judge is None and found.families.families:
            judge = Judge.of(work, progress=lambda *_: None)
        facts[name] = found.write(judge)
    work.progress(len(names), len(names), " · ".join(f"{name} {f['families']}" for name, f in facts.items()))
    return {"families": facts}


@dataclass(frozen=True)
class _Chance:
    """What shuffled latents give: families found among them, and the ratios of the real families there."""

    n_families: int
    metrics: dict[str, float]
    ratios: np.ndarray

    @classmethod
    def of(cls, found: "_SAE") -> "_Chance":
        families = found.families.families
        kept = Among(members_of(families), len(found.n_active))
        parts = cooccurrence_rows(shuffle_latents(found.read_latents()))
        n_families = len(found.find(kept.passing(parts)).families)
        shuffled = kept.matrix()
        unscored = np.full(len(families), np.nan)
        same = asdict(family_metrics(families, shuffled, unscored, unscored, 1, 1))
        ratios = family_ratios(families, as_matrix(shuffled, shuffled.counts))
        return cls(n_families, {name: same[name] for name in _COMPARED}, ratios)


def members_of(families: Sequence[Family]) -> np.ndarray:
    """Features that are in any of the families, int (m,)."""
    return np.unique(np.concatenate([family.features for family in families] or [np.zeros(0, np.int32)]))


_COMPARED = ("median_ratio", "median_ratio_similarity", "c_ratio", "d_ratio")


class _SAE:
    """Everything the stage does for one SAE."""

    def __init__(self, work: Work, name: str, config: FamilyConfig, rule: FeatureFilter) -> None:
        self.out, self.config, self.rule = work.out / name, config, rule
        self.encoded = work.input("encode", name) / schema.LATENTS
        self.weights = read_weights(work.input("train", name) / schema.SAE)
        n_latents = self.weights.n_latents
        latents = self.read_latents()
        self.n_documents = latents.shape[0]
        self.n_active = np.bincount(latents.indices, minlength=n_latents)
        del latents
        self.filtered = self._filter(work.input("features") / name / schema.FEATURES)
        self.families = self.find(cooccurrence_rows(self.read_latents()))
        self.chance = _Chance.of(self)

    def read_latents(self) -> sp.csr_matrix:
        """(n_documents, n_latents), anew: 140 MB at 272,000 × 64, let go as soon as whoever asked has sorted them."""
        group = Group(self.encoded, schema.LATENT_ARRAYS)
        return active_entries(group.read("top_acts"), group.read("top_indices"), self.weights.n_latents)

    def _filter(self, path: Any) -> Filtered:
        features = pq.read_table(path)
        wanted = {*PAPERS, *LOCAL, *(self.rule.at_least or ())}
        scores = {
            name: features[name].to_numpy(zero_copy_only=False).astype(np.float64)
            for name in sorted(wanted & set(features.column_names))
            if pa.types.is_floating(features.schema.field(name).type)
        }
        labels, sources = features["label"].to_pylist(), features["source"].to_pylist()
        return filter_features(labels, self.n_active / self.n_documents, scores, self.rule, sources)

    def find(self, together: Iterable[Cooccurrence]) -> Families:
        return find_families(together, self.n_active, self.n_documents, self.filtered.kept, self.config)

    def write(self, judge: Judge | None) -> dict[str, Any]:
        self.out.mkdir()
        families = self.families.families
        by_feature = self.read_latents().tocsc()
        labels, scores = judge.families(families, by_feature) if judge and families else (None, None)
        projections = [family_projection(by_feature, family) for family in families]
        del by_feature
        # Last, for it is the largest of all: 350 MB where 5,400 of 9,216 features are in families.
        together = among(cooccurrence_rows(self.read_latents()), members_of(families), len(self.n_active))
        counts, similarities = (as_matrix(together, v) for v in (together.counts, together.similarities))
        self._write_trees(families, counts, similarities)
        self._write_scores(families, labels, scores, projections, (counts, similarities))
        metrics = self._metrics(scores, together)
        blocks = disjoint(families, _column(scores, "pearson_random"))
        metrics += self._write_structure(family_order(blocks, self.n_active), counts, similarities)
        columns = zip(*metrics, strict=True)
        write_table(
            self.out / schema.FAMILY_METRICS, pa.table(list(columns), schema=schema.FAMILY_METRIC_COLUMNS)
        )
        known = {f"{group}: {name}": value for group, name, value in metrics}
        return {"families": len(families), "by_chance": int(known["chance: n_families"] or 0)}

    def _write_trees(
        self, families: tuple[Family, ...], counts: sp.csr_matrix, similarities: sp.csr_matrix
    ) -> None:
        rows: dict[str, list[Any]] = {name: [] for name in schema.FAMILY_COLUMNS.names}
        for family_id, family in enumerate(families):
            x, y = family_layout(family)
            above = np.where(family.parents < 0, family.features, family.parents)
            count = np.asarray(counts[family.features, above]).ravel()
            similarity = np.asarray(similarities[family.features, above]).ravel()
            share = count / np.maximum(np.minimum(self.n_active[family.features], self.n_active[above]), 1)
            with_parent = np.asarray(counts[family.features, np.full(len(family), family.parent)]).ravel()
            rows["family_id"] += [family_id] * len(family)
            rows["feature_id"] += family.features.tolist()
            rows["parent"] += [None, *family.parents[1:].tolist()]
            rows["depth"] += family.depths.tolist()
            rows["x"] += x.tolist()
            rows["y"] += y.tolist()
            for name, values in (("count", count), ("share", share), ("similarity", similarity),
                                 ("count_with_parent", with_parent)):  # fmt: skip
                rows[name] += [None, *values[1:].tolist()]
        write_table(self.out / schema.FAMILIES, pa.table(rows, schema=schema.FAMILY_COLUMNS), 4096)

    def _write_scores(
        self,
        families: tuple[Family, ...],
        labels: pa.Table | None,
        scores: pa.Table | None,
        projections: list[Projection],
        matrices: tuple[sp.csr_matrix, sp.csr_matrix],
    ) -> None:
        ratios, similar = (family_ratios(families, matrix) for matrix in matrices)
        points: dict[str, list[Any]] = {name: [] for name in schema.FAMILY_POINT_COLUMNS.names}
        rows = []
        for family_id, (family, projection) in enumerate(zip(families, projections, strict=True)):
            points["family_id"] += [family_id] * len(projection.documents)
            points["document"] += projection.documents.tolist()
            points["x"] += projection.points[:, 0].tolist()
            points["y"] += projection.points[:, 1].tolist()
            points["activation"] += projection.activations.tolist()
            scored = (
                scores.slice(family_id, 1).to_pylist()[0] if scores else {"status": "error", "n_scored": 0}
            )
            named = labels.slice(family_id, 1).to_pylist()[0] if labels else {"label": "", "objective": None}
            rows.append(
                scored
                | {
                    "family_id": family_id,
                    "feature_id": family.parent,
                    "iteration": family.iteration,
                    "size": len(family),
                    "depth": int(family.depths.max()),
                    "n_documents": projection.n_documents,
                    "label": named["label"],
                    "objective": named["objective"],
                    "ratio": _known(ratios[family_id]),
                    "ratio_similarity": _known(similar[family_id]),
                    "ratio_chance": _known(self.chance.ratios[family_id]),
                    "explained": projection.explained.tolist(),
                }
            )
        table = {field.name: [row.get(field.name) for row in rows] for field in schema.FAMILY_SCORE_COLUMNS}
        write_table(self.out / schema.FAMILY_SCORES, pa.table(table, schema=schema.FAMILY_SCORE_COLUMNS))
        write_table(
            self.out / schema.FAMILY_POINTS, pa.table(points, schema=schema.FAMILY_POINT_COLUMNS), 4096
        )

    def _metrics(
        self, scores: pa.Table | None, together: Cooccurrence
    ) -> list[tuple[str, str, float | None]]:
        families = self.families.families
        n_alive, n_kept = int((self.n_active > 0).sum()), len(self.filtered.kept)
        pearson, f1 = _column(scores, "pearson_random"), _column(scores, "f1_random")
        table = asdict(family_metrics(families, together, pearson, f1, n_alive, n_kept))
        # As the papers ask: three activating documents and three others.
        asked = _column(scores, "pearson_papers")
        table |= {
            "median_pearson_papers": median(asked),
            "median_f1_papers": median(_column(scores, "f1_papers")),
            "included_papers": n_features(clean_families(families, asked)) / max(1, n_alive),
        }
        with np.errstate(invalid="ignore", divide="ignore"):
            lift = family_ratios(families, as_matrix(together, together.counts)) / self.chance.ratios
        chance = {"n_families": self.chance.n_families, "median_ratio_over_chance": median(lift)}
        groups: dict[str, dict[str, float]] = {
            "table 1": table,
            "chance": chance | self.chance.metrics,
            "filter": self.filtered.at_least | {"density below": self.rule.max_density, "kept": n_kept},
            "left out": {name: float(count) for name, count in self.filtered.left_out.items()},
            "found": {f"iteration {i}": float(n) for i, n in enumerate(self.families.found, 1)},
            "kept": {f"iteration {i}": float(n) for i, n in enumerate(self.families.kept, 1)},
        }
        return [
            (group, name, _known(value)) for group, values in groups.items() for name, value in values.items()
        ]

    def _write_structure(
        self, order: np.ndarray, counts: sp.csr_matrix, similarities: sp.csr_matrix
    ) -> list[tuple[str, str, float | None]]:
        alive = np.flatnonzero(self.n_active > 0)
        directions = self.weights.W_dec[alive]
        maps = {}
        if len(order):
            maps = {
                "co-occurrence by family": heatmap(counts, order),
                "similarity by family": heatmap(similarities, order),
                "decoder by family": cosine_heatmap(self.weights.W_dec, order),
            }
        metrics: list[tuple[str, str, float | None]] = []
        for ordering in decoder_orderings(directions) if len(alive) > 2 else []:
            maps[f"decoder by {ordering.name}"] = cosine_heatmap(directions, ordering.order)
            metrics.append(("structure", f"{ordering.name}: contrast", _known(ordering.contrast)))
            metrics.append(("structure", f"{ordering.name}: shuffled", _known(ordering.shuffled)))
            metrics.append(("structure", f"{ordering.name}: found", float(ordering.found)))
        if len(order):
            by_family = band_contrast(self.weights.W_dec[order], np.arange(len(order)))
            metrics.append(("structure", "families: contrast", _known(by_family)))
        parts = []
        for name, values in maps.items():
            row, column = np.indices(values.shape)
            parts.append(pa.table(
                [pa.array([name] * values.size), row.ravel(), column.ravel(), values.ravel()],
                names=schema.STRUCTURE_COLUMNS.names,
            ).cast(schema.STRUCTURE_COLUMNS))  # fmt: skip
        table = pa.concat_tables(parts) if parts else schema.STRUCTURE_COLUMNS.empty_table()
        write_table(self.out / schema.STRUCTURE, table)
        return metrics


def _column(scores: pa.Table | None, name: str) -> np.ndarray:
    if scores is None:
        return np.zeros(0)
    return scores[name].to_numpy(zero_copy_only=False).astype(np.float64)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
