"""Both ways of training have the same loss curve and held-out error over 300 steps, on vectors of real texts."""

import argparse
import inspect
import json
import logging
import statistics
import zlib

import numpy as np
import pytest
import torch

from sae.compiled.fast import FastStepper
from sae.config import SAEConfig, TrainConfig
from sae.train import train
from sae.training.data import Batches, noise_codes, standardise
from sae.training.initialise import Parameters, initial_parameters
from sae.training.reference import ReferenceStepper

torch.set_num_threads(1)


def embeddings_of_sentences(d_in: int = 96) -> np.ndarray:
    """Unit rows: hashed words of Python's own sources, every ten lines a document, projected at random."""
    rows = []
    for module in (argparse, inspect, json, logging, statistics):
        lines = inspect.getsource(module).splitlines()
        for start in range(0, len(lines) - 10, 4):
            counts = np.zeros(1024)
            for word in " ".join(lines[start : start + 10]).split():
                counts[zlib.crc32(word.encode()) % 1024] += 1
            rows.append(np.sqrt(counts))
    x = np.array(rows) @ np.random.default_rng(0).standard_normal((1024, d_in))
    return (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_curves_agree_to_a_thousandth(noise: float) -> None:
    x = embeddings_of_sentences()
    results = {}
    for path in ("reference", "fast"):
        recipe = TrainConfig(300, 256, 1e-3, path=path, input_noise=noise, final_decay=0.2, dead_after=2048)
        results[path] = train(x, SAEConfig(96, 384, 6), recipe, held_out=np.arange(0, len(x), 10))
    reference, fast = (results[path].history for path in ("reference", "fast"))
    np.testing.assert_allclose(fast["loss"], reference["loss"], rtol=1e-3)
    np.testing.assert_allclose(fast["held_out_fvu"], reference["held_out_fvu"], rtol=1e-3)
    assert reference["fvu"][-1] < 0.7 * reference["fvu"][0]


def test_curves_are_one_where_rounding_cannot_part_them() -> None:
    """Noise, decay, a schedule, dying latents and AuxK in float64: at such rates a single latent that rounding swaps at
    the k-th place parts two runs in float32 for good."""
    x, config = embeddings_of_sentences(48), SAEConfig(48, 256, 4)
    recipe = TrainConfig(120, 256, 1e-2, input_noise=0.4, encoder_decay=2.0, warmup_steps=20, final_decay=0.2)
    rows = np.arange(len(x))
    standard = standardise(x, rows, rows[:0])
    start = initial_parameters(config, x, rows, standard, recipe.seed)
    parameters = Parameters(**{name: array.astype(np.float64) for name, array in vars(start).items()})
    fast = FastStepper(config, recipe, standard, parameters, 1024, dtype=np.float64, threads=1)
    reference = ReferenceStepper(config, recipe, standard, parameters, 1024)
    batches = Batches(x, rows, recipe.batch_size, recipe.seed)
    dead = 0
    for step in range(recipe.steps):
        batch = batches.read(step).astype(np.float64)
        noise, rate = noise_codes(recipe.seed, step, batch.shape), recipe.learning_rate_at(step)
        got, expected = fast.step(batch, noise, rate), reference.step(batch, noise, rate)
        assert got.dead == expected.dead
        assert got.loss == pytest.approx(expected.loss, rel=1e-9)
        dead = max(dead, got.dead)
    assert dead > 5
