"""The fast encoder against the one that serves."""

from dataclasses import replace

import numpy as np
import pytest

from sae.encode import Weights, encode
from sae.fast_encode import FastEncoder


def weights(rng: np.random.Generator, d_in: int, n_latents: int, k: int) -> Weights:
    W_dec = rng.standard_normal((n_latents, d_in)).astype(np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    biases = (rng.standard_normal(size).astype(np.float32) * 0.1 for size in (d_in, n_latents, d_in))
    return Weights(1.3 * W_dec, W_dec, *biases, scale=0.5, k=k)


@pytest.mark.parametrize("screen", [False, True])
@pytest.mark.parametrize("shape", [(48, 700, 8), (5, 6, 6), (130, 40, 1)])
@pytest.mark.parametrize("threads", [1, 3])
def test_encodes_as_serving_does(screen: bool, shape: tuple[int, int, int], threads: int) -> None:
    rng = np.random.default_rng(0)
    sae = weights(rng, *shape)
    for n in (0, 1, 1500):
        x = rng.standard_normal((n, shape[0])).astype(np.float32)
        acts, indices = FastEncoder(sae, screen, threads)(x)
        expected_acts, expected = encode(x, sae)
        active = expected_acts > 1e-5
        np.testing.assert_array_equal(np.where(active, indices, -1), np.where(active, expected, -1))
        np.testing.assert_allclose(acts, expected_acts, atol=1e-5)
        assert (np.diff(acts, axis=1) <= 0).all()


def test_refuses_a_threshold_that_it_would_ignore() -> None:
    sae = replace(weights(np.random.default_rng(0), 8, 20, 2), threshold=0.5)
    with pytest.raises(ValueError, match="threshold"):
        FastEncoder(sae)


def test_refuses_another_width() -> None:
    sae = weights(np.random.default_rng(0), 8, 20, 2)
    with pytest.raises(ValueError, match="expected"):
        FastEncoder(sae)(np.zeros((3, 7), np.float32))
