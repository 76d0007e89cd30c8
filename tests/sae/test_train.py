"""Training as a whole: recovery of a known dictionary, both paths, data on disk, resuming, refusals."""

import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import zarr

from sae.config import SAEConfig, TrainConfig
from sae.encode import decode, encode
from sae.errors import UserError
from sae.train import HISTORY_COLUMNS, train

torch.set_num_threads(1)

D_IN, N_PLANTED = 32, 48


def planted(n_documents=4000, seed=0):
    """Documents (n, D_IN) made of about two of N_PLANTED unit directions each, and the directions."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((N_PLANTED, D_IN))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = rng.random((n_documents, N_PLANTED)) < 2 / N_PLANTED
    strengths = chosen * (0.5 + rng.random(chosen.shape))
    noise = 0.01 * rng.standard_normal((n_documents, D_IN))
    return (strengths @ directions + noise + 0.3).astype(np.float32), directions


def configs(steps=40, path="fast", **options):
    settings = {"batch_size": 256, "learning_rate": 3e-3, "input_noise": 0.1, "encoder_decay": 1.0}
    settings |= {"warmup_steps": 5, "final_decay": 0.2}
    return SAEConfig(D_IN, 64, 3), TrainConfig(steps, path=path, **(settings | options))


def assert_same(a, b):
    for name in ("W_enc", "W_dec", "pre_bias", "latent_bias"):
        assert torch.equal(getattr(a.sae, name), getattr(b.sae, name)), name
    np.testing.assert_array_equal(a.mean, b.mean)
    assert a.scale == b.scale
    for name in HISTORY_COLUMNS:
        np.testing.assert_array_equal(a.history[name], b.history[name], err_msg=name)


def test_planted_dictionary_is_recovered():
    x, directions = planted()
    sae_config, train_config = configs(1200, learning_rate=1e-2, input_noise=0.0, encoder_decay=0.0)
    result = train(x, sae_config, train_config, held_out=np.arange(400))
    cosines = directions @ result.weights().W_dec.T
    assert np.median(cosines.max(axis=1)) > 0.98
    assert (cosines.max(axis=1) > 0.9).mean() > 0.9
    assert result.history["held_out_fvu"][-1] < 0.1


def test_loss_curves_of_both_paths_agree():
    x, _ = planted()
    results = [train(x, *configs(150, path), held_out=np.arange(400)) for path in ("reference", "fast")]
    for name in ("loss", "fvu", "held_out_fvu"):
        np.testing.assert_allclose(*(result.history[name] for result in results), rtol=2e-3, err_msg=name)
    assert [result.path for result in results] == ["reference", "fast"]
    assert results[1].history["loss"][-10:].mean() < 0.7 * results[1].history["loss"][:10].mean()


def test_history_says_what_happened():
    x, _ = planted()
    held_out = np.arange(400)
    sae_config, train_config = configs(40)
    notes = []
    result = train(x, sae_config, train_config, lambda *note: notes.append(note), held_out=held_out)
    history = result.history
    assert set(history) == set(HISTORY_COLUMNS)
    assert history["step"].tolist() == list(range(1, 41))
    np.testing.assert_allclose(history["loss"], history["fvu"] + history["aux_loss"] / 32)
    assert np.isfinite(history["held_out_fvu"]).sum() == 20
    assert history["flops"][-1] == 40 * 6 * 256 * 2 * 64 * D_IN
    recons = decode(*encode(x[held_out], result.weights()), result.weights())
    fvu = np.square(recons - x[held_out]).mean() / x[held_out].var(axis=0).mean()
    assert history["held_out_fvu"][-1] == pytest.approx(fvu, rel=1e-4)
    assert notes[-1][:2] == (40, 40)
    assert "fvu" in notes[-1][2]
    assert "steps/s" in notes[-1][2]


def test_same_seed_same_result_other_seed_another():
    x, _ = planted()
    results = [train(x, *configs(seed=seed)) for seed in (1, 1, 2)]
    assert_same(results[0], results[1])
    assert not torch.equal(results[0].sae.W_enc, results[2].sae.W_enc)


def test_data_on_disk_gives_the_same_result(tmp_path):
    x, _ = planted(2000)
    x = x.astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    array = zarr.create_array(tmp_path / "x.zarr", shape=x.shape, chunks=(256, D_IN), dtype=x.dtype)
    array[:] = x
    held_out = np.arange(0, 2000, 7)
    in_memory = train(x, *configs(), held_out=held_out)
    assert_same(in_memory, train(np.load(tmp_path / "x.npy", mmap_mode="r"), *configs(), held_out=held_out))
    assert_same(in_memory, train(array, *configs(), held_out=held_out))


@pytest.mark.parametrize("path", ["reference", "fast"])
def test_interrupted_run_resumes_exactly(tmp_path, path, monkeypatch):
    x, _ = planted(2000)
    held_out = np.arange(200)
    whole = train(x, *configs(60, path), held_out=held_out)
    checkpoint = tmp_path / "run.npz"

    def interrupt(done, total, note):
        if total == 60 and done >= 2 and checkpoint.exists():
            raise KeyboardInterrupt

    clock = count()  # a second passes with every look, so that every step reports, however fast it was
    monkeypatch.setattr("sae.train.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    for _ in range(3):  # each attempt gets a little further
        with pytest.raises(KeyboardInterrupt):
            train(
                x,
                *configs(60, path),
                interrupt,
                held_out=held_out,
                checkpoint=checkpoint,
                checkpoint_seconds=0,
            )
    resumed = train(x, *configs(60, path), held_out=held_out, checkpoint=checkpoint)
    assert_same(whole, resumed)
    assert_same(whole, train(x, *configs(60, path), held_out=held_out, checkpoint=checkpoint))


KILLED = """
import os, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from test_train import configs, planted
from sae.train import train
def kill(done, total, note):
    if total == 300 and done > 1:
        os.kill(os.getpid(), signal.SIGKILL)
