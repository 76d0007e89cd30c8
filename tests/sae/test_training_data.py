"""Standardisation, batches, noise and first weights."""

import numpy as np
import pytest
import torch

from sae.config import SAEConfig
from sae.model import PARAMETER_NAMES, TopKSAE
from sae.training.data import Batches, noise_codes, normal_quantiles, standardise
from sae.training.initialise import geometric_median, initial_parameters

torch.set_num_threads(1)


def clustered(n=3000, d_in=24):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, d_in)) + 5
    return (centres[rng.integers(0, 10, n)] + 0.5 * rng.standard_normal((n, d_in))).astype(np.float32)


def test_standardisation_is_that_of_the_training_rows(monkeypatch):
    monkeypatch.setattr("sae.training.data.BLOCK_ENTRIES", 1000)
    x, rows = clustered(), np.arange(0, 3000, 2)
    x[1::2] += 100  # not trained on
    standard = standardise(x, rows, np.arange(1, 3000, 2))
    np.testing.assert_allclose(standard.mean, x[rows].mean(axis=0), rtol=1e-5)
    assert standard.scale == pytest.approx(np.sqrt(x[rows].astype(np.float64).var(axis=0).mean()), rel=1e-6)
    z = standard.apply(x[rows])
    assert np.square(z).mean() == pytest.approx(1, rel=1e-5)


def test_every_document_comes_once_an_epoch():
    rows = np.arange(100, 1100)
    batches = Batches(np.zeros((1100, 2)), rows, 64, seed=3)
    stream = np.concatenate([batches.row_numbers(step) for step in range(125)])  # eight epochs
    counts = np.unique_counts(stream)
    np.testing.assert_array_equal(counts.values, rows)
    assert (counts.counts == 8).all()
    first = np.concatenate([batches.row_numbers(step) for step in range(15)])
    assert len(np.unique(first)) == len(first)
    assert (np.diff(batches.row_numbers(5)) > 0).all()


def test_a_batch_does_not_depend_on_the_ones_before():
    batches, later = (Batches(np.zeros((500, 2)), np.arange(500), 64, seed=3) for _ in range(2))
    whole = [batches.row_numbers(step) for step in range(40)]
    for step in (39, 7, 8, 20):
        np.testing.assert_array_equal(later.row_numbers(step), whole[step])


def test_noise_is_standard_normal_and_belongs_to_its_step():
    codes = noise_codes(1, 2, (999, 101))
    noise = normal_quantiles()[codes]
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(noise) > 2).mean() == pytest.approx(0.0455, abs=0.004)
    np.testing.assert_array_equal(codes, noise_codes(1, 2, (999, 101)))
    assert (codes != noise_codes(1, 3, (999, 101))).mean() > 0.99
    assert (codes != noise_codes(2, 2, (999, 101))).mean() > 0.99


def test_geometric_median_withstands_outliers_and_repeats():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 3))
    points[:20] = 1000
    median = geometric_median(points)
    distance = np.linalg.norm(points - median, axis=1).sum()
    for shift in 0.02 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert np.linalg.norm(points - median - shift, axis=1).sum() > distance
    assert np.linalg.norm(median) < 0.5
    np.testing.assert_allclose(geometric_median(np.ones((5, 3))), 1)


def test_reconstructions_start_at_the_norm_of_the_inputs():
    x = clustered()
    rows = np.arange(3000)
    standard = standardise(x, rows, rows[:0])
    start = initial_parameters(SAEConfig(24, 100, 5), x, rows, standard, seed=0)
    np.testing.assert_allclose(np.linalg.norm(start.W_dec, axis=1), 1, rtol=1e-5)
    sae = TopKSAE(SAEConfig(24, 100, 5))
    sae.load_state_dict({name: torch.from_numpy(getattr(start, name)) for name in PARAMETER_NAMES})
    z = standard.apply(x)
    recons = sae(torch.from_numpy(z)).detach().numpy() - start.pre_bias
    wanted = np.linalg.norm(z - start.pre_bias, axis=1).mean()
    assert np.linalg.norm(recons, axis=1).mean() == pytest.approx(wanted, rel=0.05)
    assert np.ptp(start.W_enc / start.W_dec) < 1e-3  # parallel, of one length


def test_encoder_start_can_be_given():
    x, rows = clustered(), np.arange(3000)
    start = initial_parameters(SAEConfig(24, 100, 5), x, rows, standardise(x, rows, rows[:0]), 0, 0.7)
    np.testing.assert_allclose(np.linalg.norm(start.W_enc, axis=1), 0.7, rtol=1e-5)
