"""Feature families: a general parent and the more specific features that fire where it fires.

O'Neill et al. 2024, section 4.2 and appendix D: co-occurrence is normalised by how often the features fire,
weak links are dropped, a maximum spanning forest is kept and directed from denser to sparser features, and
every feature with several children heads a family of all its descendants.

Everything is sparse and goes over C row by row, so 2,000 and 100,000 features take the same road.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.special import pdtrc

from sae.compiled.jit import compiled
from sae.errors import UserError
from sae.structure.cooccurrence import Cooccurrence


@dataclass(frozen=True)
class FamilyConfig:
    """How families are found (defaults: O'Neill et al. 2024)."""

    threshold: float = 0.1
    """τ: links weaker than this share of the sparser feature's firings are dropped."""
    chance_links: float | None = 1.0
    """Links are dropped so that in all, about this many would pass if features fired independently of each
    other; None keeps what τ keeps, as the papers do. A feature of density 0.15 passes τ = 0.1 with
    everything."""
    iterations: int = 3
    """How often families are looked for; after each time the parents found are taken out."""
    min_children: int = 3
    """A feature with at least this many direct children heads a family."""
    min_size: int = 5
    """Features in a family, its parent included; the papers: a parent and more than three others."""
    max_overlap: float = 0.6
    """Of two families whose intersection is more than this share of their union, the larger stays."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UserError(f"FamilyConfig.threshold is {self.threshold}; it is a share, from 0 to 1.")
        if not 0 < self.max_overlap <= 1:
            raise UserError(
                f"FamilyConfig.max_overlap is {self.max_overlap}; it is a share, above 0 up to 1."
            )
        for name, least in (("iterations", 1), ("min_children", 1), ("min_size", 2)):
            if getattr(self, name) < least:
                raise UserError(f"FamilyConfig.{name} is {getattr(self, name)}; it must be at least {least}.")
        if self.chance_links is not None and not self.chance_links > 0:
            raise UserError(f"FamilyConfig.chance_links is {self.chance_links}; it must be above 0, or None.")


@dataclass(frozen=True)
class Family:
    """A parent and all its descendants, as a tree in depth-first order.

    features int32 (m,), the parent first; parents int32 (m,), the feature above each in the tree, −1 for the
    first; depths int16 (m,), 0 for the first; iteration counts from 1.
    """

    features: np.ndarray
    parents: np.ndarray
    depths: np.ndarray
    iteration: int

    @property
    def parent(self) -> int:
        return int(self.features[0])

    @property
    def children(self) -> np.ndarray:
        """All features but the parent: the papers' children, whatever their depth in the tree."""
        return self.features[1:]

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Families:
    """Families after merging, largest first, and how many each iteration found before and after merging."""

    families: tuple[Family, ...]
    found: tuple[int, ...]
    kept: tuple[int, ...]


def normalised(
    parts: Iterable[Cooccurrence],
    n_active: np.ndarray,
    kept: np.ndarray,
    config: FamilyConfig,
    n_documents: int,
) -> sp.csr_matrix:
    """Links between kept features: upper triangle of C[i, j] / min(f_i, f_j) where it reaches the threshold.

    ``parts`` hold every row of C once, in order; ``n_active`` (n_latents,) holds f, documents in which each
    feature is active; ``kept`` (m,) feature ids in rising order. Returns float64 (m, m), indexed by position in
    ``kept``; f and C are counted on the same latents, so shares lie in (0, 1].

    Chance: with independent firing C[i, j] is close to a Poisson number with mean f_i f_j / n_documents. A
    link stays when so large a count has a probability of at most chance_links over the number of pairs.
    """
    n_pairs = max(1, len(kept) * (len(kept) - 1) // 2)
    largest = 1.0 if config.chance_links is None else config.chance_links / n_pairs
    position = np.full(len(n_active), -1, np.int64)
    position[kept] = np.arange(len(kept))
    f = n_active.astype(np.float64)
    nothing = np.zeros(0, np.int32)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [(nothing, nothing, np.zeros(0))]
    first = 0
    for part in parts:
        n_rows = len(part.offsets) - 1
        ids = kept[np.searchsorted(kept, first) : np.searchsorted(kept, first + n_rows)]
        entries = (
            part.offsets,
            part.features,
            part.counts,
            ids - first,
            first,
            position,
            f,
            config.threshold,
        )
        starts = np.zeros(len(ids) + 1, np.int64)
        _links_from_threshold(*entries, starts, nothing, np.zeros(0))
        starts = np.cumsum(starts)
        columns, counts = np.empty(starts[-1], np.int32), np.empty(starts[-1])
        if len(columns):
            _links_from_threshold(*entries, starts, columns, counts)
        rows = np.repeat(position[ids].astype(np.int32), np.diff(starts))
        found.append((rows, columns, counts))
        first += n_rows
    rows, columns, counts = (np.concatenate(pieces) for pieces in zip(*found, strict=True))
    own, other = f[kept[rows]], f[kept[columns]]
    likely = pdtrc(counts - 1, own * other / n_documents) <= largest
    shares = counts / np.maximum(np.minimum(own, other), 1)
    links = (shares[likely], (rows[likely], columns[likely]))
    return sp.csr_matrix(links, shape=(len(kept), len(kept)))


@compiled
def _links_from_threshold(
    offsets: np.ndarray,
    features: np.ndarray,
    counts: np.ndarray,
    rows: np.ndarray,
    first: int,
    position: np.ndarray,
    f: np.ndarray,
    threshold: float,
    starts: np.ndarray,
    columns: np.ndarray,
    found: np.ndarray,
) -> None:
    """Entries above the diagonal that reach the threshold, in some rows of a part whose row 0 is feature ``first``:
    how many in each, into starts[1:], while ``columns`` is empty; else the positions and counts of them, from each
    row's start on."""
    filling = len(columns) > 0
    for at in range(len(rows)):
        i = first + rows[at]
        place = starts[at]
        n_found = 0
        for entry in range(offsets[rows[at]], offsets[rows[at] + 1]):
            j = features[entry]
            least = max(min(f[i], f[j]), 1.0)
            if position[j] > position[i] and counts[entry] / least >= threshold:
                if filling:
                    columns[place + n_found] = position[j]
                    found[place + n_found] = counts[entry]
                n_found += 1
        if not filling:
            starts[at + 1] = n_found


def spanning_forest(links: sp.csr_matrix) -> np.ndarray:
    """Edges (m, 2) of the maximum spanning forest of an upper-triangular matrix of links, (lower, higher)
    position.

    Of equal links the one with the lower first, then lower second position wins, so the forest is unique.
    """
    edges = links.tocoo()
    order = np.lexsort((edges.col, edges.row, -edges.data))
    # Distinct negative weights: scipy finds minimum trees, drops zero weights and breaks ties as it likes.
    weights = np.empty(len(order))
    weights[order] = np.arange(len(order), dtype=np.float64) - len(order)
    ranked = sp.csr_matrix((weights, (edges.row, edges.col)), shape=links.shape)
    forest = minimum_spanning_tree(ranked).tocoo()
    found = np.stack([forest.row, forest.col], axis=1).astype(np.int64)
    found.sort(axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def find_families(
    together: Cooccurrence | Iterable[Cooccurrence],
    n_active: np.ndarray,
    n_documents: int,
    kept: np.ndarray | None = None,
    config: FamilyConfig | None = None,
) -> Families:
    """Families among the features ``kept`` (None: all that are active somewhere).

    ``together``: C, whole or in parts of consecutive rows; ``n_active`` int (n_latents,), documents in which each
    feature is active, of ``n_documents``.
    """
    config = config or FamilyConfig()
    kept = np.flatnonzero(n_active > 0) if kept is None else np.unique(kept)
    parts = [together] if isinstance(together, Cooccurrence) else together
    links = normalised(parts, n_active, kept, config, n_documents)
    remaining = np.arange(len(kept))
    everything: list[Family] = []
    found: list[int] = []
    for iteration in range(1, config.iterations + 1):
        part = links[remaining][:, remaining]
        ids = kept[remaining]
        new = _families_of_forest(spanning_forest(part), ids, n_active[ids], iteration, config)
        found.append(len(new))
        everything += new
        heads = np.array([family.parent for family in new], np.int64)
        remaining = remaining[~np.isin(ids, heads)]
    families = merge(everything, config.max_overlap)
    kept_of = [sum(family.iteration == i for family in families) for i in range(1, config.iterations + 1)]
    return Families(families, tuple(found), tuple(kept_of))


def _families_of_forest(
    edges: np.ndarray, ids: np.ndarray, density: np.ndarray, iteration: int, config: FamilyConfig
) -> list[Family]:
    """Direct a forest from denser to sparser, and walk it depth-first from each of its roots.

    Of two features that are equally dense the one with the lower id comes first. A feature may lie below
    several roots; it then belongs to a family of each.
    """
    rank = np.empty(len(ids), np.int64)
    rank[np.lexsort((ids, -density))] = np.arange(len(ids))
    first_denser = rank[edges[:, 0]] < rank[edges[:, 1]]
    above = np.where(first_denser, edges[:, 0], edges[:, 1])
    below = np.where(first_denser, edges[:, 1], edges[:, 0])
    order = np.lexsort((rank[below], above))
    above, below = above[order], below[order]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(above, minlength=len(ids)))])
    heads = np.flatnonzero(np.diff(offsets) >= config.min_children)
    families = []
    for head in heads[np.argsort(rank[heads])]:
        nodes, parents, depths = _walk(int(head), offsets, below)
        if len(nodes) >= config.min_size:
            above_ids = np.where(parents >= 0, ids[parents], -1)
            families.append(
                Family(
                    ids[nodes].astype(np.int32),
                    above_ids.astype(np.int32),
                    depths.astype(np.int16),
                    iteration,
                )
            )
    return families


