"""Iterative optimisation of latents against plain autograd and torch's own AdamW."""

import numpy as np
import pytest
import torch

from sae.encode import Weights, encode
from sae.errors import UserError
from sae.steer import steer
from sae.steering.optimise import LEARNING_RATE, STEPS, WEIGHT_DECAY, optimise, target_of


@pytest.fixture(scope="module")
def weights() -> Weights:
    rng = np.random.default_rng(0)
    w_dec = rng.normal(size=(48, 16)).astype(np.float32)
    w_dec /= np.linalg.norm(w_dec, axis=1, keepdims=True)
    w_enc = (w_dec + 0.1 * rng.normal(size=w_dec.shape)).astype(np.float32)
    bias = rng.normal(size=(3, 48)).astype(np.float32) * 0.1
    return Weights(w_enc, w_dec, bias[0, :16], bias[1], bias[2, :16], scale=0.25, k=5)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    x = np.random.default_rng(1).normal(size=(6, 16)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def dense(x: np.ndarray, weights: Weights) -> np.ndarray:
    acts, indices = encode(x, weights)
    latents = np.zeros((len(x), weights.n_latents), np.float32)
    np.put_along_axis(latents, indices.astype(np.int64), acts, axis=1)
    return latents


def by_autograd(x: np.ndarray, target: np.ndarray, weights: Weights, keep_residual: bool) -> np.ndarray:
    """The same optimisation of one query, as anyone would write it in torch."""
    w_enc, w_dec = torch.tensor(weights.W_enc), torch.tensor(weights.W_dec)
    bias, pre_bias = torch.tensor(weights.latent_bias), torch.tensor(weights.pre_bias)
    z = (torch.tensor(x) - torch.tensor(weights.mean)) / weights.scale

    def activations(z: torch.Tensor) -> torch.Tensor:
        values, indices = torch.topk(w_enc @ (z - pre_bias) + bias, weights.k)
        return torch.zeros(weights.n_latents).scatter(0, indices, torch.relu(values))

    latents = activations(z).detach()
    residual = z - (latents @ w_dec + pre_bias) if keep_residual else torch.zeros_like(z)
    change = (torch.tensor(target) - latents).requires_grad_(True)
    rate = LEARNING_RATE * float(latents.max())
    optimiser = torch.optim.AdamW([change], lr=rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    tried = []
    for _ in range(STEPS + 1):
        optimiser.zero_grad()
        decoded = (latents + change) @ w_dec + pre_bias + residual
        loss = (activations(decoded) - torch.tensor(target)).square().sum()
        tried.append((loss.item(), change.detach().numpy().copy()))
        loss.backward()
        optimiser.step()
        schedule.step()
    return min(tried, key=lambda step: step[0])[1]


@pytest.mark.parametrize("keep_residual", [True, False])
def test_the_same_as_autograd(weights: Weights, queries: np.ndarray, keep_residual: bool) -> None:
    targets = dense(queries, weights)
    for row, target in enumerate(targets):
        target[np.flatnonzero(target)[0]] = 0.0
        target[row * 7] = 4.0
    found = optimise(queries, targets, weights, keep_residual=keep_residual)
    for row in range(len(queries)):
        expected = by_autograd(queries[row], targets[row], weights, keep_residual)
        np.testing.assert_allclose(found.change[row], expected, atol=2e-3 * np.abs(expected).max())


def test_no_edit_is_no_change(weights: Weights, queries: np.ndarray) -> None:
    found = optimise(queries, dense(queries, weights), weights)
    assert not found.change.any()
    assert not found.errors.any()
    same = steer(queries[0], {}, weights, "optimised")
    assert np.array_equal(same.vector, queries[0])
    assert same.fidelity == 1.0


def test_the_target_is_approached(weights: Weights, queries: np.ndarray) -> None:
    targets = dense(queries, weights)
    targets[:, 11] = 4.0
    found = optimise(queries, targets, weights)
    assert found.errors.shape == (STEPS + 1, len(queries))
    assert (found.errors.min(axis=0) <= found.errors[0]).all()
    assert np.median(found.errors[-1]) < 0.8 * np.median(found.errors[0])


def test_steering_raises_the_feature(weights: Weights, queries: np.ndarray) -> None:
    feature_id = int(np.flatnonzero(dense(queries[:1], weights)[0] == 0)[0])
    steered = steer(queries[0], {feature_id: 8.0}, weights, "optimised")
    assert steered.fidelity < 1
    assert dense(steered.vector[None], weights)[0, feature_id] > 0
    rebuilt = steered.base + sum(a * d for a, d in zip(steered.amounts, steered.directions, strict=True))
    np.testing.assert_allclose(rebuilt, steered.vector, atol=1e-6)


def test_an_unknown_feature_is_named(weights: Weights, queries: np.ndarray) -> None:
    with pytest.raises(UserError, match="no feature 48"):
        steer(queries[0], {48: 1.0}, weights, "optimised")


def test_a_target_is_never_negative() -> None:
    assert target_of([1.0, 2.0, 0.0], {1: -3.0, 2: 5.0}).tolist() == [1.0, 0.0, 5.0]
