"""C and D against dense products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.structure.cooccurrence import ROWS_OF_BLOCK, Cooccurrence, _Entries, active_entries, cooccurrence


def random_latents(
    rng: np.random.Generator, n_documents: int, n_latents: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    indices = rng.permuted(np.tile(np.arange(n_latents, dtype=np.int32), (n_documents, 1)), axis=1)[:, :k]
    return np.maximum(rng.normal(0.5, 1, indices.shape), 0).astype(np.float16), indices


def assert_equals_the_dense_products(
    found: Cooccurrence, acts: np.ndarray, indices: np.ndarray, n_latents: int
) -> None:
    dense = np.zeros((len(acts), n_latents))
    np.put_along_axis(dense, indices, acts.astype(np.float64), axis=1)
    counts = np.rint((dense > 0).T.astype(np.float64) @ (dense > 0)).astype(int)
    np.fill_diagonal(counts, 0)
    lengths = np.maximum(np.linalg.norm(dense, axis=0), 1e-30)
    similarities = (dense / lengths).T @ (dense / lengths)
    rows, features = np.nonzero(counts)
    np.testing.assert_array_equal(np.repeat(np.arange(n_latents), np.diff(found.offsets)), rows)
    np.testing.assert_array_equal(found.features, features)
    np.testing.assert_array_equal(found.counts, counts[rows, features])
    np.testing.assert_allclose(found.similarities, similarities[rows, features], rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(2, 30), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_equals_the_dense_products(n_documents: int, n_latents: int, k: int, seed: int) -> None:
    acts, indices = random_latents(np.random.default_rng(seed), n_documents, n_latents, min(k, n_latents))
    found = cooccurrence(active_entries(acts, indices, n_latents))
    assert_equals_the_dense_products(found, acts, indices, n_latents)


@pytest.mark.parametrize("density", [0.05, 1.0])
def test_several_blocks_are_the_same_on_any_number_of_threads(
    density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sae.structure.cooccurrence.DOCUMENTS_OF_PIECE", 7)
    n_latents = 2 * ROWS_OF_BLOCK + 45
    acts, indices = random_latents(np.random.default_rng(0), 300, n_latents, 90)
    acts[:100] = np.abs(acts[:100]) + np.float16(0.1)  # documents in which all k are active, and others
    acts *= np.random.default_rng(1).random(acts.shape) < density
    found = cooccurrence(active_entries(acts, indices, n_latents), 1)
    assert_equals_the_dense_products(found, acts, indices, n_latents)
    for name, array in vars(cooccurrence(active_entries(acts, indices, n_latents), 3)).items():
        np.testing.assert_array_equal(array, getattr(found, name))


def test_rows_without_a_zero_fill_their_cells() -> None:
    n_latents = ROWS_OF_BLOCK + 3
    acts = np.random.default_rng(0).random((3, n_latents)).astype(np.float16) + np.float16(0.1)
    indices = np.tile(np.arange(n_latents, dtype=np.int32)[::-1], (3, 1))
    found = cooccurrence(active_entries(acts, indices, n_latents))
    assert (found.counts == 3).all()
    assert len(found.counts) == n_latents * (n_latents - 1)
    assert_equals_the_dense_products(found, acts, indices, n_latents)


def test_more_entries_than_int32_can_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sae.structure.cooccurrence.MOST_IN_INT32", 100)
    acts, indices = random_latents(np.random.default_rng(3), 200, 40, 6)
    latents = active_entries(acts, indices, 40)
    assert _Entries(latents, 1).places.dtype == np.int64
    assert_equals_the_dense_products(cooccurrence(latents), acts, indices, 40)
