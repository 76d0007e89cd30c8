"""Reorderings find planted blocks and nothing in noise; PCA of a family against numpy's SVD."""

import numpy as np
import pytest
import scipy.sparse as sp

from sae.structure.families import Family
from sae.structure.orderings import (
    band_contrast,
    decoder_orderings,
    family_order,
    family_projection,
    heatmap,
    neighbour_graph,
    spectral_order,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def star(*features: int) -> Family:
    ids = np.array(features, np.int32)
    parents = np.where(np.arange(len(ids)) == 0, -1, ids[0]).astype(np.int32)
    return Family(ids, parents, (np.arange(len(ids)) > 0).astype(np.int16), 1)


def test_planted_clusters_are_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((12, 48))
    clustered = unit(np.repeat(centres, 20, axis=0) + 0.8 * rng.standard_normal((240, 48)))[
        rng.permutation(240)
    ]
    assert any(ordering.found for ordering in decoder_orderings(clustered))
    for ordering in decoder_orderings(unit(rng.standard_normal((240, 48)))):
        assert not ordering.found
        assert sorted(ordering.order.tolist()) == list(range(240))


def test_band_contrast_equals_plain_loops() -> None:
    rows = unit(np.random.default_rng(1).standard_normal((40, 9)))
    order = np.random.default_rng(2).permutation(40)
    squared = (rows[order] @ rows[order].T).astype(float) ** 2
    near = [squared[i, j] for i in range(40) for j in range(40) if 0 < abs(i - j) <= 2]
    everywhere = [squared[i, j] for i in range(40) for j in range(40) if i != j]
    assert band_contrast(rows, order) == pytest.approx(np.mean(near) / np.mean(everywhere), rel=1e-4)
    assert np.isnan(band_contrast(rows[:2], np.arange(2)))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_few_features_are_ordered_too(n: int) -> None:
    rows = unit(np.random.default_rng(n).standard_normal((n, 5)))
    assert sorted(spectral_order(rows).tolist()) == list(range(n))
    assert neighbour_graph(rows).shape == (n, n)


def test_families_along_the_diagonal_parent_last() -> None:
    n_active = np.array([9, 1, 3, 2, 8, 7, 5, 6])
    assert family_order([star(0, 1, 2, 3), star(4, 5, 6)], n_active).tolist() == [1, 3, 2, 0, 6, 5, 4]
    assert len(family_order([], n_active)) == 0


def test_heatmap_is_the_mean_without_the_diagonal() -> None:
    rng = np.random.default_rng(4)
    dense = rng.random((10, 10))
    dense += dense.T
    order = rng.permutation(10)
    found = heatmap(sp.csr_matrix(dense), order, bins=5)
    moved = dense[np.ix_(order, order)]
    assert found[1, 3] == pytest.approx(moved[2:4, 6:8].mean())
    assert found[2, 2] == pytest.approx((moved[4, 5] + moved[5, 4]) / 2)
    np.testing.assert_allclose(heatmap(sp.csr_matrix(dense), order, bins=99), moved * (1 - np.eye(10)))


def test_projection_is_the_pca_of_the_family_alone() -> None:
    rng = np.random.default_rng(5)
    dense = np.where(rng.random((300, 30)) < 0.1, rng.random((300, 30)), 0).astype(np.float32)
    family = star(3, 7, 8, 20, 21)
    found = family_projection(sp.csc_matrix(dense), family, n_documents_shown=50)
    assert found.n_documents == ((dense[:, family.features] > 0).any(axis=1)).sum()
    part = dense[:, family.features]
    active = part.any(axis=1)
    centred = part[active] - part[active].mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    assert len(found.documents) == 50
    assert active[found.documents].all()
    expected = (part[found.documents] - part[active].mean(axis=0)) @ axes[:2].T
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(found.explained, lengths[:2] ** 2 / (lengths**2).sum(), rtol=1e-4)
    rows = part[found.documents]
    np.testing.assert_allclose(found.activations, rows.sum(axis=1) / (rows > 0).sum(axis=1), rtol=1e-5)


def test_a_family_of_two_documents_has_no_plane() -> None:
    dense = np.zeros((9, 4))
    dense[[1, 2], [0, 1]] = 1
    found = family_projection(sp.csc_matrix(dense), star(0, 1, 2, 3))
    assert found.documents.tolist() == [1, 2]
    assert not found.points.any()
