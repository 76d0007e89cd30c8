"""C and D against dense products."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.cooccurrence import active_entries, cooccurrence


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(2, 30), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_equals_the_dense_products(n_documents: int, n_latents: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = min(k, n_latents)
    indices = np.stack([rng.choice(n_latents, k, replace=False) for _ in range(n_documents)]).astype(np.int32)
    acts = np.maximum(rng.normal(0.5, 1, (n_documents, k)), 0).astype(np.float16)
    dense = np.zeros((n_documents, n_latents))
    np.put_along_axis(dense, indices, acts.astype(np.float64), axis=1)

    found = cooccurrence(active_entries(acts, indices, n_latents))

    counts = ((dense > 0).T.astype(int) @ (dense > 0)).astype(int)
    lengths = np.maximum(np.linalg.norm(dense, axis=0), 1e-30)
    similarities = (dense / lengths).T @ (dense / lengths)
    for i in range(n_latents):
        row = slice(found.offsets[i], found.offsets[i + 1])
        partners = [j for j in range(n_latents) if j != i and counts[i, j]]
        assert found.features[row].tolist() == partners
        assert found.counts[row].tolist() == counts[i, partners].tolist()
        np.testing.assert_allclose(found.similarities[row], similarities[i, partners], rtol=1e-5, atol=1e-6)
