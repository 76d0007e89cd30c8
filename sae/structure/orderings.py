"""Is there order beyond single families? Reorderings of features, each with a number that says what it found.

O'Neill et al. 2024, section 4.2 and appendix E (after Gao et al. 2024): co-occurrence is reordered by family;
the decoder is reordered by reverse Cuthill–McKee and along one dimension of its singular vectors. An ordering
always finds something to put side by side, so every number is given against the same procedure on a decoder
of which each dimension was shuffled over the features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, laplacian, reverse_cuthill_mckee
from scipy.sparse.linalg import ArpackError, eigsh

from sae.compiled.jit import compiled
from sae.structure.families import Family

_ROWS_AT_ONCE = 256
_NEIGHBOURS = 10
FOUND_FROM = 2.0
"""A contrast this many times that of the shuffled decoder is called structure."""


def family_order(families: Sequence[Family], n_active: np.ndarray) -> np.ndarray:
    """Features of disjoint families along the diagonal: in each the children by rising density, the parent
    last."""
    blocks = []
    for family in families:
        children = family.children
        blocks.append(children[np.lexsort((children, n_active[children]))])
        blocks.append(family.features[:1])
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int32)


def neighbour_graph(directions: np.ndarray, n_neighbours: int = _NEIGHBOURS) -> sp.csr_matrix:
    """Symmetric sparse graph (n, n) of each unit row's nearest rows by cosine, negative cosines as 0."""
    n = len(directions)
    count = min(n_neighbours, n - 1)
    if count < 1:
        return sp.csr_matrix((n, n))
    rows, columns, values = [], [], []
    for start in range(0, n, _ROWS_AT_ONCE):
        at = np.arange(start, min(start + _ROWS_AT_ONCE, n))
        cosines = directions[at] @ directions.T
        cosines[at - start, at] = -np.inf
        some = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        rows.append(np.repeat(at, count))
        columns.append(some.ravel())
        values.append(np.maximum(np.take_along_axis(cosines, some, axis=1).ravel(), 0))
    graph = sp.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)
    )
    return graph.maximum(graph.T).tocsr()


def cuthill_mckee_order(graph: sp.csr_matrix) -> np.ndarray:
    """Positions → rows by reverse Cuthill–McKee: neighbours of a sparse symmetric graph brought together."""
    return reverse_cuthill_mckee(graph, symmetric_mode=True).astype(np.int64)


def spectral_order(directions: np.ndarray) -> np.ndarray:
    """Positions → rows along one dimension of the left singular vectors.

    The rows of U are joined to their nearest by cosine and ordered by the Fiedler vector of that graph,
    component by component: the linear relative of the one-dimensional UMAP of Gao et al. 2024, deterministic.
    """
    U = np.linalg.svd(directions, full_matrices=False)[0]
    graph = neighbour_graph(U / np.maximum(np.linalg.norm(U, axis=1, keepdims=True), 1e-12))
    n_parts, part = connected_components(graph, directed=False)
    pieces = []
    for which in np.argsort(-np.bincount(part, minlength=n_parts), kind="stable"):
        rows = np.flatnonzero(part == which)
        pieces.append(rows[np.argsort(_fiedler(graph[rows][:, rows]), kind="stable")])
    return np.concatenate(pieces)


def _fiedler(graph: sp.csr_matrix) -> np.ndarray:
    n = graph.shape[0]
    if n < 5:
        return np.arange(n, dtype=np.float64)
    flipped = sp.identity(n) * 2.0 - laplacian(graph, normed=True)  # its largest are the Laplacian's smallest
    start = np.random.default_rng(0).standard_normal(n)
    try:
        values, vectors = eigsh(flipped, k=2, which="LA", v0=start, maxiter=n * 20, tol=1e-3)
    except ArpackError:
        return np.arange(n, dtype=np.float64)
    return vectors[:, np.argsort(values)[0]]


