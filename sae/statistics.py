"""What is counted of every feature: density, activations, geometry, neighbours."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sae.encode import Weights
from sae.schema import HISTOGRAM_BINS, NEIGHBOURS, QUANTILES
from sae.structure.cooccurrence import Cooccurrence

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class ByFeature:
    """Active entries sorted by feature, strongest first inside a feature, ties by lower document.

    offsets int64 (n_latents + 1,); documents int32 (m,); activations float (m,), above 0.
    """

    offsets: np.ndarray
    documents: np.ndarray
    activations: np.ndarray

    @property
    def n_latents(self) -> int:
        return len(self.offsets) - 1

    def of(self, feature_id: int) -> tuple[np.ndarray, np.ndarray]:
        """(documents, activations) of one feature."""
        entries = slice(self.offsets[feature_id], self.offsets[feature_id + 1])
        return self.documents[entries], self.activations[entries]


def invert(top_acts: np.ndarray, top_indices: np.ndarray, n_latents: int) -> ByFeature:
    """Turn latents by document (n, k) into entries by feature."""
    active = top_acts > 0
    features, acts = top_indices[active], top_acts[active]
    documents = np.repeat(np.arange(len(top_acts), dtype=np.int32), active.sum(axis=1))
    order = np.lexsort((documents, -acts.astype(np.float32), features))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(features, minlength=n_latents))]).astype(np.int64)
    return ByFeature(offsets, documents[order], acts[order].astype(np.float16))


def feature_statistics(entries: ByFeature, n_documents: int) -> dict[str, pa.Array]:
    """Density and activation columns of schema.STATISTIC_COLUMNS for every feature."""
    n_active = np.diff(entries.offsets)
    density = n_active / n_documents
    quantiles: list[list[float]] = []
    edges: list[list[float]] = []
    counts: list[list[int]] = []
    means: list[float | None] = []
    maxima: list[float | None] = []
    for feature_id in range(len(n_active)):
        acts = entries.of(feature_id)[1].astype(np.float32)
        if not len(acts):
            quantiles.append([])
            edges.append([])
            counts.append([])
            means.append(None)
            maxima.append(None)
            continue
        histogram, bounds = np.histogram(acts, bins=HISTOGRAM_BINS, range=(0.0, float(acts.max())))
        quantiles.append(np.quantile(acts, QUANTILES).tolist())
        edges.append(bounds.tolist())
        counts.append(histogram.tolist())
        means.append(float(acts.mean()))
        maxima.append(float(acts.max()))
    alive = n_active > 0
    log_density = np.log10(np.where(alive, density, 1.0))
    return {
        "feature_id": pa.array(np.arange(len(n_active)), pa.int32()),
        "n_active": pa.array(n_active, pa.int64()),
        "density": pa.array(density, pa.float32()),
        "log_density": pa.array(log_density, pa.float32(), mask=~alive),
        "dead": pa.array(~alive),
        "mean_activation": pa.array(means, pa.float32()),
        "max_activation": pa.array(maxima, pa.float32()),
        "quantiles": pa.array(quantiles, pa.list_(pa.float32())),
        "histogram_edges": pa.array(edges, pa.list_(pa.float32())),
        "histogram_counts": pa.array(counts, pa.list_(pa.int32())),
    }


def geometry(weights: Weights) -> dict[str, pa.Array]:
    """Cosines between decoder directions, and between encoder and decoder of each feature.

    The n_latents × n_latents matrix of cosines is made a thousand rows at a time and never kept.
    """
    n_latents = weights.n_latents
    shown = min(NEIGHBOURS, n_latents - 1)
    most, least = np.zeros((2, n_latents, shown), np.int32)
    most_cosine, least_cosine = np.zeros((2, n_latents, shown), np.float32)
    for start in range(0, n_latents, _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, n_latents))
        cosines = weights.W_dec[rows] @ weights.W_dec.T
        # A feature is neither its own most nor its own least similar one.
        own = (rows - start, rows)
        cosines[own] = -np.inf
        most[rows], most_cosine[rows] = _smallest(-cosines, shown, sign=-1)
        cosines[own] = np.inf
        least[rows], least_cosine[rows] = _smallest(cosines, shown, sign=1)
    encoder_norm = np.linalg.norm(weights.W_enc, axis=1)
    own_cosine = np.einsum("ij,ij->i", weights.W_enc, weights.W_dec) / np.maximum(encoder_norm, 1e-30)
    return {
        "encoder_decoder_cosine": pa.array(own_cosine, pa.float32()),
        "max_cosine": pa.array(most_cosine[:, 0] if shown else np.zeros(n_latents), pa.float32()),
        "most_similar": _lists(most, pa.int32()),
        "most_similar_cosine": _lists(most_cosine, pa.float32()),
        "least_similar": _lists(least, pa.int32()),
        "least_similar_cosine": _lists(least_cosine, pa.float32()),
    }


def strongest_partners(together: Cooccurrence) -> dict[str, pa.Array]:
    """The features most often active together with each feature, with counts; ties go to the lower index."""
    features, counts = [], []
    for start, stop in zip(together.offsets[:-1], together.offsets[1:], strict=True):
        found = together.counts[start:stop]
        order = np.argsort(-found, kind="stable")[:NEIGHBOURS]
        features.append(together.features[start:stop][order].tolist())
        counts.append(found[order].tolist())
    return {
        "cooccurring": pa.array(features, pa.list_(pa.int32())),
        "cooccurring_counts": pa.array(counts, pa.list_(pa.int32())),
    }


def nearest(directions: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each unit row of ``directions`` the nearest unit row of ``others``: (indices int32, cosines float32)."""
    indices = np.empty(len(directions), np.int32)
    cosines = np.empty(len(directions), np.float32)
    for start in range(0, len(directions), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        found = directions[block] @ others.T
        indices[block] = found.argmax(axis=1)
        cosines[block] = found.max(axis=1)
    return indices, cosines


def _smallest(values: np.ndarray, count: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the ``count`` smallest entries of each row, in order, and those entries times ``sign``."""
    some = np.argpartition(values, count - 1, axis=1)[:, :count] if count else np.zeros((len(values), 0), int)
    order = np.argsort(np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    chosen = np.take_along_axis(some, order, axis=1)
    return chosen, sign * np.take_along_axis(values, chosen, axis=1)


def _lists(rows: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.array(list(rows), pa.list_(kind))