train(planted(2000)[0], *configs(300), kill, checkpoint=Path({checkpoint!r}), checkpoint_seconds=0)
"""


def test_killed_run_resumes_exactly(tmp_path):
    root, checkpoint = Path(__file__).parents[2], tmp_path / "run.npz"
    code = KILLED.format(root=str(root), tests=str(Path(__file__).parent), checkpoint=str(checkpoint))
    ended = subprocess.run([sys.executable, "-c", code], timeout=600, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert checkpoint.exists()
    x, _ = planted(2000)
    assert_same(train(x, *configs(300)), train(x, *configs(300), checkpoint=checkpoint))


def test_checkpoint_of_another_run_is_refused(tmp_path):
    x, _ = planted(500)
    checkpoint = tmp_path / "run.npz"
    train(x, *configs(10), checkpoint=checkpoint)
    with pytest.raises(UserError, match=r"run\.npz.*train_config"):
        train(x, *configs(11), checkpoint=checkpoint)
    with pytest.raises(UserError, match=r"run\.npz.*data"):
        train(x + 1, *configs(10), checkpoint=checkpoint)
    checkpoint.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(UserError, match=r"run\.npz is damaged"):
        train(x, *configs(10), checkpoint=checkpoint)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("row", [3, 450])
def test_row_with_nan_is_named(bad, row):
    x, _ = planted(500)
    x[row, 5] = bad
    with pytest.raises(UserError, match=f"Row {row} "):
        train(x, *configs(), held_out=np.arange(400, 500))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rows": [0, 500]}, "500"),
        ({"rows": [-1, 3]}, "-1"),
        ({"rows": []}, "no documents"),
        ({"rows": [1, 2], "held_out": [2, 3]}, "row 2"),
    ],
)
def test_impossible_rows_are_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        train(planted(500)[0], *configs(), **options)


def test_embeddings_that_cannot_be_trained_on_are_refused():
    with pytest.raises(UserError, match="d_in"):
        train(np.zeros((10, D_IN + 1)), *configs())
    with pytest.raises(UserError, match="the same"):
        train(np.ones((10, D_IN)), *configs())


def test_fewer_documents_than_a_batch():
    x, _ = planted(50)
    result = train(x, *configs(10), held_out=[0, 1, 2])
    assert np.isfinite(result.history["loss"]).all()
