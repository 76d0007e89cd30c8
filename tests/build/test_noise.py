"""The amount of noise is chosen by the held-out error of short runs, and training takes it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from build import noise, train
from build.config import BuildConfig, CorpusConfig, SAEPlan, TuningConfig, load_profile
from build.work import Target, Work
from sae import schema
from sae.errors import UserError

D_IN, N_DOCUMENTS = 16, 260
TUNING = TuningConfig(input_noise=(0.0, 0.5, 20.0), steps=60)
CONFIG = BuildConfig(
    corpora=(CorpusConfig("a", {"kind": "synthetic"}),),
    embedder={},
    saes=(SAEPlan(k=3, n_latents=48),),
    training={"steps": 100, "batch_size": 64, "learning_rate": 3e-2, "path": "reference", "input_noise": 0.1},
    held_out=0.3,
    tuning=TUNING,
)


def work(tmp_path: Path, config: BuildConfig) -> Work:
    rng = np.random.default_rng(0)
    codes = rng.exponential(1, (N_DOCUMENTS, 24)) * (rng.random((N_DOCUMENTS, 24)) < 0.15)
    x = codes @ rng.normal(size=(24, D_IN)) + 0.3 * rng.normal(size=(N_DOCUMENTS, D_IN))
    np.save(tmp_path / schema.EMBEDDINGS, x.astype(np.float16))
    target = Target(config, D_IN, config.corpora[0], config.saes[0])
    return Work(target, tmp_path, tmp_path, tmp_path, lambda *_: tmp_path)


@pytest.fixture(autouse=True)
def no_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_LEAST_DOCUMENTS", 50)


def test_the_lowest_error_decides_and_training_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = work(tmp_path, CONFIG)
    found = noise.run(stage)["noise"]
    errors = {tried["input_noise"]: tried["held_out_fvu"] for tried in found["tried"]}
    assert list(errors) == list(TUNING.input_noise)
    assert found["chosen"] == min(errors, key=lambda sigma: errors[sigma]) != 20.0
    # As many times over each document, and as many documents a latent, as in 100 steps on all 182.
    assert (found["documents"], found["steps"], found["n_latents"]) == (109, 60, 29)
    assert json.loads((tmp_path / train.NOISE).read_text()) == found["chosen"]
    used = []
    monkeypatch.setattr("sae.train.noise_codes", lambda *a: pytest.fail("no noise was chosen"))
    (tmp_path / train.NOISE).write_text("0.0")
    used.append(train.run(stage)["input_noise"])
    assert used == [0.0]


def test_without_a_table_the_profile_s_amount_holds(tmp_path: Path) -> None:
    stage = work(tmp_path, replace(CONFIG, tuning=None))
    assert noise.settings(stage.target) is None
    assert noise.run(stage) == {}
    assert train.run(stage)["input_noise"] == 0.1


def test_a_corpus_too_small_to_measure_keeps_the_profile_s_amount() -> None:
    assert noise.best({0.0: float("nan"), 0.4: float("nan")}) is None
    assert noise.best({0.0: 0.5, 0.4: float("nan"), 0.6: 0.5}) == 0.0


@pytest.mark.parametrize(
    "table", ["input_noise = []", "input_noise = [-1]", "steps = 300", "input_noise = [0]\nsteps = 1"]
)
def test_mistakes_in_the_table_are_named(tmp_path: Path, table: str) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(
        '[[corpora]]\nname = "a"\nsource = { kind = "synthetic" }\n[[saes]]\nk = 4\nn_latents = 64\n'
        f"[tuning]\n{table}\n"
    )
    with pytest.raises(UserError, match="tuning"):
        load_profile(str(path))


def test_what_training_takes_is_a_copy(tmp_path: Path) -> None:
    """A stage that changes its recipe must not change the profile that the next stages and the manifest read."""
    recipe = train.tuned(CONFIG.training, tmp_path)
    assert recipe == CONFIG.training
    recipe |= {"steps": 1}
    assert CONFIG.training["steps"] == 100
