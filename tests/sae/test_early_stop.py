"""Early stopping: the best weights are kept, a stopped run is resumed exactly, and off it changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae.config import SAEConfig, TrainConfig
from sae.encode import decode, encode
from sae.train import HISTORY_COLUMNS, TrainResult, train
from sae.training.checkpoint import load_checkpoint
from sae.training.early_stop import EarlyStop
from sae.training.initialise import Parameters

torch.set_num_threads(1)
D_IN, STEPS = 16, 100
SHAPE = SAEConfig(D_IN, 48, 3)
HELD_OUT = np.arange(60)


def config(patience: int | None, path: str = "reference", steps: int = STEPS) -> TrainConfig:
    return TrainConfig(steps, batch_size=64, learning_rate=3e-2, path=path, patience=patience)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Documents without structure, which an autoencoder can only learn by heart: its held-out error rises."""
    return np.random.default_rng(0).standard_normal((160, D_IN)).astype(np.float32)


def fvu(x: np.ndarray, result: TrainResult) -> float:
    recons = decode(*encode(x[HELD_OUT], result.weights()), result.weights())
    return float(np.square(recons - x[HELD_OUT]).mean() / x[HELD_OUT].var(axis=0).mean())


@pytest.mark.parametrize("path", ["reference", "fast"])
def test_the_best_weights_are_kept(noise: np.ndarray, path: str) -> None:
    whole = train(noise, SHAPE, config(None, path), held_out=HELD_OUT)
    stopped = train(noise, SHAPE, config(3, path), held_out=HELD_OUT)
    errors = stopped.history["held_out_fvu"]
    evaluated = np.flatnonzero(np.isfinite(errors))
    assert len(errors) < STEPS
    assert len(errors) == whole.history["step"][evaluated[-1]]
    assert np.nanargmin(errors) + 1 == stopped.kept_step == len(errors) - 3 * STEPS // 20
    assert fvu(noise, stopped) == pytest.approx(np.nanmin(errors), rel=1e-4)
    assert fvu(noise, stopped) < fvu(noise, whole)
    for name in HISTORY_COLUMNS:
        np.testing.assert_array_equal(stopped.history[name], whole.history[name][: len(errors)], err_msg=name)
    assert whole.kept_step == STEPS


@pytest.mark.parametrize("path", ["reference", "fast"])
def test_a_killed_run_stops_where_it_would_have(tmp_path: Path, noise: np.ndarray, path: str) -> None:
    whole = train(noise, SHAPE, config(3, path), held_out=HELD_OUT)
    checkpoint, seen = tmp_path / "run.npz", []

    def kill(done: int, total: int, note: str) -> None:
        if total == STEPS and checkpoint.exists():
            seen.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(noise, SHAPE, config(3, path), kill, held_out=HELD_OUT, checkpoint=checkpoint,
              checkpoint_seconds=0)  # fmt: skip
    for _ in range(2):  # to the end, and from the end again
        resumed = train(noise, SHAPE, config(3, path), held_out=HELD_OUT, checkpoint=checkpoint)
        assert seen[0] < len(resumed.history["step"])
        assert resumed.kept_step == whole.kept_step
        for name in ("W_enc", "W_dec", "pre_bias", "latent_bias"):
            assert torch.equal(getattr(resumed.sae, name), getattr(whole.sae, name)), name
        for name in HISTORY_COLUMNS:
            np.testing.assert_array_equal(resumed.history[name], whole.history[name], err_msg=name)


def test_without_held_out_documents_nothing_stops(noise: np.ndarray) -> None:
    assert len(train(noise, SHAPE, config(1)).history["step"]) == STEPS
    assert len(train(noise, SHAPE, config(1), held_out=[5]).history["step"]) == STEPS


def test_a_checkpoint_from_before_there_was_patience_is_continued(tmp_path: Path, noise: np.ndarray) -> None:
    checkpoint = tmp_path / "run.npz"
    train(noise, SHAPE, config(None, steps=20), held_out=HELD_OUT, checkpoint=checkpoint)
    description, _ = load_checkpoint(checkpoint, {}) or ({}, {})
    assert "patience" not in description["train_config"]
    assert "encoder_start" in description["train_config"]


def test_only_a_lower_error_is_better() -> None:
    watch = EarlyStop(2)
    weights = Parameters(*(np.zeros(1) for _ in range(4)))
    for error, waited in (
        (float("nan"), 0),
        (0.5, 0),
        (0.5, 1),
        (0.4, 0),
        (float("nan"), 0),
        (0.41, 1),
        (0.4, 2),
    ):
        assert not watch.stops
        watch.see(error, 7, weights)
        assert watch.waited == waited
    assert watch.stops
    assert watch.best is not None
    assert watch.best.W_enc is not weights.W_enc
