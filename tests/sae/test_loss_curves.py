"""Both ways of training have the same loss curve and held-out error over 300 steps, on vectors of real texts."""

import argparse
import inspect
import json
import logging
import statistics
import zlib

import numpy as np
import pytest

from sae.config import SAEConfig, TrainConfig
from sae.train import train


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
