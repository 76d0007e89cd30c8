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

ROWS_OF_PIECE = kernels.WIDTH
"""Features of one piece of work: few, since features are active in very different numbers of documents."""
ROWS_OF_BLOCK = kernels.TILE
"""Features counted, with all that come after them, before their rows are handed on."""
DOCUMENTS_OF_PIECE, MOST_PIECES = 4096, 16
"""Least documents sorted in one piece, and most pieces, each of which has a place for every feature."""
MOST_IN_INT32 = 2**31 - 1
"""Entries whose places still fit into int32."""


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
    offsets = np.zeros(len(top_acts) + 1, np.int64)
    np.cumsum(np.count_nonzero(active, axis=1), out=offsets[1:])
    acts, indices = np.empty(offsets[-1], np.float32), np.empty(offsets[-1], np.int32)
    firsts = range(0, len(top_acts), DOCUMENTS_OF_PIECE)

    def take(piece: int) -> None:
        rows = slice(firsts[piece], min(firsts[piece] + DOCUMENTS_OF_PIECE, len(top_acts)))
        into = slice(offsets[rows.start], offsets[rows.stop])
        acts[into], indices[into] = top_acts[rows][active[rows]], top_indices[rows][active[rows]]

    share(take, len(firsts))
    return sp.csr_matrix((acts, indices, offsets), shape=(len(top_acts), n_latents))


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
    come after it there, into an array that stays in a core's cache. What is above 0 there waits in tiles of
    512 × 512 until the rows of both features are handed on, at most a quarter of all at once. Time grows with
    n_documents · k² and with the pairs that meet; of n_latents² only a search for what is above 0 in an array in
    cache.
    """
    tiles = _Tiles(_Entries(latents, threads), threads)
    del latents
    for block in range(tiles.n_blocks):
        yield from tiles.block(block)


class _Entries:
    """Active entries twice: by document, in order of feature, and by feature, in order of document.

    features (m,) unsigned and acts float32 (m,) by document, acts scaled so that each feature's have length 1;
    feature_offsets int64 (n_latents + 1,); of each entry by feature its place int32 or int64 (m,) among those by
    document, and how many of its document come after it there (m,) unsigned.
    """

    def __init__(self, latents: sp.csr_matrix, threads: int | None) -> None:
        (n_documents, n_latents), m = latents.shape, latents.nnz
        small = np.uint16 if n_latents <= 2**16 else np.uint32
        offsets = latents.indptr.astype(np.int64)
        length = max(DOCUMENTS_OF_PIECE, -(-n_documents // MOST_PIECES))
        firsts = range(0, n_documents, length)
        next_of = np.zeros((len(firsts), n_latents), np.int64)
        squares = np.zeros(next_of.shape)

        def tally(piece: int) -> None:
            first = firsts[piece]
            last = min(first + length, n_documents)
            kernels.tally(first, last, offsets, latents.indices, latents.data, next_of[piece], squares[piece])

        share(tally, len(firsts), threads)
        self.feature_offsets = np.zeros(n_latents + 1, np.int64)
        np.cumsum(next_of.sum(axis=0), out=self.feature_offsets[1:])
        # From how often a feature is in each piece to where its entries of the piece begin.
        next_of[:] = np.cumsum(next_of, axis=0) - next_of + self.feature_offsets[:-1]
        scales = (1 / np.maximum(np.sqrt(squares.sum(axis=0)), 1e-30)).astype(np.float32)
        self.features, self.acts = np.empty(m, small), np.empty(m, np.float32)
        self.places = np.empty(m, np.int32 if m <= MOST_IN_INT32 else np.int64)
        self.after = np.empty(m, small)

        def sort(piece: int) -> None:
            first = firsts[piece]
            kernels.sort_documents(
                first, min(first + length, n_documents), offsets, latents.indices, latents.data, scales,
                next_of[piece], self.features, self.acts, self.places, self.after,
            )  # fmt: skip

        share(sort, len(firsts), threads)


class _Tiles:
    """2 · count + cosine, float64, of features i < j where it is above 0: tile (I, J) holds features i of block I
    with j of block J, as ``cooccurrence_kernels`` describes."""

    def __init__(self, entries: _Entries, threads: int | None) -> None:
        self.entries, self.threads = entries, threads
        self.n_latents = len(entries.feature_offsets) - 1
        self.n_blocks = n_blocks = -(-self.n_latents // ROWS_OF_BLOCK)
        # Tiles are parts of one array, used again and again: many of them, made and let go in turn, would leave
        # holes that the process keeps, 200 MB at 9,216 features.
        most = max(((n + 1) * (n_blocks - n) for n in range(n_blocks)), default=0)
        rows, columns = ROWS_OF_BLOCK // kernels.HEIGHT, ROWS_OF_BLOCK // kernels.WIDTH
        self.values = np.empty((most, rows, kernels.HEIGHT * ROWS_OF_BLOCK))
        self.codes = np.empty(self.values.shape, np.uint8)
        self.ends = np.empty((most, rows, columns + 1), np.int32)
        self.slots = np.zeros((n_blocks, n_blocks), np.int64)
        self.free = list(range(most))
        self.lengths = np.zeros(self.n_latents, np.int64)
        self.spare_rows: list[np.ndarray] = []

    def block(self, block: int) -> Iterator[Cooccurrence]:
        """Count the rows of a block of features; hand them on whole, those of earlier blocks being counted."""
        first, last = block * ROWS_OF_BLOCK, min((block + 1) * ROWS_OF_BLOCK, self.n_latents)
        pieces = range(first, last, ROWS_OF_PIECE)
        for later in range(block, self.n_blocks):
            self.slots[block, later] = self.free.pop()
        share(lambda piece: self._count(pieces[piece]), len(pieces), self.threads)
        parts: list[Cooccurrence | None] = [None] * len(pieces)

        def hand_on(piece: int) -> None:
            parts[piece] = self._rows(pieces[piece])

        share(hand_on, len(pieces), self.threads)
        self.free += self.slots[: block + 1, block].tolist()
        while parts:  # arrays of their own, let go one by one: a reader may keep the last
            if part := parts.pop(0):
                yield part

    def _count(self, first: int) -> None:
        """Fill the cells of a piece of rows."""
        entries = self.entries
        width = -(-(self.n_latents - first) // kernels.WIDTH) * kernels.WIDTH
        # A new array costs its page faults each time.
        room = self.spare_rows.pop() if self.spare_rows else np.zeros(0)
        if len(room) < kernels.HEIGHT * width:
            room = np.zeros(kernels.HEIGHT * width)
        rows = room[: kernels.HEIGHT * width].reshape(kernels.HEIGHT, width)
        for start in range(first, min(first + ROWS_OF_PIECE, self.n_latents), kernels.HEIGHT):
            stop = min(start + kernels.HEIGHT, self.n_latents)
            kernels.count_rows(
                start, stop, first, entries.features, entries.acts, entries.feature_offsets,
                entries.places, entries.after, rows,
            )  # fmt: skip
            kernels.pack(
                start, stop, first, rows, self.slots[first // ROWS_OF_BLOCK], self.values, self.codes,
                self.ends, self.lengths,
            )  # fmt: skip
        self.spare_rows.append(room)

    def _rows(self, first: int) -> Cooccurrence:
        """A piece of rows, whole: they and all before them are counted."""
        block, last = first // ROWS_OF_BLOCK, min(first + ROWS_OF_PIECE, self.n_latents)
        above, later = self.slots[: block + 1, block].copy(), self.slots[block, block:]
        kernels.add_lengths(first, last, above, self.codes, self.ends, self.lengths)
        offsets = np.zeros(last - first + 1, np.int64)
        np.cumsum(self.lengths[first:last], out=offsets[1:])
        m = int(offsets[-1])
        found = Cooccurrence(offsets, np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.float32))
        kernels.write_rows(
            first, last, self.n_latents, above, later, self.values, self.codes, self.ends, offsets[:-1].copy(),
            found.features, found.counts, found.similarities,
        )  # fmt: skip
        return found
