"""The compiled parts of counting co-occurrence.

Entries by feature name their places among those by document, and a feature's places lie far apart in memory: what
a core waits for is not arithmetic but those rows, so they are asked for before they are needed.
"""

import math

import numpy as np

from sae.compiled.jit import compiled
from sae.compiled.prefetch import prefetch

AHEAD = 8
"""Entries of a feature between asking for a document's row and reading it."""


@compiled
def by_feature(
    document_offsets: np.ndarray,
    features: np.ndarray,
    acts: np.ndarray,
    next_of: np.ndarray,
    documents: np.ndarray,
    own_acts: np.ndarray,
) -> None:
    """Counting sort of the entries by feature; ``next_of`` starts as each feature's first place."""
    for document in range(len(document_offsets) - 1):
        for at in range(document_offsets[document], document_offsets[document + 1]):
            place = next_of[features[at]]
            next_of[features[at]] = place + 1
            documents[place] = document
            own_acts[place] = acts[at]


@compiled
def scale(feature_offsets: np.ndarray, own_acts: np.ndarray) -> None:
    """Divide each feature's activations by their length."""
    for feature in range(len(feature_offsets) - 1):
        own = own_acts[feature_offsets[feature] : feature_offsets[feature + 1]]
        squares = 0.0
        for entry in range(len(own)):
            squares += np.float64(own[entry]) * np.float64(own[entry])
        shrink = np.float32(1.0 / max(math.sqrt(squares), 1e-30))
        for entry in range(len(own)):
            own[entry] *= shrink


@compiled
def by_document(
    first: int,
    last: int,
    document_offsets: np.ndarray,
    feature_offsets: np.ndarray,
    documents: np.ndarray,
    own_acts: np.ndarray,
    features: np.ndarray,
    acts: np.ndarray,
    places: np.ndarray,
    after: np.ndarray,
) -> None:
    """The sort back, for documents ``first`` … ``last`` − 1: feature by feature, so that a document's come in order."""
    next_of = document_offsets[first:last].copy()
    for feature in range(len(feature_offsets) - 1):
        start, stop = feature_offsets[feature], feature_offsets[feature + 1]
        entry = start + np.searchsorted(documents[start:stop], first)
        while entry < stop and documents[entry] < last:
            document = documents[entry]
            place = next_of[document - first]
            next_of[document - first] = place + 1
            features[place] = feature
            acts[place] = own_acts[entry]
            places[entry] = place
            after[entry] = document_offsets[document + 1] - place - 1
            entry += 1


@compiled
def count_rows(
    first: int,
    last: int,
    start: int,
    features: np.ndarray,
    acts: np.ndarray,
    feature_offsets: np.ndarray,
    places: np.ndarray,
    after: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Add 2 · count + cosine of ``first`` … ``last`` − 1 with every later feature j to ``rows[:, j − start]``.

    ``acts`` are scaled to columns of unit length, so an entry of D is a cosine, at most 1: one float64 number
    holds both, for half the memory traffic of two. At a count of a million, 31 bits are left for the cosine.
    """
    for i in range(first, last):
        both = rows[i - first]
        stop = feature_offsets[i + 1]
        for entry in range(feature_offsets[i], stop):
            ahead = np.int64(places[min(entry + AHEAD, stop - 1)])
            for line in range(2):  # 64 bytes each: enough for 64 features that come after
                prefetch(features, ahead + 32 * line)
            for line in range(4):
                prefetch(acts, ahead + 16 * line)
            place = np.int64(places[entry])
            own = np.float64(acts[place])
            for other in range(place + 1, place + 1 + np.int64(after[entry])):
                both[np.int64(features[other]) - start] += 2.0 + own * np.float64(acts[other])


@compiled
def transpose(tile: np.ndarray, first: int, into: np.ndarray) -> None:
    """``into`` = rows ``first`` … of the transposed tile."""
    for j in range(tile.shape[0]):
        for i in range(into.shape[0]):
            into[i, j] = tile[j, first + i]


@compiled
def mirror(tile: np.ndarray, first: int, into: np.ndarray) -> None:
    """``into`` = rows ``first`` … of a square tile, of which only what is above the diagonal is read."""
    for i in range(into.shape[0]):
        row = first + i
        for j in range(row):
            into[i, j] = tile[j, row]
        into[i, row] = 0.0
        for j in range(row + 1, tile.shape[1]):
            into[i, j] = tile[row, j]


@compiled
def split(rows: np.ndarray, features: np.ndarray, counts: np.ndarray, similarities: np.ndarray) -> None:
    """Write column, count and cosine of what is above 0, row by row."""
    entry = 0
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            if rows[i, j] > 0.0:
                count = np.int32(rows[i, j] * 0.5)
                features[entry] = j
                counts[entry] = count
                similarities[entry] = rows[i, j] - 2.0 * count
                entry += 1