def band_contrast(directions: np.ndarray, order: np.ndarray) -> float:
    """Mean squared cosine of features that stand close in an order, over that of all pairs; 1 for any old
    order.

    Close: within a hundredth of all positions, at least two.
    """
    n = len(directions)
    window = max(2, n // 100)
    if n <= window + 1:
        return float("nan")
    rows = directions[order].astype(np.float64)
    near = sum(
        float((np.einsum("ij,ij->i", rows[:-lag], rows[lag:]) ** 2).sum()) for lag in range(1, window + 1)
    )
    n_near = sum(n - lag for lag in range(1, window + 1))
    gram = rows.T @ rows
    diagonal = float((np.einsum("ij,ij->i", rows, rows) ** 2).sum())
    everywhere = (float((gram**2).sum()) - diagonal) / (n * (n - 1))
    return near / n_near / everywhere if everywhere > 0 else float("nan")


@dataclass(frozen=True)
class Ordering:
    """One attempt to find clusters among decoder directions.

    order int64 (n,), positions → features; contrast as in :func:`band_contrast`; shuffled, the contrast that
    the same procedure reaches on shuffled dimensions.
    """

    name: str
    order: np.ndarray
    contrast: float
    shuffled: float

    @property
    def found(self) -> bool:
        return bool(self.contrast > FOUND_FROM * self.shuffled)


def decoder_orderings(directions: np.ndarray, seed: int = 0) -> list[Ordering]:
    """Try each ordering on unit decoder directions (n, d_in) and on their shuffled counterpart."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(directions, axis=0)
    shuffled /= np.maximum(np.linalg.norm(shuffled, axis=1, keepdims=True), 1e-12)
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "reverse Cuthill–McKee": lambda rows: cuthill_mckee_order(neighbour_graph(rows)),
        "singular vectors": spectral_order,
    }
    found = []
    for name, way in ways.items():
        order = way(directions)
        found.append(
            Ordering(name, order, band_contrast(directions, order), band_contrast(shuffled, way(shuffled)))
        )
    return found


def heatmap(matrix: sp.csr_matrix, order: np.ndarray, bins: int = 64) -> np.ndarray:
    """A sparse symmetric matrix in a given order, as means over at most bins × bins cells, diagonal left
    out."""
    bins = max(1, min(bins, len(order)))
    cell = np.arange(len(order)) * bins // max(1, len(order))
    cell_of = np.full(matrix.shape[0], -1, np.int64)
    cell_of[order] = cell
    sums = np.zeros((bins, bins))
    _sum_cells(matrix.indptr, matrix.indices, matrix.data, cell_of, sums)
    sizes = np.bincount(cell, minlength=bins).astype(np.float64)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    return np.divide(sums, pairs, out=np.zeros_like(sums), where=pairs > 0)


@compiled
def _sum_cells(
    offsets: np.ndarray, columns: np.ndarray, values: np.ndarray, cell_of: np.ndarray, sums: np.ndarray
) -> None:
    """Add a sparse matrix's entries off the diagonal to the cells of their row and column; −1 is none."""
    for row in range(len(offsets) - 1):
        if cell_of[row] < 0:
            continue
        for entry in range(offsets[row], offsets[row + 1]):
            other = cell_of[columns[entry]]
            if other >= 0 and columns[entry] != row:
                sums[cell_of[row], other] += values[entry]


def cosine_heatmap(directions: np.ndarray, order: np.ndarray, bins: int = 64) -> np.ndarray:
    """Mean squared cosine of unit directions (n, d_in) in a given order, over at most bins × bins cells, each
    direction with itself left out; a few rows of the n × n cosines at a time."""
    n = len(order)
    bins = max(1, min(bins, n))
    cell = np.arange(n) * bins // max(1, n)
    rows = directions[order]
    sums = np.zeros((bins, bins))
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    for which in range(bins):
        squared = (rows[cell == which] @ rows.T) ** 2
        sums[which] = np.add.reduceat(squared.sum(axis=0, dtype=np.float64), starts)
    own = np.bincount(cell, np.einsum("ij,ij->i", rows, rows).astype(np.float64) ** 2, bins)
    sizes = np.bincount(cell, minlength=bins).astype(np.float64)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    return np.divide(sums - np.diag(own), pairs, out=np.zeros_like(sums), where=pairs > 0)


@dataclass(frozen=True)
class Projection:
    """Documents of a family in the plane of its first two principal components.

    documents int64 (m,); points float32 (m, 2); activations float32 (m,), mean over the family's active
    features; explained float32 (2,), share of the variance along each component; n_documents of the family, of
    which these are a sample.
    """

    documents: np.ndarray
    points: np.ndarray
    activations: np.ndarray
    explained: np.ndarray
    n_documents: int


def family_projection(
    by_feature: sp.csc_matrix, family: Family, n_documents_shown: int = 300, seed: int = 0
) -> Projection:
    """PCA of the latents restricted to one family (O'Neill et al. 2024, figure 15).

    ``by_feature``: latents (n_documents, n_latents). The components are those of all documents in which a
    feature of the family is active; of these a random sample is returned.
    """
    part = by_feature[:, family.features].tocsr()
    documents = np.flatnonzero(np.diff(part.indptr))
    part = part[documents].astype(np.float64)
    if len(documents) < 3:
        nowhere, no_axes = np.zeros((len(documents), 2), np.float32), np.zeros(2, np.float32)
        return Projection(documents, nowhere, nowhere[:, 0], no_axes, len(documents))
    mean = np.asarray(part.mean(axis=0)).ravel()
    covariance = (part.T @ part).toarray() / len(documents) - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :2]
    # A component's sign is free: the larger entry up, so that a rebuilt plot does not turn over.
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    rng = np.random.default_rng(seed)
    shown = np.sort(rng.permutation(len(documents))[:n_documents_shown])
    sample = part[shown]
    points = sample @ axes - mean @ axes
    active = np.asarray(sample.sum(axis=1)).ravel() / np.diff(sample.indptr)
    explained = np.maximum(values[::-1][:2], 0) / max(float(values.clip(0).sum()), 1e-30)
    return Projection(
        documents[shown],
        points.astype(np.float32),
        active.astype(np.float32),
        explained.astype(np.float32),
        len(documents),
    )
