"""Directions of a raised feature against latents counted by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from sae.encode import Weights
from sae.errors import UserError
from sae.steer import steer
from sae.steering.directions import KINDS, Directions, Statistics, family_move

# Feature 0 is always with 1 (denser) and half the time with 2; 3 is rarer than 0 and always with it.
ACTS = np.zeros((60, 6), np.float32)
ACTS[:20, 0] = np.linspace(4, 1, 20)
ACTS[:40, 1] = 2.0
ACTS[:42:2, 2] = 3.0
ACTS[:5, 3] = 1.0
ACTS[40:, 4] = 1.0


@dataclass
class Latents:
    acts: np.ndarray

    def by_feature(self, feature_id: int, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        column = self.acts[:, feature_id]
        order = np.argsort(-column, kind="stable")[: int((column > 0).sum())][:limit]
        return order, column[order]

    def by_document(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(-self.acts[rows], axis=1)[:, :4]
        return np.take_along_axis(self.acts[rows], order, axis=1), order

    def cooccurring(self, feature_id: int) -> "Row":
        both = ((self.acts > 0) & (self.acts[:, [feature_id]] > 0)).sum(0)
        both[feature_id] = 0
        return Row(np.flatnonzero(both), both[both > 0])


@dataclass
class Row:
    features: np.ndarray
    counts: np.ndarray


@pytest.fixture(scope="module")
def weights() -> Weights:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(6, 8)).astype(np.float32)
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    return Weights(w, w, np.zeros(8, np.float32), np.zeros(6, np.float32), np.zeros(8, np.float32), 0.1, 4)


@pytest.fixture(scope="module")
def directions(weights: Weights) -> Directions:
    columns = [column[column > 0] for column in ACTS.T]
    of = lambda q: np.array([np.quantile(c, q) if len(c) else 0 for c in columns])  # noqa: E731
    mean = np.array([c.mean() if len(c) else 0 for c in columns])
    statistics = Statistics(np.array([float(len(c)) for c in columns]), mean, of(0.5), of(0.95))
    return Directions(weights, statistics, Latents(ACTS), len(ACTS))


def test_the_feature_alone(directions: Directions, weights: Weights) -> None:
    found = directions.of(0, "feature")
    assert found.parts == {0: 1.0}
    np.testing.assert_allclose(found.vector, weights.W_dec[0])


def test_the_family_brings_what_is_denser_and_nearly_always_there(directions: Directions) -> None:
    reach = np.quantile(np.linspace(4, 1, 20), 0.95)
    found = directions.of(0, "family").parts
    assert found.keys() == {0, 1, 2}  # 2 is there half the time, and denser; 3 is rarer
    assert found[1] == pytest.approx(2.0 / reach)
    assert found[2] == pytest.approx(0.5 * 3.0 / reach)


def test_the_typical_document_is_the_mean_of_the_strongest(directions: Directions, weights: Weights) -> None:
    found = directions.of(0, "typical")
    code = ACTS[:10].mean(0) - ACTS.mean(0)
    expected = code / code[0]
    for feature in range(6):
        assert found.parts.get(feature, 0.0) == pytest.approx(expected[feature], abs=1e-5)
    np.testing.assert_allclose(found.vector, expected @ weights.W_dec, atol=1e-5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_unit_raises_the_feature_by_one(directions: Directions, kind: str) -> None:
    for feature in range(6):
        assert directions.of(feature, kind).parts[feature] == 1.0  # a dead one too


def test_steering_along_another_direction(directions: Directions, weights: Weights) -> None:
    x = np.random.default_rng(1).normal(size=8).astype(np.float32)
    raised = {0: directions.of(0, "typical")}
    plain, along = steer(x, {0: 40.0}, weights), steer(x, {0: 40.0}, weights, raised=raised)
    np.testing.assert_allclose(along.vector - x, along.amounts[0] * raised[0].vector, atol=1e-4)
    assert plain.amounts == along.amounts
    lowered = steer(x, {0: -40.0}, weights, raised=raised)  # a lowered feature goes along its own
    np.testing.assert_array_equal(lowered.vector, steer(x, {0: -40.0}, weights).vector)
    assert np.array_equal(steer(x, {}, weights, raised=raised).vector, x)


def test_errors_and_families(directions: Directions) -> None:
    with pytest.raises(UserError, match="no direction called 'up'"):
        directions.of(0, "up")
    with pytest.raises(UserError, match="no feature 6"):
        directions.of(6)
    assert family_move({3: 2.0, 5: 1.0}, 4.0) == {3: 4.0, 5: 2.0}
    assert family_move({}, 1.0) == {}
