"""Latents without structure, to tell a family from chance: who fires with whom is shuffled, nothing else.

Every document keeps its number of active features, every feature its number of documents and its activations.
"""

import numpy as np
import scipy.sparse as sp


def shuffle_latents(latents: sp.csr_matrix, seed: int = 0) -> sp.csr_matrix:
    """Random latents float32 (n_documents, n_latents) with the row counts and column counts of the given
    ones.

    Entries are dealt out anew; where a document would hold a feature twice, the surplus entry changes places
    with one of another document, until none is left. A handful can remain where a feature is active nearly
    everywhere; those are dropped.
    """
    rng = np.random.default_rng(seed)
    n_documents, n_latents = latents.shape
    documents = np.repeat(np.arange(n_documents, dtype=np.int64), np.diff(latents.indptr))
    deal = rng.permutation(latents.nnz)
    features, activations = latents.indices[deal].astype(np.int64), latents.data[deal]
    surplus = _surplus(documents, features, n_latents)
    for _ in range(200):
        if not len(surplus):
            break
        others = rng.integers(0, latents.nnz, len(surplus))
        # One exchange after another: the same partner may be drawn twice.
        for one, other in zip(surplus, others, strict=True):
            features[[one, other]] = features[[other, one]]
            activations[[one, other]] = activations[[other, one]]
        surplus = _surplus(documents, features, n_latents)
    keep = np.ones(latents.nnz, bool)
    keep[surplus] = False
    entries = (activations[keep], (documents[keep], features[keep]))
    return sp.csr_matrix(entries, shape=latents.shape)


def _surplus(documents: np.ndarray, features: np.ndarray, n_latents: int) -> np.ndarray:
    """Entries that repeat a (document, feature) seen in an earlier entry."""
    pairs = documents * n_latents + features
    first = np.zeros(len(pairs), bool)
    first[np.unique(pairs, return_index=True)[1]] = True
    return np.flatnonzero(~first)