def _walk(head: int, offsets: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Descendants of ``head`` in depth-first order: (nodes, node above each or −1, depth). In a forest there
    is one way down to each, so none is met twice."""
    nodes, parents, depths = [], [], []
    waiting = [(head, -1, 0)]
    while waiting:
        node, parent, depth = waiting.pop()
        nodes.append(node)
        parents.append(parent)
        depths.append(depth)
        children = below[offsets[node] : offsets[node + 1]]
        waiting.extend((int(child), node, depth + 1) for child in children[::-1])
    return np.array(nodes), np.array(parents), np.array(depths)


def merge(families: list[Family], max_overlap: float) -> tuple[Family, ...]:
    """Drop each family that shares more than ``max_overlap`` of the union with a larger one that stays.

    Largest first; of equal sizes the earlier iteration, then the lower parent.
    """
    ordered = sorted(families, key=lambda family: (-len(family), family.iteration, family.parent))
    if not ordered:
        return ()
    sizes = np.array([len(family) for family in ordered])
    members = np.concatenate([family.features for family in ordered])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    belongs = sp.csr_matrix(
        (np.ones(len(members)), members, offsets), shape=(len(ordered), members.max() + 1)
    )
    shared = (belongs @ belongs.T).tocsr()
    stays = np.ones(len(ordered), bool)
    for at in range(len(ordered)):
        others = shared.indices[shared.indptr[at] : shared.indptr[at + 1]]
        intersection = shared.data[shared.indptr[at] : shared.indptr[at + 1]]
        overlap = intersection / (sizes[at] + sizes[others] - intersection)
        stays[at] = not (stays[others] & (others < at) & (overlap > max_overlap)).any()
    return tuple(family for family, kept in zip(ordered, stays, strict=True) if kept)
