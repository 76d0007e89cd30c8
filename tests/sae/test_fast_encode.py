"""The fast encoder against the one that serves."""

from dataclasses import replace

import numpy as np
import pytest

from sae.compiled.fast_encode import FastEncoder
from sae.encode import Weights, encode


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


@pytest.mark.parametrize("screen", [False, True])
def test_a_threshold_leaves_out_what_is_below(screen: bool) -> None:
    rng = np.random.default_rng(0)
    sae = replace(weights(rng, 48, 700, 8), threshold=7.0)
    x = rng.standard_normal((600, 48)).astype(np.float32)
    acts, indices = FastEncoder(sae, screen)(x)
    expected_acts, expected = encode(x, sae)
    assert 0.2 < (expected_acts > 0).mean() < 0.8
    np.testing.assert_array_equal(np.where(acts > 0, indices, -1), np.where(expected_acts > 0, expected, -1))
    np.testing.assert_allclose(acts, expected_acts, atol=1e-5)


def test_refuses_another_width() -> None:
    sae = weights(np.random.default_rng(0), 8, 20, 2)
    with pytest.raises(ValueError, match="expected"):
        FastEncoder(sae)(np.zeros((3, 7), np.float32))
