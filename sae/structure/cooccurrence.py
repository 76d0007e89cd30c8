"""Which features are active together: counts C and activation similarities D, both sparse.

C = AᵀA with A the one-hot activations (n_documents × n_latents); D = BᵀB with B the activations, each
feature's column scaled to unit length (O'Neill et al. 2024, section on feature families).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sae.compiled import cooccurrence_kernels as kernels
from sae.compiled.crew import share

ROWS_OF_PIECE = 32
"""Features of one piece of work: few, since features are active in very different numbers of documents."""
DOCUMENTS_OF_PIECE = 8192
"""Documents sorted in one piece: their entries fit into a core's cache."""
MOST_IN_INT32 = 2**31 - 1
"""Entries whose places still fit into int32."""
ROWS_OF_BLOCK = 512
"""Features counted, with all that come after them, before their rows are handed on."""


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
    lengths: list[np.ndarray] = []
    pieces: dict[str, list[np.ndarray]] = {"features": [], "counts": [], "similarities": []}
    for part in cooccurrence_rows(latents, threads):
        lengths.append(np.diff(part.offsets))
        for name, found in pieces.items():
            found.append(getattr(part, name))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    # One after the other, so that only one is held twice.
    joined = {name: np.concatenate(pieces.pop(name)) for name in list(pieces)}
    return Cooccurrence(offsets, **joined)


def cooccurrence_rows(latents: sp.csr_matrix, threads: int | None = None) -> Iterator[Cooccurrence]:
    """The same in parts of 32 rows, in order; ``latents`` are let go before they are counted.

    A pair is counted once, in the row of its lower feature: for each document of a feature the features that
    come after it there, into an array that stays in a core's cache. Time grows with n_documents · k², not with
    n_latents. Counted pairs wait in tiles of 512 × 512 until the rows of both features are handed on, at most a
    quarter of all at once.
    """
    n_latents = latents.shape[1]
    tiles = _Tiles(_Entries(latents, threads))
    del latents
    for start in range(0, n_latents, ROWS_OF_BLOCK):
        stop = min(start + ROWS_OF_BLOCK, n_latents)
        firsts = range(start, stop, ROWS_OF_PIECE)
        found: list[Cooccurrence | None] = [None] * len(firsts)

        def count(number: int, firsts: range = firsts) -> None:
            tiles.count(firsts[number])

        def hand_on(number: int, firsts: range = firsts, found: list = found) -> None:
            found[number] = _compressed(tiles.rows(firsts[number]))

        tiles.open(start)
        share(count, len(firsts), threads)
        share(hand_on, len(firsts), threads)
        tiles.close(start)
        yield from (part for part in found if part)


class _Entries:
    """Active entries twice: by document, in order of feature, and by feature, in order of document.

    features (m,) unsigned and acts float32 (m,) by document, acts scaled so that each feature's have length 1;
    feature_offsets int64 (n_latents + 1,); of each entry by feature its place int32 or int64 (m,) among those by
    document, and how many of its document come after it there (m,) unsigned.
    """

    def __init__(self, latents: sp.csr_matrix, threads: int | None) -> None:
        (n_documents, n_latents), m = latents.shape, latents.nnz
        small = np.uint16 if n_latents <= 2**16 else np.uint32
        self.features, self.acts = np.empty(m, small), np.empty(m, np.float32)
        self.feature_offsets = np.zeros(n_latents + 1, np.int64)
        np.cumsum(np.bincount(latents.indices, minlength=n_latents), out=self.feature_offsets[1:])
        self.places = np.empty(m, np.int32 if m <= MOST_IN_INT32 else np.int64)
        self.after = np.empty(m, small)
        documents, own_acts = np.empty(m, np.int32), np.empty(m, np.float32)
        next_of = self.feature_offsets[:-1].copy()
        kernels.by_feature(latents.indptr, latents.indices, latents.data, next_of, documents, own_acts)
        kernels.scale(self.feature_offsets, own_acts)
        document_offsets = latents.indptr.astype(np.int64)
        firsts = range(0, n_documents, DOCUMENTS_OF_PIECE)

        def sort_back(number: int) -> None:
            first = firsts[number]
            last = min(first + DOCUMENTS_OF_PIECE, n_documents)
            kernels.by_document(
                first, last, document_offsets, self.feature_offsets, documents, own_acts,
                self.features, self.acts, self.places, self.after,
            )  # fmt: skip

        share(sort_back, len(firsts), threads)


