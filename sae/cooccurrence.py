"""Which features are active together: counts C and activation similarities D, both sparse.

C = AᵀA with A the one-hot activations (n_documents × n_latents); D = BᵀB with B the activations, each
feature's column scaled to unit length (O'Neill et al. 2024, section on feature families).
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sae.crew import share
from sae.jit import compiled

FEATURES_AT_ONCE = 32
"""Features of one piece of work: small, since features are active in very different numbers of documents."""
PIECES_AT_ONCE = 16
"""Pieces counted before their rows are handed on."""


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
    entries = (
        top_acts[active].astype(np.float32, copy=False),
        top_indices[active].astype(np.int32, copy=False),
        offsets,
    )
    return sp.csr_matrix(entries, shape=(len(top_acts), n_latents))


def cooccurrence(latents: sp.csr_matrix, threads: int | None = None) -> Cooccurrence:
    """C and D of sparse latents (n_documents, n_latents); ``threads`` None for all processors."""
    parts = list(cooccurrence_rows(latents, threads))
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    joined = {}
    for name in ("features", "counts", "similarities"):  # one after the other, so that only one is held twice
        joined[name] = np.concatenate([getattr(part, name) for part in parts])
        for part in parts:
            object.__setattr__(part, name, None)
    return Cooccurrence(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), **joined)


def cooccurrence_rows(latents: sp.csr_matrix, threads: int | None = None) -> Iterator[Cooccurrence]:
    """The same in parts of 32 rows, in order; beside the latents, by document and by feature, only one is held.

    For each document of a feature the features active in it are counted, into an array that stays in a core's
    cache: time grows with n_documents · k², not with n_latents.
    """
    n_latents = latents.shape[1]
    squares = np.bincount(latents.indices, np.square(latents.data), n_latents)
    shrink = (1 / np.maximum(np.sqrt(squares), 1e-30)).astype(np.float32)
    active = latents.indices.astype(np.uint16 if n_latents <= 2**16 else np.int32)
    document_offsets = latents.indptr
    acts = latents.data * shrink[active]  # each feature's column has unit length now
    feature_offsets = np.zeros(n_latents + 1, np.int64)
    np.cumsum(np.bincount(active, minlength=n_latents), out=feature_offsets[1:])
    documents, own_acts = np.empty(len(active), np.int32), np.empty(len(active), np.float32)
    _by_feature(document_offsets, active, acts, feature_offsets.copy(), documents, own_acts)
    by_feature = (feature_offsets, documents, own_acts)
    by_document = (document_offsets, active, acts)
    scratch: dict[int, tuple[np.ndarray, ...]] = {}
    for start in range(0, n_latents, FEATURES_AT_ONCE * PIECES_AT_ONCE):
        stop = min(start + FEATURES_AT_ONCE * PIECES_AT_ONCE, n_latents)
        firsts = range(start, stop, FEATURES_AT_ONCE)
        found: list[Cooccurrence | None] = [None] * len(firsts)

        def piece(number: int, firsts: range = firsts, stop: int = stop, found: list = found) -> None:
            first = firsts[number]
            last = min(first + FEATURES_AT_ONCE, stop)
            thread = threading.get_ident()
            if thread not in scratch:
                scratch[thread] = _most_rows(n_latents)
            rows = scratch[thread]
            offsets = np.zeros(last - first + 1, np.int64)
            m = _count_rows(first, last, *by_feature, *by_document, offsets, *rows)
            found[number] = Cooccurrence(offsets, *(array[:m].copy() for array in rows))

        share(piece, len(firsts), threads)
        yield from (part for part in found if part)


def _most_rows(n_latents: int) -> tuple[np.ndarray, ...]:
    """Room for the rows of one piece if all features are active together."""
    most = FEATURES_AT_ONCE * n_latents
    return np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.float32)


@compiled
def _by_feature(
    document_offsets: np.ndarray,
    active: np.ndarray,
    acts: np.ndarray,
    following: np.ndarray,
    documents: np.ndarray,
    own_acts: np.ndarray,
) -> None:
    """Counting sort of the entries by feature; ``following`` starts as each feature's first place."""
    for document in range(len(document_offsets) - 1):
        for at in range(document_offsets[document], document_offsets[document + 1]):
            place = following[active[at]]
            following[active[at]] = place + 1
            documents[place] = document
            own_acts[place] = acts[at]


@compiled
def _count_rows(
    first: int,
    last: int,
    feature_offsets: np.ndarray,
    documents: np.ndarray,
    own_acts: np.ndarray,
    document_offsets: np.ndarray,
    active: np.ndarray,
    acts: np.ndarray,
    offsets: np.ndarray,
    features: np.ndarray,
    counts: np.ndarray,
    similarities: np.ndarray,
) -> int:
    """Rows ``first`` … ``last`` − 1 of C and D one after the other; returns how many entries they have.

    ``acts`` are scaled to columns of unit length, so an entry of D is a cosine, at most 1: one float64 number
    holds 2 · count + cosine, for half the memory traffic of two. At a count of a million, 31 bits are left.
    """
    n_latents = len(feature_offsets) - 1
    both = np.zeros(n_latents, np.float64)
    entry = 0
    for i in range(first, last):
        for at in range(feature_offsets[i], feature_offsets[i + 1]):
            own = np.float64(own_acts[at])
            for other in range(document_offsets[documents[at]], document_offsets[documents[at] + 1]):
                both[active[other]] += 2.0 + own * np.float64(acts[other])
        both[i] = 0.0
        for j in range(n_latents):
            if both[j] > 0.0:
                count = np.int32(both[j] * 0.5)
                features[entry] = j
                counts[entry] = count
                similarities[entry] = both[j] - 2.0 * count
                entry += 1
            both[j] = 0.0
        offsets[i - first + 1] = entry
    return entry
