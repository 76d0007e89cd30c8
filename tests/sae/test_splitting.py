"""Splitting, recurrence and self-consistency against plain loops."""

import numpy as np
import pytest
import scipy.sparse as sp

from sae.errors import UserError
from sae.structure.splitting import (
    Match,
    SplittingConfig,
    children_of,
    match,
    pair_similarities,
    recurrence_counts,
    recurs_everywhere,
    self_consistency,
    split_score,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    small, large = (np.where(rng.random((200, n)) < 0.2, rng.random((200, n)), 0) for n in (7, 15))
    return unit(rng.standard_normal((7, 6))), small, unit(rng.standard_normal((15, 6))), large


def test_a_match_equals_plain_loops(pair: tuple[np.ndarray, ...]) -> None:
    directions, small, other_directions, large = pair
    large = large.copy()
    large[:, 3] = 0  # a dead feature
    found = match(other_directions, sp.csr_matrix(large), directions, sp.csr_matrix(small))
    for j in range(15):
        cosines = [float(other_directions[j] @ d) for d in directions]
        i = int(np.argmax(cosines))
        assert found.nearest[j] == i
        assert found.cosines[j] == pytest.approx(cosines[i], abs=1e-6)
        assert found.shared[j] == sum((large[:, j] > 0) & (small[:, i] > 0))
        length = np.linalg.norm(large[:, j]) * np.linalg.norm(small[:, i])
        assert found.similarities[j] == pytest.approx(
            large[:, j] @ small[:, i] / length if length else 0, abs=1e-6
        )


def test_a_feature_is_entirely_similar_to_itself(pair: tuple[np.ndarray, ...]) -> None:
    latents = sp.csr_matrix(pair[1])
    similarities, shared = pair_similarities(latents, latents, np.arange(7), np.arange(7))
    np.testing.assert_allclose(similarities, 1, rtol=1e-5)
    assert shared.tolist() == (pair[1] > 0).sum(axis=0).tolist()
    with pytest.raises(ValueError, match="documents"):
        pair_similarities(latents, latents[:5], np.arange(7), np.arange(7))


def test_children_are_all_features_once(pair: tuple[np.ndarray, ...]) -> None:
    assigned = np.array([2, 0, 2, 2, 5])
    assert [found.tolist() for found in children_of(assigned, 6)] == [[1], [], [0, 2, 3], [], [], [4]]


def test_a_planted_split_is_seen() -> None:
    """One direction of the small SAE becomes two in the large; another stays; a third is new."""
    rng = np.random.default_rng(1)
    a, b, c, turn = np.linalg.qr(rng.standard_normal((8, 4)))[0].T
    small, large = unit(np.stack([a, b])), unit(np.stack([a + 0.6 * turn, a - 0.6 * turn, b, c]))
    topic = rng.integers(0, 4, 400)
    latents_small = sp.csr_matrix(np.stack([topic <= 1, topic == 2], axis=1).astype(np.float32))
    latents_large = sp.csr_matrix(np.eye(4, dtype=np.float32)[topic])
    down = match(large, latents_large, small, latents_small)
    up = match(small, latents_small, large, latents_large)
    assert children_of(down.nearest, 2)[0].tolist()[:2] == [0, 1]
    assert recurs_everywhere([up]).tolist() == [False, True]
    assert (down.cosines < SplittingConfig().novel_cosine).tolist() == [False, False, False, True]
    scores = split_score(children_of(down.nearest, 2), down, np.full(4, 0.9), np.full(2, 0.9))
    assert scores[0] > 0
    assert scores[1] == 0


def test_recurrence_needs_both_direction_and_firing_in_every_larger_sae() -> None:
    def to(cosines: list[float], similarities: list[float]) -> Match:
        return Match(np.zeros(3, np.int32), np.array(cosines), np.array(similarities), np.zeros(3, np.int32))

    matches = [to([0.99, 0.99, 0.96], [0.9, 0.9, 0.1]), to([0.98, 0.5, 0.97], [0.9, 0.9, 0.9])]
    assert recurs_everywhere(matches).tolist() == [True, False, False]
    assert recurrence_counts(matches, np.array([0.4, 0.95, 0.97])).tolist() == [3, 2, 1]


def test_self_consistency_equals_sets() -> None:
    rng = np.random.default_rng(2)
    direct, middle, down = rng.integers(0, 6, 40), rng.integers(0, 12, 40), rng.integers(0, 6, 12)
    found = self_consistency(direct, middle, down, 7)
    for i in range(7):
        one, other = set(np.flatnonzero(direct == i)), {j for j in range(40) if down[middle[j]] == i}
        assert (found.direct[i], found.through[i], found.both[i]) == (len(one), len(other), len(one & other))
        if one | other:
            assert found.overlap[i] == pytest.approx(len(one & other) / len(one | other))
        else:
            assert np.isnan(found.overlap[i])


def test_contradicting_thresholds_are_refused() -> None:
    with pytest.raises(UserError, match="novel_cosine"):
        SplittingConfig(novel_cosine=0.96)
