"""Latents without structure, to tell a family from chance: who fires with whom is shuffled, nothing else.

Every document keeps its number of active features, every feature its number of documents and its activations.
"""

import numpy as np
import scipy.sparse as sp

from sae.compiled.jit import compiled

_TRIES = 100  # exchanges tried for one repeated feature before it is left to the slower loop
_DRAWS = 1 << 20  # random partners drawn at once; used over and over


def shuffle_latents(latents: sp.csr_matrix, seed: int = 0) -> sp.csr_matrix:
    """Random latents float32 (n_documents, n_latents) with the row counts and column counts of the given
    ones.

    Entries are dealt out anew; where a document would hold a feature twice, the surplus entry changes places
    with one of another document, until none is left. A handful can remain where a feature is active nearly
    everywhere; those are dropped.
    """
    rng = np.random.default_rng(seed)
    n_documents, n_latents = latents.shape
    documents = np.repeat(np.arange(n_documents, dtype=np.int32), np.diff(latents.indptr))
    deal = rng.permutation(np.arange(latents.nnz, dtype=np.int32 if latents.nnz < 2**31 else np.int64))
    features = latents.indices[deal].astype(np.int32, copy=False)
    if latents.nnz:
        draws = rng.integers(0, latents.nnz, min(_DRAWS, 4 * latents.nnz))
        _exchange(latents.indptr.astype(np.int64), documents, features, deal, draws, n_latents)
    surplus = np.flatnonzero(_repeated(latents.indptr, features, n_latents))
    for _ in range(200):
        if not len(surplus):
            break
        others = rng.integers(0, latents.nnz, len(surplus))
        # One exchange after another: the same partner may be drawn twice.
        for one, other in zip(surplus, others, strict=True):
            features[[one, other]] = features[[other, one]]
            deal[[one, other]] = deal[[other, one]]
        surplus = np.flatnonzero(_repeated(latents.indptr, features, n_latents))
    lost = np.bincount(documents[surplus], minlength=n_documents)
    offsets = latents.indptr.astype(np.int64) - np.concatenate([[0], np.cumsum(lost)])
    entries = (np.delete(latents.data[deal], surplus), np.delete(features, surplus), offsets)
    return sp.csr_matrix(entries, shape=latents.shape)


@compiled
def _exchange(
    offsets: np.ndarray,
    documents: np.ndarray,
    features: np.ndarray,
    deal: np.ndarray,
    draws: np.ndarray,
    n_latents: int,
) -> None:
    """Give features that a document holds twice to random documents without them, for one that it has not."""
    seen = np.full(n_latents, -1, np.int32)
    cursor = 0
    for document in range(len(offsets) - 1):
        start, stop = offsets[document], offsets[document + 1]
        for entry in range(start, stop):
            feature = features[entry]
            if seen[feature] != document:
                seen[feature] = document
                continue
            for _ in range(_TRIES):
                other = draws[cursor]
                cursor = cursor + 1 if cursor + 1 < len(draws) else 0
                theirs, from_document = features[other], documents[other]
                fits = from_document != document
                for own in range(start, stop):
                    fits = fits and features[own] != theirs
                for own in range(offsets[from_document], offsets[from_document + 1]):
                    fits = fits and features[own] != feature
                if fits:
                    features[entry], features[other] = theirs, feature
                    deal[entry], deal[other] = deal[other], deal[entry]
                    seen[theirs] = document
                    break


@compiled
def _repeated(offsets: np.ndarray, features: np.ndarray, n_latents: int) -> np.ndarray:
    """bool (n_entries,): the entry's feature stands in its document already, in an earlier entry."""
    seen = np.full(n_latents, -1, np.int32)
    repeated = np.zeros(len(features), np.bool_)
    for document in range(len(offsets) - 1):
        for entry in range(offsets[document], offsets[document + 1]):
            repeated[entry] = seen[features[entry]] == document
            seen[features[entry]] = document
    return repeated
