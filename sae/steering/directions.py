"""Where a query goes when a feature is raised: along the feature alone, along it and what it comes with, or
towards its typical document.

Every direction is a sum of decoder directions, scaled so that one unit of it raises the feature itself by one
unit of activation; the kinds differ in what else they bring along. The feature alone is the narrowest edit;
the typical document changes the results most at a given fidelity, and most else with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sae.encode import Weights
from sae.errors import UserError
from sae.schema import QUANTILES

FloatArray = npt.NDArray[np.float32]

KINDS: Mapping[str, str] = {
    "feature": "the concept alone, as narrow as the model can say it",
    "family": "the concept and the broader ones that it nearly always comes with",
    "typical": "towards the typical document in which it is strong: moves results most, and other concepts too",
}
"""Kinds of directions, each in one line."""

ANCESTOR_SHARE = (
    0.4  # a denser feature is brought along when it is active in this share of a feature's documents
)
STRONGEST = 0.2  # share of a feature's documents, the strongest, that its typical document is the mean of
_FEWEST, _MOST = 10, 200  # documents in that mean


class Neighbours(Protocol):
    """What is read of a row of the co-occurrence: ``sae.store.SparseRows`` has it."""

    @property
    def features(self) -> np.ndarray:
        """int32 (m,)."""

    @property
    def counts(self) -> np.ndarray:
        """int32 (m,)."""


class LatentReader(Protocol):
    """Where latents come from: ``sae.store.SAE`` has these readers."""

    def by_feature(self, feature_id: int, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(documents, activations) of one feature, strongest first."""

    def by_document(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(top_acts, top_indices), each (m, k)."""

    def cooccurring(self, feature_id: int) -> Neighbours:
        """Features active together with one feature."""


@dataclass(frozen=True)
class Statistics:
    """What directions need of all features, each float64 (n_latents,), 0 for a dead feature."""

    n_active: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    """Mean activation over the documents in which a feature is active."""
    median: npt.NDArray[np.float64]
    reach: npt.NDArray[np.float64]
    """The activation that 95 % of those documents stay below."""

    @classmethod
    def of(cls, features: pa.Table) -> "Statistics":
        """From the columns n_active, mean_activation and quantiles of a table of features."""
        quantiles = np.zeros((features.num_rows, len(QUANTILES)))
        for feature_id, values in enumerate(features["quantiles"].to_pylist()):
            if len(values):
                quantiles[feature_id] = values
        mean = features["mean_activation"].to_numpy(zero_copy_only=False).astype(np.float64)
        return cls(
            features["n_active"].to_numpy(zero_copy_only=False).astype(np.float64),
            np.nan_to_num(mean),
            quantiles[:, QUANTILES.index(0.5)],
            quantiles[:, QUANTILES.index(0.95)],
        )


@dataclass(frozen=True)
class Direction:
    """Where a raised feature takes the query.

    ``parts`` maps feature ids to how far their activations go while the feature's own goes by one; the
    feature itself has 1. ``vector`` float32 (d_in,) = Σ parts[f] · W_dec[f], in standardised units: a row
    that stands in for W_dec[feature_id] when the feature is raised.
    """

    feature_id: int
    kind: str
    parts: dict[int, float]
    vector: FloatArray


class Directions:
    """Makes the directions of one SAE's features."""

    def __init__(
        self, weights: Weights, statistics: Statistics, latents: LatentReader, n_documents: int
    ) -> None:
        self.weights, self.statistics, self.latents = weights, statistics, latents
        # Mean activation over all documents: what a typical document differs from.
        self._everywhere = statistics.n_active * statistics.mean / max(1, n_documents)

    def of(self, feature_id: int, kind: str = "feature") -> Direction:
        """The direction of one feature. Raises UserError for an unknown kind or feature."""
        if kind not in KINDS:
            raise UserError(f"There is no direction called {kind!r}; there are {', '.join(KINDS)}.")
        if not 0 <= feature_id < self.weights.n_latents:
            raise UserError(
                f"There is no feature {feature_id}; this SAE has 0 to {self.weights.n_latents - 1:,}."
            )
        parts = {feature_id: 1.0}
        if kind == "family":
            parts |= self._ancestors(feature_id)
        elif kind == "typical":
            parts |= self._typical(feature_id)
        features = np.fromiter(parts, np.int64, len(parts))
        shares = np.fromiter(parts.values(), np.float64, len(parts))
        vector = shares @ self.weights.W_dec[features].astype(np.float64)
        return Direction(feature_id, kind, parts, vector.astype(np.float32))

    def _ancestors(self, feature_id: int) -> dict[int, float]:
        """Denser features active in at least ANCESTOR_SHARE of the feature's documents, each by its median
        activation times that share, over the feature's own reach."""
        known = self.statistics
        reach = known.reach[feature_id]
        if reach <= 0:
            return {}
        row = self.latents.cooccurring(feature_id)
        shares = row.counts / np.maximum(
            1.0, np.minimum(known.n_active[feature_id], known.n_active[row.features])
        )
        along = (shares >= ANCESTOR_SHARE) & (known.n_active[row.features] > known.n_active[feature_id])
        return {
            int(a): float(share * known.median[a] / reach)
            for a, share in zip(row.features[along], shares[along], strict=True)
        }

    def _typical(self, feature_id: int) -> dict[int, float]:
        """Mean activations in the feature's strongest documents, less the mean over all documents, over its
        own."""
        count = int(np.clip(STRONGEST * self.statistics.n_active[feature_id], _FEWEST, _MOST))
        rows, _ = self.latents.by_feature(feature_id, count)
        if not len(rows):
            return {}
        acts, indices = self.latents.by_document(np.sort(rows))
        code = np.bincount(indices.ravel(), acts.ravel().astype(np.float64), self.weights.n_latents) / len(
            rows
        )
        code -= self._everywhere
        own = code[feature_id]
        if own <= 0:
            return {}
        return {int(f): float(code[f] / own) for f in np.flatnonzero(code) if f != feature_id}


def family_move(members: Mapping[int, float], amount: float) -> dict[int, float]:
    """Changes of activation when a family is moved as one: parent and children in proportion.

    ``members`` maps each feature of a family to its mean activation; the largest of them moves by
    ``amount``, the others by their share of it.
    """
    largest = max(members.values(), default=0.0)
    if largest <= 0:
        return {}
    return {feature_id: amount * mean / largest for feature_id, mean in members.items()}
