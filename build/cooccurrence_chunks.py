"""Co-occurrence from chunks of documents: counts add up, and so do similarities before they are scaled.

D = BᵀB has the columns of B at unit length over all documents, a chunk has them at unit length over its own: its
entries are multiplied by its own lengths, added, and divided by the lengths over all. Counts are exact, similarities
those of one piece up to the rounding of float32.
"""

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from build.chunks import Chunks
from sae import schema
from sae.storage.arrays import Group
from sae.structure.cooccurrence import Cooccurrence, active_entries, cooccurrence

DOCUMENTS_A_CHUNK = 65_536

Part = tuple[Cooccurrence, np.ndarray]


def part_of(latents: str, n_latents: int, start: int, stop: int) -> Part:
    """Co-occurrence in documents start … stop, and the length float64 (n_latents,) of each feature there."""
    group = Group(Path(latents), schema.LATENT_ARRAYS)
    acts, indices = group.read("top_acts", start, stop), group.read("top_indices", start, stop)
    entries = active_entries(acts, indices, n_latents)
    squares = np.bincount(entries.indices, entries.data.astype(np.float64) ** 2, n_latents)
    return cooccurrence(entries), np.sqrt(squares)


def by_chunks(chunks: Chunks, latents: Path, n_documents: int, n_latents: int) -> Cooccurrence:
    """Co-occurrence of all documents of a group of latents; in one piece where nothing is gained by several."""
    size = DOCUMENTS_A_CHUNK if chunks.spread else max(1, n_documents)
    calls = [
        (str(latents), n_latents, start, min(start + size, n_documents))
        for start in range(0, n_documents, size)
    ]
    if len(calls) == 1:
        return next(iter(chunks.map(part_of, calls)))[0]
    shape = (n_latents, n_latents)
    counts, products = sp.csr_matrix(shape, dtype=np.int64), sp.csr_matrix(shape, dtype=np.float64)
    squares = np.zeros(n_latents)
    for part, lengths in chunks.map(part_of, calls):
        rows = _rows(part)
        unscaled = part.similarities * lengths[rows] * lengths[part.features]
        counts = counts + sp.csr_matrix((part.counts.astype(np.int64), part.features, part.offsets), shape)
        products = products + sp.csr_matrix((unscaled, part.features, part.offsets), shape)
        squares += lengths**2
    counts.sort_indices()
    products.sort_indices()
    found = Cooccurrence(
        counts.indptr.astype(np.int64),
        counts.indices.astype(np.int32),
        counts.data.astype(np.int32),
        products.data,
    )
    scale = 1 / np.maximum(np.sqrt(squares), 1e-30)
    similarities = products.data * scale[_rows(found)] * scale[found.features]
    return Cooccurrence(found.offsets, found.features, found.counts, similarities.astype(np.float32))


def _rows(matrix: Cooccurrence) -> np.ndarray:
    """The row of each entry."""
    return np.repeat(np.arange(len(matrix.offsets) - 1), np.diff(matrix.offsets))
