"""Steering adds exactly what it says, and nothing when nothing is edited."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from sae.encode import Weights, decode, encode
from sae.errors import UserError
from sae.steer import REACH_75, cosine, slider_range, steer


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


@given(
    original=st.floats(0, 100, allow_subnormal=False),
    quantile=st.floats(1e-3, 50, allow_subnormal=False),
)
def test_a_slider_holds_its_own_activation_in_the_middle(original: float, quantile: float) -> None:
    ends = slider_range(original, quantile)
    reach = REACH_75 * quantile
    assert abs(ends.original - original) <= ends.step
    assert ends.high - ends.original == pytest.approx(ends.original - ends.low, rel=1e-6, abs=1e-9)
    assert reach - 1e-9 <= ends.high - ends.original + ends.step / 2
    assert 199 <= (ends.high - ends.low) / ends.step <= 510
    for value in (ends.low, ends.high, ends.step, ends.original):
        assert round(value, ends.decimals) == value


@pytest.mark.parametrize("quantile", [0.0, -1.0, math.nan, math.inf])
def test_a_slider_needs_a_scale(quantile: float) -> None:
    with pytest.raises(ValueError, match="no range"):
        slider_range(0.5, quantile)