class _Tiles:
    """2 · count + cosine, float64, of features i < j: tile (I, J) has a row for each i of block I, a column for
    each j of block J, blocks named by their first feature."""

    def __init__(self, entries: _Entries) -> None:
        self.entries = entries
        self.n_latents = len(entries.feature_offsets) - 1
        self.blocks = range(0, self.n_latents, ROWS_OF_BLOCK)
        self.held: dict[tuple[int, int], np.ndarray] = {}
        # Tiles are parts of one array, used again and again: many of them, made and let go in turn, would leave
        # holes that the process keeps, 200 MB at 9,216 features.
        n_blocks = len(self.blocks)
        most = max(((n + 1) * (n_blocks - n) for n in range(n_blocks)), default=0)
        self.room = np.empty((most, min(ROWS_OF_BLOCK, self.n_latents) ** 2))
        self.place: dict[tuple[int, int], int] = {}
        self.free = list(range(most))

    def open(self, block: int) -> None:
        """Make room for a block's features and those that come after."""
        height = min(ROWS_OF_BLOCK, self.n_latents - block)
        for later in self.blocks[block // ROWS_OF_BLOCK :]:
            width = min(ROWS_OF_BLOCK, self.n_latents - later)
            place = self.place[block, later] = self.free.pop()
            self.held[block, later] = self.room[place, : height * width].reshape(height, width)

    def count(self, first: int) -> None:
        """Fill the rows of the piece of features that begins with ``first``."""
        entries, block = self.entries, first - first % ROWS_OF_BLOCK
        last = min(first + ROWS_OF_PIECE, self.n_latents)
        rows = np.zeros((last - first, self.n_latents - block))
        kernels.count_rows(
            first, last, block, entries.features, entries.acts, entries.feature_offsets,
            entries.places, entries.after, rows,
        )  # fmt: skip
        for later in self.blocks[block // ROWS_OF_BLOCK :]:
            into = self.held[block, later][first - block : last - block]
            into[:] = rows[:, later - block : later - block + ROWS_OF_BLOCK]

    def rows(self, first: int) -> np.ndarray:
        """Whole rows (rows, n_latents) of the piece that begins with ``first``, its own and all before it counted."""
        block = first - first % ROWS_OF_BLOCK
        rows = np.empty((min(ROWS_OF_PIECE, self.n_latents - first), self.n_latents))
        for other in self.blocks:
            into = rows[:, other : other + ROWS_OF_BLOCK]
            if other < block:
                kernels.transpose(self.held[other, block], first - block, into)
            elif other == block:
                kernels.mirror(self.held[block, block], first - block, into)
            else:
                into[:] = self.held[block, other][first - block : first - block + len(rows)]
        return rows

    def close(self, block: int) -> None:
        """Let go of what only this block's rows needed."""
        for other in self.blocks[: block // ROWS_OF_BLOCK + 1]:
            del self.held[other, block]
            self.free.append(self.place.pop((other, block)))


def _compressed(rows: np.ndarray) -> Cooccurrence:
    """What is above 0 in ``rows`` (rows, n_latents) of 2 · count + cosine."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.count_nonzero(rows, axis=1), out=offsets[1:])
    m = int(offsets[-1])
    features, counts = np.empty(m, np.int32), np.empty(m, np.int32)
    similarities = np.empty(m, np.float32)
    kernels.split(rows, features, counts, similarities)
    return Cooccurrence(offsets, features, counts, similarities)
