"""Table 1 against plain loops over dense matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from sae.structure.cooccurrence import active_entries, cooccurrence
from sae.structure.families import Family
from sae.structure.family_metrics import (
    as_matrix,
    block_ratio,
    disjoint,
    family_metrics,
    parent_child_ratio,
    rank_correlation,
)


def make(features: list[int], parents: list[int] | None = None) -> Family:
    above = parents or [-1] + [features[0]] * (len(features) - 1)
    depth = {-1: -1}
    for feature, parent in zip(features, above, strict=True):
        depth[feature] = depth[parent] + 1
    return Family(
        np.array(features, np.int32),
        np.array(above, np.int32),
        np.array([depth[f] for f in features], np.int16),
        1,
    )


@pytest.fixture(scope="module")
def dense() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.where(rng.random((400, 20)) < 0.25, rng.uniform(0.1, 1, (400, 20)), 0)


def test_ratios_equal_plain_loops(dense: np.ndarray) -> None:
    indices = np.tile(np.arange(20, dtype=np.int32), (len(dense), 1))
    together = cooccurrence(active_entries(dense, indices, 20))
    unit = dense / np.linalg.norm(dense, axis=0)
    matrices = {"C": (dense > 0).astype(float).T @ (dense > 0), "D": unit.T @ unit}
    sparse = {"C": as_matrix(together, together.counts), "D": as_matrix(together, together.similarities)}
    families = [make([3, 1, 4, 5, 9]), make([2, 6, 7, 8, 0]), make([3, 10, 11, 12, 13])]
    for name, M in matrices.items():
        for family in families:
            p, c = family.parent, family.children
            pairs = [M[i, j] for i in c for j in c if i != j]
            expected = np.mean([M[i, p] for i in c]) / np.mean(pairs)
            assert parent_child_ratio(sparse[name], family) == pytest.approx(expected, rel=1e-5)
        blocks = [family.features for family in families[:2]]
        inside, outside = [], []
        for a, one in enumerate(blocks):
            for b, other in enumerate(blocks):
                (inside if a == b else outside).extend(M[i, j] for i in one for j in other if i != j)
        assert block_ratio(sparse[name], blocks) == pytest.approx(
            np.mean(inside) / np.mean(outside), rel=1e-5
        )

    pearson = np.array([0.9, 0.7, np.nan])
    found = family_metrics(families, together, pearson, np.array([0.8, 0.6, 0.5]), n_alive=20, n_kept=14)
    assert found.n_families == 3
    assert found.median_size == 5
    assert found.median_pearson == pytest.approx(0.8)
    assert found.median_f1 == pytest.approx(0.6)
    assert found.included == pytest.approx(5 / 20)
    assert found.included_of_kept == pytest.approx(5 / 14)
    assert found.in_any_family == pytest.approx(14 / 20)


def test_children_that_never_meet_make_an_infinite_ratio() -> None:
    top = np.array([[0, 1], [0, 2], [0, 3], [0, 4]], np.int32)
    together = cooccurrence(active_entries(np.ones((4, 2), np.float32), top, 7))
    counts = as_matrix(together, together.counts)
    assert parent_child_ratio(counts, make([0, 1, 2, 3, 4])) == np.inf
    assert np.isnan(parent_child_ratio(counts, make([5, 6, 1])))
    assert np.isnan(block_ratio(counts, [np.array([0, 1])]))


def test_disjoint_families_best_first() -> None:
    one, two, three = make([0, 1, 2]), make([2, 3, 4, 5]), make([6, 7, 8])
    assert disjoint([one, two, three], np.array([0.5, 0.9, np.nan])) == [two, three]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30))
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(side, float) for side in zip(*pairs, strict=True))
    found = rank_correlation(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic)
        assert rank_correlation(np.append(one, np.nan), np.append(other, 1.0)) == pytest.approx(found)
