"""The compiled parts of counting co-occurrence.

Entries by feature name their places among those by document, and a feature's places lie far apart in memory: what
a core waits for is not arithmetic but those rows, so they are asked for before they are needed.

What was counted waits in slots, squares of TILE rows and columns, cut into cells of HEIGHT rows and WIDTH columns.
``values`` (slots, rows of cells, HEIGHT · TILE) holds what is above 0 cell after cell, each row by row; ``codes`` of
the same shape where in the cell (row · WIDTH + column); ``ends`` (slots, rows of cells, columns of cells + 1) where
each cell ends, after a first 0.
"""

import numpy as np

from sae.compiled.jit import compiled
from sae.compiled.prefetch import prefetch

AHEAD = 8
"""Entries of a feature between asking for a document's row and reading it."""
SHIFT = 5
HEIGHT, WIDTH, TILE = 8, 1 << SHIFT, 512
"""HEIGHT · WIDTH is the most that a byte tells apart."""


@compiled
def tally(
    first: int,
    last: int,
    document_offsets: np.ndarray,
    features: np.ndarray,
    acts: np.ndarray,
    counts: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Add how often each feature is active in documents ``first`` … ``last`` − 1, and its squared activations."""
    for at in range(document_offsets[first], document_offsets[last]):
        counts[features[at]] += 1
        squares[features[at]] += np.float64(acts[at]) * np.float64(acts[at])


@compiled
def sort_documents(
    first: int,
    last: int,
    document_offsets: np.ndarray,
    unsorted: np.ndarray,
    unscaled: np.ndarray,
    scales: np.ndarray,
    next_of: np.ndarray,
    features: np.ndarray,
    acts: np.ndarray,
    places: np.ndarray,
    after: np.ndarray,
) -> None:
    """Documents ``first`` … ``last`` − 1 by feature, and each feature's places; ``next_of`` begins as its first.

    An entry's rank is the number of those before it: k² comparisons, sixteen at once, and no branch.
    """
    for document in range(first, last):
        start, stop = document_offsets[document], document_offsets[document + 1]
        for at in range(start, stop):
            own, rank = unsorted[at], 0
            for other in range(start, at):
                rank += unsorted[other] <= own
            for other in range(at + 1, stop):
                rank += unsorted[other] < own
            features[start + rank] = own
            acts[start + rank] = unscaled[at] * scales[own]
            entry = next_of[own]
            next_of[own] = entry + 1
            places[entry] = start + rank
            after[entry] = stop - start - rank - 1


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
def pack(
    first: int,
    last: int,
    start: int,
    rows: np.ndarray,
    slots: np.ndarray,
    values: np.ndarray,
    codes: np.ndarray,
    ends: np.ndarray,
    lengths: np.ndarray,
) -> None:
    """``rows`` of ``first`` … ``last`` − 1, at most HEIGHT, into their cells; ``rows`` are 0 afterwards.

    ``slots``: that of each block of columns. ``lengths[i]`` becomes what is above 0 in row i.
    """
    cell_row, size = first % TILE // HEIGHT, 0
    lengths[first:last] = 0
    for column in range(0, rows.shape[1], WIDTH):
        slot, cell_column = slots[(start + column) // TILE], (start + column) % TILE // WIDTH
        if column == 0 or cell_column == 0:
            ends[slot, cell_row, : cell_column + 1] = size = 0
        cell_values, cell_codes = values[slot, cell_row], codes[slot, cell_row]
        for i in range(last - first):
            row, before = rows[i, column : column + WIDTH], size
            for j in range(WIDTH):  # no branch: what is 0 is written over by the next
                cell_values[size] = row[j]
                cell_codes[size] = i * WIDTH + j
                size += row[j] > 0.0
            row[:] = 0.0
            lengths[first + i] += size - before
        ends[slot, cell_row, cell_column + 1] = size


@compiled
def _ask(
    slot: int, cell_row: int, cell_column: int, values: np.ndarray, codes: np.ndarray, ends: np.ndarray
) -> None:
    """Ask for a cell that will be read."""
    place = (slot * values.shape[1] + cell_row) * values.shape[2]
    start, stop = ends[slot, cell_row, cell_column], ends[slot, cell_row, cell_column + 1]
    for line in range(start, stop, 8):
        prefetch(values, place + line)
    for line in range(start, stop, 64):
        prefetch(codes, place + line)


@compiled
def add_lengths(
    first: int, last: int, slots: np.ndarray, codes: np.ndarray, ends: np.ndarray, lengths: np.ndarray
) -> None:
    """Add to ``lengths`` of features ``first`` … ``last`` − 1, at most WIDTH, how many before them they meet.

    ``slots``: those above and on the diagonal, from the top.
    """
    column = first % TILE // WIDTH
    for tile in range(len(slots)):
        n_cells = TILE // HEIGHT if tile < len(slots) - 1 else (last - 1) % TILE // HEIGHT + 1
        for cell_row in range(n_cells):
            cell_codes, own = codes[slots[tile], cell_row], ends[slots[tile], cell_row]
            for entry in range(own[column], own[column + 1]):
                lengths[first + (np.int64(cell_codes[entry]) & (WIDTH - 1))] += 1


@compiled
def write_rows(
    first: int,
    last: int,
    n_latents: int,
    above: np.ndarray,
    later: np.ndarray,
    values: np.ndarray,
    codes: np.ndarray,
    ends: np.ndarray,
    next_of: np.ndarray,
    features: np.ndarray,
    counts: np.ndarray,
    similarities: np.ndarray,
) -> None:
    """Rows ``first`` … ``last`` − 1, at most WIDTH, whole: column, count and cosine; row i from ``next_of[i − first]``.

    ``above``: slots above and on the diagonal, from the top; ``later``: those from the diagonal to the right.
    """
    cell_column = first % TILE // WIDTH
    for tile in range(len(above)):
        slot = above[tile]
        n_cells = TILE // HEIGHT if tile < len(above) - 1 else (last - 1) % TILE // HEIGHT + 1
        for cell_row in range(n_cells):
            if cell_row + 2 < n_cells:
                _ask(slot, cell_row + 2, cell_column, values, codes, ends)
            row, own = tile * TILE + cell_row * HEIGHT, ends[slot, cell_row]
            for entry in range(own[cell_column], own[cell_column + 1]):
                code, both = np.int64(codes[slot, cell_row, entry]), values[slot, cell_row, entry]
                own_row = code & (WIDTH - 1)
                place = next_of[own_row]
                next_of[own_row] = place + 1
                count = np.int32(both * 0.5)
                features[place] = row + (code >> SHIFT)
                counts[place] = count
                similarities[place] = both - 2.0 * count
    for column in range(first, n_latents, WIDTH):
        slot, cell_column = later[column // TILE - first // TILE], column % TILE // WIDTH
        for row in range(first, last, HEIGHT):
            cell_row = row % TILE // HEIGHT
            cell, cell_codes, own = values[slot, cell_row], codes[slot, cell_row], ends[slot, cell_row]
            entry, stop = own[cell_column], own[cell_column + 1]
            while entry < stop:
                i = np.int64(cell_codes[entry]) >> SHIFT
                place = next_of[row - first + i]
                while entry < stop and (np.int64(cell_codes[entry]) >> SHIFT) == i:
                    both = cell[entry]
                    count = np.int32(both * 0.5)
                    features[place] = column + (np.int64(cell_codes[entry]) & (WIDTH - 1))
                    counts[place] = count
                    similarities[place] = both - 2.0 * count
                    place += 1
                    entry += 1
                next_of[row - first + i] = place
