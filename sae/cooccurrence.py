"""Which features are active together: counts C and activation similarities D, both sparse.

C = AᵀA with A the one-hot activations (n_documents × n_latents); D = BᵀB with B the activations, each
feature's column scaled to unit length (O'Neill et al. 2024, section on feature families).
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sae.jit import compiled


@dataclass(frozen=True)
class Cooccurrence:
    """A symmetric sparse matrix without its diagonal, by rows.

    offsets int64 (n_latents + 1,), features int32 (m,), counts int32 (m,), similarities float32 (m,): row i
    holds the features active together with i, in order of index, how often, and how similarly.
    """

    offsets: np.ndarray
    features: np.ndarray
    counts: np.ndarray
    similarities: np.ndarray


def active_entries(top_acts: np.ndarray, top_indices: np.ndarray, n_latents: int) -> sp.csr_matrix:
    """Latents by document (n, k) as a sparse matrix float32 (n, n_latents) that holds active entries only."""
    active = top_acts > 0
    offsets = np.concatenate([[0], np.cumsum(active.sum(axis=1))])
    entries = (top_acts[active].astype(np.float32), top_indices[active].astype(np.int32), offsets)
    return sp.csr_matrix(entries, shape=(len(top_acts), n_latents))


def cooccurrence(latents: sp.csr_matrix) -> Cooccurrence:
    """C and D of sparse latents (n_documents, n_latents).

    Compiled, row by row over the documents of each feature, first for the lengths of the rows and then for
    the rows, so that beside the latents and the result nothing is held.
    """
    n_latents = latents.shape[1]
    squares = latents.data.astype(np.float32) ** 2
    lengths = np.sqrt(np.bincount(latents.indices, squares, n_latents))
    del squares
    unit = latents.data * (1 / np.maximum(lengths, 1e-30)).astype(np.float32)[latents.indices]
    by_document = sp.csr_matrix((unit, latents.indices, latents.indptr), shape=latents.shape)
    by_feature = by_document.tocsc()
    rows = (*_parts(by_feature), *_parts(by_document))
    offsets = np.zeros(n_latents + 1, np.int64)
    _row_lengths(*rows, offsets[1:])
    np.cumsum(offsets, out=offsets)
    features, counts = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    similarities = np.empty(offsets[-1], np.float32)
    _fill_rows(*rows, offsets, features, counts, similarities)
    return Cooccurrence(offsets, features, counts, similarities)


def _parts(matrix: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), matrix.data


@compiled
def _row_lengths(
    feature_offsets: np.ndarray,
    documents: np.ndarray,
    by_feature: np.ndarray,
    document_offsets: np.ndarray,
    active: np.ndarray,
    by_document: np.ndarray,
    lengths: np.ndarray,
) -> None:
    """How many features each feature is active together with, int64 (n_latents,)."""
    last_seen = np.full(len(lengths), -1, np.int32)
    for i in range(len(lengths)):
        last_seen[i] = i  # not with itself
        met = 0
        for at in range(feature_offsets[i], feature_offsets[i + 1]):
            document = documents[at]
            for other in range(document_offsets[document], document_offsets[document + 1]):
                if last_seen[active[other]] != i:
                    last_seen[active[other]] = i
                    met += 1
        lengths[i] = met


@compiled
def _fill_rows(
    feature_offsets: np.ndarray,
    documents: np.ndarray,
    by_feature: np.ndarray,
    document_offsets: np.ndarray,
    active: np.ndarray,
    by_document: np.ndarray,
    offsets: np.ndarray,
    features: np.ndarray,
    counts: np.ndarray,
    similarities: np.ndarray,
) -> None:
    """Write all rows of C and D, each at its offset."""
    n_latents = len(offsets) - 1
    count = np.zeros(n_latents, np.int32)
    similarity = np.zeros(n_latents, np.float64)
    for i in range(n_latents):
        for at in range(feature_offsets[i], feature_offsets[i + 1]):
            document, own = documents[at], by_feature[at]
            for other in range(document_offsets[document], document_offsets[document + 1]):
                j = active[other]
                count[j] += 1
                similarity[j] += own * by_document[other]
        entry = offsets[i]
        for j in range(n_latents):
            if count[j] > 0 and j != i:
                features[entry], counts[entry], similarities[entry] = j, count[j], similarity[j]
                entry += 1
            count[j] = 0
            similarity[j] = 0.0
