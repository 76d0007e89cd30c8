"""Steering adds exactly what it says, and nothing when nothing is edited."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from sae.encode import Weights, decode, encode
from sae.errors import UserError
from sae.steer import MODES, cosine, steer


def make_weights() -> Weights:
    rng = default_rng(0)
    decoder = rng.normal(size=(50, 20)).astype(np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    return Weights(
        W_enc=decoder.copy(),
        W_dec=decoder,
        pre_bias=rng.normal(size=20).astype(np.float32),
        latent_bias=np.zeros(50, np.float32),
        mean=rng.normal(size=20).astype(np.float32),
        scale=0.05,
        k=5,
    )


def make_query() -> np.ndarray:
    vector = default_rng(1).normal(size=20).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def weights() -> Weights:
    return make_weights()


@pytest.fixture
def query() -> np.ndarray:
    return make_query()


def test_without_edits_the_query_itself_comes_back(weights: Weights, query: np.ndarray) -> None:
    steered = steer(query, {}, weights)
    assert steered.vector is query
    assert steered.fidelity == 1.0


def test_an_edit_to_the_own_activation_changes_nothing(weights: Weights, query: np.ndarray) -> None:
    before = steer(query, {}, weights).latents
    unchanged = steer(query, {**before, 49 if 49 not in before else 48: 0.0}, weights)
    assert unchanged.vector is query


def test_latents_before_are_the_active_features_strongest_first(weights: Weights, query: np.ndarray) -> None:
    acts, indices = encode(query[None], weights)
    latents = steer(query, {}, weights).latents
    assert list(latents) == [int(i) for i, a in zip(indices[0], acts[0], strict=True) if a > 0]
    assert list(latents.values()) == sorted(latents.values(), reverse=True)


@settings(max_examples=50, deadline=None)
@given(edits=st.dictionaries(st.integers(0, 49), st.floats(-10, 10), min_size=1, max_size=5))
def test_direct_steering_is_the_formula(edits: dict[int, float]) -> None:
    w, x = make_weights(), make_query()
    latents = steer(x, {}, w).latents
    expected = x.astype(np.float64)
    for feature_id, value in edits.items():
        expected = expected + w.scale * (value - latents.get(feature_id, 0.0)) * w.W_dec[feature_id]
    steered = steer(x, edits, w)
    np.testing.assert_allclose(steered.vector, expected, atol=1e-6)
    assert steered.fidelity == pytest.approx(cosine(x, expected), abs=1e-6)


def test_reconstruction_decodes_the_edited_latents(weights: Weights, query: np.ndarray) -> None:
    acts, indices = encode(query[None], weights)
    changed = acts.copy()
    changed[0, 1] = 3.0
    expected = decode(changed, indices, weights)[0]
    steered = steer(query, {int(indices[0, 1]): 3.0}, weights, mode="reconstruction")
    np.testing.assert_allclose(steered.vector, expected, atol=1e-6)
    assert steer(query, {}, weights, mode="reconstruction").fidelity < 1


@pytest.mark.parametrize(
    ("edits", "named"),
    [
        ({50: 1.0}, "feature 50"),
        ({-1: 1.0}, "feature -1"),
        ({3: math.nan}, "Feature 3"),
        ({3: math.inf}, "Feature 3"),
        ({3: 1e30}, "too large"),
    ],
)
def test_edits_that_make_no_sense_are_refused(
    weights: Weights, query: np.ndarray, edits: dict[int, float], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        steer(query, edits, weights)


def test_unknown_modes_and_broken_queries_are_refused(weights: Weights, query: np.ndarray) -> None:
    with pytest.raises(UserError, match="sideways"):
        steer(query, {}, weights, mode="sideways")
    with pytest.raises(UserError, match="20 dimensions"):
        steer(query[:5], {}, weights)
    with pytest.raises(UserError, match="not finite"):
        steer(np.full(20, np.nan, np.float32), {}, weights)


def test_activations_afterwards_rebuild_the_vector(weights: Weights, query: np.ndarray) -> None:
    family = {3: 2.0, 7: 1.0, 11: 0.5}
    for mode in MODES:
        steered = steer(query, {3: 1.5, 20: -1.0}, weights, mode, families=[(family, 0.8)])
        said = np.array(list(steered.after.values())) @ weights.W_dec[list(steered.after)]
        plain = steer(query, {}, weights, mode)
        before = np.array(list(plain.latents.values())) @ weights.W_dec[list(plain.latents)]
        expected = plain.base + weights.scale * (said - before)
        np.testing.assert_allclose(steered.vector, expected, atol=2e-6)


def test_a_family_moves_in_proportion_and_adds_to_edits(weights: Weights, query: np.ndarray) -> None:
    family = {3: 2.0, 7: 1.0}
    own = steer(query, {}, weights).latents
    steered = steer(query, {7: 4.0}, weights, families=[(family, 1.0)])
    assert steered.after[3] == pytest.approx(own.get(3, 0.0) + 1.0)
    assert steered.after[7] == pytest.approx(4.0 + 0.5)
    assert len(steered.directions) == 2  # one column for the family, however large
    assert steer(query, {}, weights, families=[(family, 0.0)]).vector is query
    with pytest.raises(UserError, match="nan"):
        steer(query, {}, weights, families=[(family, math.nan)])


def test_known_latents_save_encoding(weights: Weights, query: np.ndarray) -> None:
    known = steer(query, {}, weights).latents
    for mode in MODES:
        slow, quick = (
            steer(query, {4: 2.0}, weights, mode),
            steer(query, {4: 2.0}, weights, mode, latents=known),
        )
        assert np.array_equal(slow.vector, quick.vector)
