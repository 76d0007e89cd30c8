"""Which features are active together: counts C and activation similarities D, both sparse.

C = AᵀA with A the one-hot activations (n_documents × n_latents); D = BᵀB with B the activations, each feature's
column scaled to unit length (O'Neill et al. 2024, section on feature families).
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

_FEATURES_AT_ONCE = 512


@dataclass(frozen=True)
class Cooccurrence:
    """A symmetric sparse matrix without its diagonal, by rows.

    offsets int64 (n_latents + 1,), features int32 (m,), counts int32 (m,), similarities float32 (m,): row i holds
    the features active together with i, in order of index, how often, and how similarly.
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
    """C and D of sparse latents (n_documents, n_latents), a few hundred rows of C at a time."""
    by_feature = latents.tocsc()
    lengths = np.sqrt(np.asarray(latents.multiply(latents).sum(axis=0)).ravel())
    unit = latents.astype(np.float32) @ sp.diags(1 / np.maximum(lengths, 1e-30)).astype(np.float32)
    ones = latents.copy()
    ones.data = np.ones_like(ones.data)
    rows: list[sp.csr_matrix] = []
    similar: list[sp.csr_matrix] = []
    for start in range(0, by_feature.shape[1], _FEATURES_AT_ONCE):
        block = slice(start, start + _FEATURES_AT_ONCE)
        rows.append(ones[:, block].T.tocsr() @ ones)
        similar.append(unit[:, block].T.tocsr() @ unit)
    counts, similarities = _off_diagonal(sp.vstack(rows)), _off_diagonal(sp.vstack(similar))
    return Cooccurrence(
        counts.indptr.astype(np.int64),
        counts.indices.astype(np.int32),
        np.rint(counts.data).astype(np.int32),
        similarities.data.astype(np.float32),
    )


def _off_diagonal(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Without the diagonal, columns in order. Both matrices have the same pattern: activations are positive."""
    found = matrix.tocoo()
    keep = found.row != found.col
    result = sp.csr_matrix((found.data[keep], (found.row[keep], found.col[keep])), shape=matrix.shape)
    result.sort_indices()
    return result
