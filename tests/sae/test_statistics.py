"""Feature statistics against the obvious dense computation."""

import numpy as np
import pytest

from sae.encode import Weights
from sae.statistics import feature_statistics, geometry, invert, nearest, strongest_partners
from sae.structure.cooccurrence import active_entries, cooccurrence

N_DOCUMENTS, N_LATENTS, K, D_IN = 300, 40, 5, 12


@pytest.fixture(scope="module")
def latents() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    # The last two latents are never chosen: dead.
    indices = np.stack([rng.choice(N_LATENTS - 2, K, replace=False) for _ in range(N_DOCUMENTS)]).astype(
        np.int32
    )
    acts = np.maximum(rng.normal(1, 1, (N_DOCUMENTS, K)), 0).astype(np.float16)
    dense = np.zeros((N_DOCUMENTS, N_LATENTS), np.float32)
    np.put_along_axis(dense, indices, acts.astype(np.float32), axis=1)
    return acts, indices, dense


def test_entries_by_feature_hold_exactly_the_active_ones(latents: tuple[np.ndarray, ...]) -> None:
    acts, indices, dense = latents
    entries = invert(acts, indices, N_LATENTS)
    for feature_id in range(N_LATENTS):
        documents, values = entries.of(feature_id)
        assert sorted(documents) == np.flatnonzero(dense[:, feature_id]).tolist()
        np.testing.assert_array_equal(values.astype(np.float32), dense[documents, feature_id])
        assert (np.diff(values.astype(np.float32)) <= 0).all()


def test_statistics_equal_the_dense_ones(latents: tuple[np.ndarray, ...]) -> None:
    acts, indices, dense = latents
    found = feature_statistics(invert(acts, indices, N_LATENTS), N_DOCUMENTS)
    for feature_id in range(N_LATENTS):
        column = dense[:, feature_id]
        active = column[column > 0]
        assert found["n_active"][feature_id].as_py() == len(active)
        assert found["density"][feature_id].as_py() == pytest.approx(len(active) / N_DOCUMENTS)
        assert found["dead"][feature_id].as_py() == (len(active) == 0)
        if len(active) == 0:
            assert found["mean_activation"][feature_id].as_py() is None
            assert found["log_density"][feature_id].as_py() is None
            continue
        assert found["mean_activation"][feature_id].as_py() == pytest.approx(active.mean(), rel=1e-5)
        assert found["max_activation"][feature_id].as_py() == pytest.approx(active.max())
        assert sum(found["histogram_counts"][feature_id].as_py()) == len(active)


def test_neighbours_equal_a_full_sort() -> None:
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(N_LATENTS, D_IN)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    encoder = rng.normal(size=(N_LATENTS, D_IN)).astype(np.float32)
    zeros = np.zeros(D_IN, np.float32)
    weights = Weights(encoder, directions, zeros, np.zeros(N_LATENTS, np.float32), zeros, 1.0, K)
    found = geometry(weights)
    cosines = directions @ directions.T
    for i in range(N_LATENTS):
        others = [j for j in range(N_LATENTS) if j != i]
        by_cosine = sorted(others, key=lambda j: -cosines[i, j])
        assert found["most_similar"][i].as_py() == by_cosine[:5]
        assert found["least_similar"][i].as_py() == by_cosine[::-1][:5]
        assert found["max_cosine"][i].as_py() == pytest.approx(cosines[i, by_cosine[0]], abs=1e-6)
        own = encoder[i] @ directions[i] / np.linalg.norm(encoder[i])
        assert found["encoder_decoder_cosine"][i].as_py() == pytest.approx(own, abs=1e-6)
    indices, values = nearest(directions[:5], directions)
    assert indices.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(values, 1, atol=1e-6)


def test_partners_are_the_most_frequent(latents: tuple[np.ndarray, ...]) -> None:
    acts, indices, dense = latents
    found = strongest_partners(cooccurrence(active_entries(acts, indices, N_LATENTS)))
    counts = (dense > 0).T.astype(int) @ (dense > 0)
    np.fill_diagonal(counts, 0)
    for i in range(N_LATENTS):
        best = sorted((j for j in range(N_LATENTS) if counts[i, j]), key=lambda j: (-counts[i, j], j))[:5]
        assert found["cooccurring"][i].as_py() == best
        assert found["cooccurring_counts"][i].as_py() == counts[i, best].tolist()
