"""What families are worth: the metrics of O'Neill et al. 2024, table 1, each against the same on shuffled
latents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sae.compiled.jit import compiled
from sae.structure.cooccurrence import Cooccurrence
from sae.structure.families import Family

CLEAN = 0.8  # Pearson of a family's label from which the papers call the family clean


def as_matrix(together: Cooccurrence, values: np.ndarray) -> sp.csr_matrix:
    """C (``together.counts``) or D (``together.similarities``) as a sparse matrix (n_latents, n_latents)."""
    n_latents = len(together.offsets) - 1
    return sp.csr_matrix((values, together.features, together.offsets), shape=(n_latents, n_latents))


def parent_child_ratio(matrix: sp.csr_matrix, family: Family) -> float:
    """R = mean over children of C[child, parent] / mean over pairs of distinct children of C.

    High when children fire with their parent and not with each other; infinite when no two children ever
    meet, NaN when the parent meets none of them either.
    """
    children = family.children
    n_children = len(children)
    if n_children < 2:
        return float("nan")
    with_parent = float(matrix[family.parent][:, children].sum()) / n_children
    inside = matrix[children][:, children]
    between = float(inside.sum() - inside.diagonal().sum()) / (n_children * (n_children - 1))
    if between == 0:
        return float("inf") if with_parent > 0 else float("nan")
    return with_parent / between


def family_ratios(families: Sequence[Family], matrix: sp.csr_matrix) -> np.ndarray:
    """R of each family, float64 (n_families,)."""
    return np.array([parent_child_ratio(matrix, family) for family in families], np.float64)


def disjoint(families: Sequence[Family], scores: np.ndarray) -> list[Family]:
    """Families that share no feature, taken greedily from the best scored (NaN last; ties by size, then
    parent)."""
    order = sorted(
        range(len(families)),
        key=lambda i: (-np.nan_to_num(scores[i], nan=-np.inf), -len(families[i]), families[i].parent),
    )
    taken: set[int] = set()
    chosen = []
    for i in order:
        members = set(families[i].features.tolist())
        if not members & taken:
            taken |= members
            chosen.append(families[i])
    return chosen


def block_ratio(matrix: sp.csr_matrix, blocks: Sequence[np.ndarray]) -> float:
    """Mean of a symmetric matrix inside disjoint blocks over its mean outside them, among the blocks'
    features.

    The diagonal is left out. NaN with fewer than two blocks, infinite when nothing lies outside.
    """
    if len(blocks) < 2:
        return float("nan")
    features = np.concatenate(blocks)
    cells = np.full(matrix.shape[0], -1, np.int64)
    cells[features] = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    inside_and_out = np.zeros(2)
    _sum_blocks(matrix.indptr, matrix.indices, matrix.data, cells, inside_and_out)
    sizes = np.array([len(block) for block in blocks], np.float64)
    pairs_inside = float((sizes * (sizes - 1)).sum())
    pairs_outside = len(features) * (len(features) - 1.0) - pairs_inside
    inside, outside = (float(v) for v in inside_and_out / (pairs_inside, pairs_outside))
    if outside == 0:
        return float("inf") if inside > 0 else float("nan")
    return inside / outside


@compiled
def _sum_blocks(
    offsets: np.ndarray, columns: np.ndarray, values: np.ndarray, block_of: np.ndarray, sums: np.ndarray
) -> None:
    """Add a sparse matrix's entries off the diagonal to ``sums``: (inside blocks, between two of them). A block of −1
    is none."""
    for row in range(len(offsets) - 1):
        if block_of[row] < 0:
            continue
        for entry in range(offsets[row], offsets[row + 1]):
            other = block_of[columns[entry]]
            if other >= 0 and columns[entry] != row:
                sums[0 if other == block_of[row] else 1] += values[entry]


@dataclass(frozen=True)
class FamilyMetrics:
    """Table 1 of O'Neill et al. 2024 for one SAE; NaN where there is nothing to take a median of."""

    n_families: int
    median_size: float
    """Features in a family, its parent included."""
    median_f1: float
    median_pearson: float
    median_ratio: float
    """Of R, parent–child co-occurrence over child–child co-occurrence."""
    median_ratio_similarity: float
    """The same with activation similarities D in place of counts C."""
    c_ratio: float
    """Co-occurrence inside the blocks over outside, families ordered along the diagonal."""
    d_ratio: float
    """The same of activation similarity."""
    included: float
    """f_inc: share of the features that are in a family with Pearson of at least 0.8."""
    included_of_kept: float
    """The same share of the features that the filter let through."""
    in_any_family: float
    """Share of the features that are in any family, whatever its score."""
    spearman: float
    """Rank correlation, over families, of R with the Pearson of the family's label."""


def family_metrics(
    families: Sequence[Family],
    together: Cooccurrence,
    pearson: np.ndarray,
    f1: np.ndarray,
    n_alive: int,
    n_kept: int,
) -> FamilyMetrics:
    """Table 1; ``pearson`` and ``f1`` (n_families,) of the families' labels, NaN where unscored.

    ``n_alive`` features are active somewhere and ``n_kept`` of them passed the filter: what the shares are
    of.
    """
    counts, similarities = (as_matrix(together, v) for v in (together.counts, together.similarities))
    ratios, similar = family_ratios(families, counts), family_ratios(families, similarities)
    blocks = [family.features for family in disjoint(families, pearson)]
    clean = clean_families(families, pearson)
    n_clean = n_features(clean)
    return FamilyMetrics(
        n_families=len(families),
        median_size=median(np.array([len(family) for family in families], np.float64)),
        median_f1=median(f1),
        median_pearson=median(pearson),
        median_ratio=median(ratios),
        median_ratio_similarity=median(similar),
        c_ratio=block_ratio(counts, blocks),
        d_ratio=block_ratio(similarities, blocks),
        included=n_clean / max(1, n_alive),
        included_of_kept=n_clean / max(1, n_kept),
        in_any_family=n_features(families) / max(1, n_alive),
        spearman=rank_correlation(ratios, pearson),
    )


def clean_families(families: Sequence[Family], pearson: np.ndarray) -> list[Family]:
    """The families whose label has a Pearson of at least 0.8, ``pearson`` (n_families,)."""
    return [family for family, score in zip(families, pearson, strict=True) if score >= CLEAN]


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation over the pairs in which neither is NaN; infinite values rank highest, ties share
    a rank. NaN with fewer than three pairs or when one side is constant."""
    both = ~(np.isnan(one) | np.isnan(other))
    if both.sum() < 3:
        return float("nan")
    first, second = _ranks(one[both]), _ranks(other[both])
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def median(values: np.ndarray) -> float:
    """Median of what is not NaN, infinite values included; NaN of nothing."""
    found = np.sort(values[~np.isnan(values)])
    # Of infinite values too: between two of them np.median would give NaN.
    middle = found[(len(found) - 1) // 2 : len(found) // 2 + 1]
    return float(middle.mean()) if len(middle) else float("nan")


def n_features(families: Sequence[Family]) -> int:
    """How many features are in any of the families."""
    return len(np.unique(np.concatenate([f.features for f in families]))) if families else 0
