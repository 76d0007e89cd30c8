"""Trials of steering: drawn fairly, brought to the fidelity asked for, with intervals that cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.steer import cosine
from sae.steering.trials import N_OPTIONS, Bootstrap, amounts_for, draw_trials, interval, share_within


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.98))
def test_amounts_reach_the_fidelity(seed: int, fidelity: float) -> None:
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(2, 5, 8))
    start = x + 0.05 * rng.normal(size=x.shape)
    t = amounts_for(x, start, u, fidelity)
    for row in range(5):
        if np.isnan(t[row]):
            far = start[row] + 1e4 * u[row]
            assert cosine(x[row], start[row]) < fidelity or cosine(x[row], far) > fidelity - 0.01
        else:
            assert t[row] >= 0
            assert cosine(x[row], start[row] + t[row] * u[row]) == pytest.approx(fidelity, abs=1e-6)


def test_a_share_keeps_the_fidelity() -> None:
    rng = np.random.default_rng(0)
    x, change = rng.normal(size=(2, 20, 6))
    shares = share_within(x, change, 0.9)
    for row in range(20):
        assert 0 < shares[row] <= 1
        assert cosine(x[row], x[row] + shares[row] * change[row]) >= 0.9 - 1e-6
    assert (share_within(x, 0.01 * change, 0.9) == 1).all()


def test_trials_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    n_latents, k = 60, 4
    W_dec = rng.normal(size=(n_latents, 64)).astype(np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    indices = np.stack([rng.permutation(n_latents)[:k] for _ in range(80)]).astype(np.int32)
    acts = rng.uniform(0.5, 2, size=indices.shape).astype(np.float32)
    acts[:, -1] = 0  # not active, though listed
    good = rng.random(n_latents) < 0.7
    labels = [f"label {i % 50}" for i in range(n_latents)]
    trials = draw_trials(acts, indices, good, labels, W_dec, np.random.default_rng(1))
    assert len(trials) > 60
    for i, query in enumerate(trials.queries):
        active = set(indices[query][acts[query] > 0].tolist())
        options = trials.options[i].tolist()
        assert trials.lowered[i] in active
        assert trials.raised[i] not in active
        assert {int(trials.raised[i]), int(trials.lowered[i])} <= set(options)
        assert trials.stray[i] not in set(options) | active
        assert good[options].all()
        assert len({labels[o] for o in options}) == N_OPTIONS
    again = draw_trials(acts, indices, good, labels, W_dec, np.random.default_rng(1))
    assert np.array_equal(trials.options, again.options)
    places = (trials.options == trials.raised[:, None]).argmax(1)
    assert np.bincount(places, minlength=N_OPTIONS).min() > 4  # the right answer stands anywhere


def test_without_good_features_there_are_no_trials() -> None:
    none = draw_trials(
        np.ones((3, 2), np.float32), np.zeros((3, 2), np.int32), np.zeros(9, bool), ["x"] * 9,
        np.eye(9, dtype=np.float32), np.random.default_rng(0),
    )  # fmt: skip
    assert len(none) == 0
    assert none.options.shape == (0, N_OPTIONS)


def test_the_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for i in range(200):
        mean, low, high = interval(rng.random(60) < 0.3, seed=i, samples=300)
        assert low <= mean <= high
        hits += low <= 0.3 <= high
    assert hits >= 178


def test_groups_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).random(20) < 0.5, 10)
    _, low, high = Bootstrap(np.repeat(np.arange(20), 10)).interval(values)
    _, low_alone, high_alone = interval(values)
    assert high - low > 2 * (high_alone - low_alone)
    assert np.isnan(interval([np.nan])).all()
    assert np.isnan(interval([])).all()
