"""Held-out documents of corpora of any size, and errors that mean something."""

import numpy as np
import pytest

from build.train import fvu, known, split
from sae.encode import Weights


@pytest.mark.parametrize(
    ("n", "held_out"), [(1, 0), (2, 0), (3, 1), (4, 2), (5, 2), (25, 5), (100, 20), (900, 45)]
)
def test_enough_is_held_out_and_something_left(n: int, held_out: int) -> None:
    training, held = split(n, 0.05, 0)
    assert len(held) == held_out
    assert sorted([*training, *held]) == list(range(n))


def test_an_error_without_variance_is_unknown() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    rows[3:] = rows[3]
    weights = Weights(
        W_enc=np.eye(4, dtype=np.float32), W_dec=np.eye(4, dtype=np.float32), pre_bias=np.zeros(4, np.float32),
        latent_bias=np.zeros(4, np.float32), mean=rows.mean(0), scale=1.0, k=2,
    )  # fmt: skip
    for nothing in ([], [0], [3, 4, 5]):
        assert np.isnan(fvu(rows, np.array(nothing, np.int64), weights))
    assert np.isfinite(fvu(rows, np.arange(3), weights))
    assert known(float("nan"), 3) is None
    assert known(float("inf"), 3) is None
    assert known(0.12345, 3) == 0.123
