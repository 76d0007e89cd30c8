"""Entries between some features, from co-occurrence in parts: those of the whole matrix."""

import numpy as np
import pytest
import scipy.sparse as sp

from sae.structure.cooccurrence import Cooccurrence, cooccurrence, cooccurrence_rows
from sae.structure.cooccurrence_parts import among
from sae.structure.family_metrics import as_matrix

N_LATENTS = 90


@pytest.fixture(scope="module")
def whole() -> Cooccurrence:
    return cooccurrence(_latents())


def _latents() -> sp.csr_matrix:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((400, N_LATENTS)) < 0.1, rng.random((400, N_LATENTS)), 0)
    dense[:, [0, 41]] = 0  # features that are never active have empty rows
    return sp.csr_matrix(dense.astype(np.float32))


@pytest.mark.parametrize("wanted", [np.arange(N_LATENTS), np.arange(3, N_LATENTS, 4), np.zeros(0, np.int64)])
def test_among_some_features_equals_the_dense_part(whole: Cooccurrence, wanted: np.ndarray) -> None:
    found = among(cooccurrence_rows(_latents()), wanted, N_LATENTS)
    for name in ("counts", "similarities"):
        expected = np.zeros((N_LATENTS, N_LATENTS))
        dense = as_matrix(whole, getattr(whole, name)).toarray()
        expected[np.ix_(wanted, wanted)] = dense[np.ix_(wanted, wanted)]
        np.testing.assert_array_equal(as_matrix(found, getattr(found, name)).toarray(), expected)
