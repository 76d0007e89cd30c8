"""Rows compared side by side, one a lane, give what one row after the other gives."""

import numpy as np
import pytest

from sae.compiled.lanes import lane_gather, lane_maxima, lane_thresholds
from sae.compiled.vectors import WORD

N_LATENTS, GROUPS, GROUP, LENGTH = 150, 3, 1, 4


@pytest.fixture
def screened() -> np.ndarray:
    """Bits of bfloat16 numbers (latents, groups, lanes)."""
    numbers = np.random.default_rng(0).standard_normal((N_LATENTS, GROUPS, WORD)).astype(np.float32)
    return (numbers.view(np.uint32) >> 16).astype(np.uint16)


@pytest.fixture
def latent_bias() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(N_LATENTS).astype(np.float32)


def values_of(screened: np.ndarray, latent_bias: np.ndarray) -> np.ndarray:
    """(latents, lanes) of the group under test."""
    return (screened[:, GROUP].astype(np.uint32) << 16).view(np.float32) + latent_bias[:, None]


def maxima_of(screened: np.ndarray, latent_bias: np.ndarray, length: int) -> np.ndarray:
    maxima = np.empty((-(-N_LATENTS // length), WORD), np.float32)
    lane_maxima(screened, GROUP, latent_bias, length, maxima)
    return maxima


@pytest.mark.parametrize("length", [1, 2, 4, 16])
def test_blocks_have_their_maxima(screened: np.ndarray, latent_bias: np.ndarray, length: int) -> None:
    expected = values_of(screened, latent_bias)
    for block, found in enumerate(maxima_of(screened, latent_bias, length)):
        np.testing.assert_array_equal(found, expected[block * length : (block + 1) * length].max(axis=0))


@pytest.mark.parametrize("k", [1, 9, 38])
def test_as_many_maxima_reach_a_lanes_threshold_as_are_wanted(
    screened: np.ndarray, latent_bias: np.ndarray, k: int
) -> None:
    maxima, thresholds = maxima_of(screened, latent_bias, LENGTH), np.empty(WORD, np.float32)
    lane_thresholds(maxima, k, thresholds)
    reaching = (maxima >= thresholds).sum(axis=0)
    assert (reaching >= k).all()
    assert (reaching <= k + k // 8).all()


def test_equal_maxima_all_reach_their_threshold() -> None:
    thresholds = np.empty(WORD, np.float32)
    lane_thresholds(np.full((20, WORD), 2.5, np.float32), 7, thresholds)
    assert (thresholds == 2.5).all()


@pytest.mark.parametrize("capacity", [N_LATENTS, 20])
def test_gathers_what_reaches_each_lanes_threshold(
    screened: np.ndarray, latent_bias: np.ndarray, capacity: int
) -> None:
    thresholds = np.linspace(-9, 9, WORD).astype(np.float32)
    values, indices = np.zeros((WORD, capacity), np.float32), np.zeros((WORD, capacity), np.int32)
    counts = np.empty(WORD, np.int64)
    scratch = np.empty(N_LATENTS + 1, np.int32), np.empty(N_LATENTS + 1, np.uint64)
    lane_gather(screened, GROUP, latent_bias, thresholds, *scratch, counts, values, indices)
    expected = values_of(screened, latent_bias)
    for lane in range(WORD):
        reaching = np.flatnonzero(expected[:, lane] >= thresholds[lane])
        assert counts[lane] == len(reaching)
        if len(reaching) <= capacity:
            assert indices[lane, : len(reaching)].tolist() == reaching.tolist()
            assert values[lane, : len(reaching)].tolist() == expected[reaching, lane].tolist()
    assert counts.min() == 0
    assert counts.max() == N_LATENTS
