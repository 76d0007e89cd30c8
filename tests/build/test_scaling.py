"""The grid of SAEs: every shape is run once, also across a kill, and what is written agrees with itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sae.train
from build import scaling
from build.config import BuildConfig, CorpusConfig, GridConfig, SAEPlan, load_profile
from build.work import Target, Work
from sae import schema
from sae.errors import UserError
from sae.storage.arrays import read_table

D_IN, N_DOCUMENTS = 16, 240
GRID = GridConfig(k_shares=(0.07, 0.13), n_ratios=(1, 2, 4), steps=40)
CONFIG = BuildConfig(
    corpora=(CorpusConfig("a", {"kind": "synthetic"}),),
    embedder={},
    saes=(SAEPlan(k=2, n_latents=32),),
    training={"batch_size": 64, "learning_rate": 1e-2, "warmup_steps": 10, "path": "reference"},
    held_out=0.1,
    grid=GRID,
)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    codes = rng.exponential(1, (N_DOCUMENTS, 24)) * (rng.random((N_DOCUMENTS, 24)) < 0.1)
    x = codes @ rng.normal(size=(24, D_IN)) + 0.05 * rng.normal(size=(N_DOCUMENTS, D_IN))
    folder = tmp_path / "embeddings"
    folder.mkdir()
    np.save(folder / schema.EMBEDDINGS, x.astype(np.float16))
    return folder


def work(tmp_path: Path, inputs: Path, out: str, config: BuildConfig = CONFIG, progress: Any = None) -> Work:
    for name in (out, "scratch"):
        (tmp_path / name).mkdir(exist_ok=True)
    target = Target(config, D_IN, config.corpora[0])
    return Work(target, tmp_path / out, tmp_path / "scratch", tmp_path, lambda *_: inputs,
                progress or (lambda *_: None))  # fmt: skip


@contextmanager
def at_most(runs: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """Training is killed when more than ``runs`` are begun; yields what was trained."""
    trained: list[tuple[int, int]] = []
    real = sae.train.train

    def counted(embeddings: Any, config: Any, *rest: Any, **options: Any) -> Any:
        if len(trained) == runs:
            raise KeyboardInterrupt
        trained.append((config.k, config.n_latents))
        return real(embeddings, config, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sae.train, "train", counted)
        yield trained


def test_every_shape_is_run_and_measured(tmp_path: Path, inputs: Path) -> None:
    seen: list[tuple[int, int]] = []
    facts = scaling.run(work(tmp_path, inputs, "out", progress=lambda d, t, _: seen.append((d, t))))
    assert facts == {"grid": {"runs": 6, "steps": 40}}
    runs = read_table(tmp_path / "out" / schema.SCALING, schema.SCALING_COLUMNS).to_pandas()
    assert list(zip(runs["k"], runs["n_latents"], strict=True)) == list(GRID.shapes(D_IN))
    assert (runs["flops"] == 40 * 6 * 64 * 2 * runs["n_latents"] * D_IN).all()
    assert runs["fvu"].between(0, 1).all()
    assert (runs["mean_activation"] > 0).all()
    assert (runs["mean_log_density"] < 0).all()
    curves = read_table(tmp_path / "out" / schema.SCALING_CURVES, schema.SCALING_CURVE_COLUMNS).to_pandas()
    ends = curves.groupby(["k", "n_latents"], sort=True).tail(1).reset_index()
    assert (ends["step"] == 40).all()
    assert ends["held_out_fvu"].tolist() == runs["held_out_fvu"].tolist()
    assert not curves.loc[curves["step"] <= 10, ["frontier", "held_out_frontier"]].any(axis=None)
    for k in (1, 2):
        best = curves[(curves["k"] == k) & curves["frontier"]].sort_values("flops")
        assert len(best)
        assert (np.diff(best["fvu"]) < 0).all()
    fits = read_table(tmp_path / "out" / schema.SCALING_FITS, schema.SCALING_FIT_COLUMNS).to_pandas()
    assert set(fits["law"]) == {"latents", "compute"}
    assert set(fits["k"]) == {1, 2}
    assert (fits["exponent_low"] <= fits["exponent"]).all()
    cosines = read_table(tmp_path / "out" / schema.SCALING_COSINES, schema.SCALING_COSINE_COLUMNS).to_pandas()
    pairs = cosines.groupby(["fixed", "k", "n_latents", "other_k", "other_n_latents"])
    assert len(pairs) == 2 * 2 + 3  # two steps in n for each k, one step in k for each n
    np.testing.assert_allclose(pairs["share"].sum(), 1)
    assert cosines["median"].between(0, 1).all()
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (240, 240)


def test_a_killed_grid_goes_on_where_it_was(
    tmp_path: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaling.run(work(tmp_path, inputs, "whole"))
    for path in (tmp_path / "scratch").iterdir():
        path.unlink()
    with at_most(4, monkeypatch) as trained, pytest.raises(KeyboardInterrupt):
        scaling.run(work(tmp_path, inputs, "killed"))
    (tmp_path / "scratch" / "k2-n32.json").write_text('{"run": {"k"')  # damage costs one run, not the grid
    with at_most(9, monkeypatch) as trained:
        scaling.run(work(tmp_path, inputs, "again"))
    assert trained == list(GRID.shapes(D_IN))[4:]
    for name in (schema.SCALING, schema.SCALING_CURVES, schema.SCALING_FITS, schema.SCALING_COSINES):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_profile_without_grid_trains_nothing(tmp_path: Path, inputs: Path) -> None:
    plain = replace(CONFIG, grid=None)
    assert scaling.run(work(tmp_path, inputs, "out", plain)) == {}
    assert not list((tmp_path / "out").iterdir())
    assert scaling.settings(Target(plain, D_IN)) is None


def test_one_held_out_document_has_no_variance_to_explain(
    tmp_path: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a corpus of three documents."""
    grid = replace(GRID, k_shares=(0.07,), steps=20)
    monkeypatch.setattr(scaling.train_stage, "split", lambda n, *_: (np.arange(1, n), np.arange(1)))
    scaling.run(work(tmp_path, inputs, "out", replace(CONFIG, grid=grid)))
    runs = read_table(tmp_path / "out" / schema.SCALING, schema.SCALING_COLUMNS)
    assert runs["held_out_fvu"].null_count == len(runs)
    assert runs["fvu"].null_count == 0
    fits = read_table(tmp_path / "out" / schema.SCALING_FITS, schema.SCALING_FIT_COLUMNS)
    assert set(fits["measure"].to_pylist()) == {"fvu"}


def test_two_sizes_are_no_law(tmp_path: Path, inputs: Path) -> None:
    scaling.run(work(tmp_path, inputs, "out", replace(CONFIG, grid=replace(GRID, n_ratios=(2, 4)))))
    fits = read_table(tmp_path / "out" / schema.SCALING_FITS, schema.SCALING_FIT_COLUMNS)
    assert "latents" not in fits["law"].to_pylist()


def test_activity_is_what_the_definition_says(inputs: Path) -> None:
    from sae.config import SAEConfig, TrainConfig
    from sae.encode import encode

    x = np.load(inputs / schema.EMBEDDINGS)
    weights = sae.train.train(
        x, SAEConfig(D_IN, 64, 2), TrainConfig(30, 64, 1e-2, path="reference")
    ).weights()
    top_acts, top_indices = encode(x, weights)
    dense = np.zeros((len(x), 64))
    np.put_along_axis(dense, top_indices.astype(int), top_acts, axis=1)
    density = (dense > 0).mean(axis=0)
    found = scaling.activity(x, weights)
    assert found["mean_log_density"] == pytest.approx(np.log10(density[density > 0]).mean())
    assert found["mean_activation"] == pytest.approx(dense[dense > 0].mean(), rel=1e-5)


def test_the_papers_grid() -> None:
    grid = load_profile("scaling").grid
    assert grid is not None
    shapes = grid.shapes(1536)
    assert sorted({k for k, _ in shapes}) == [16, 32, 64, 128]
    assert sorted({n for _, n in shapes}) == [ratio * 1536 for ratio in (2, 3, 4, 6, 8)]
    assert sorted({k for k, _ in grid.shapes(384)}) == [4, 8, 16, 32]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("k_shares = 0.1\nn_ratios = [1]\nsteps = 40", "k_shares is 0.1"),
        ("k_shares = [0.1]\nn_ratios = []\nsteps = 40", "n_ratios"),
        ("k_shares = [0.1]\nn_ratios = [1]\nsteps = 3", "at least 20"),
        ("k_shares = [0.1]\nn_ratios = [1]\nsteps = 40\nk = 3", "unknown k"),
        ("k_shares = [0.1]\nn_ratios = [1]", "steps"),
    ],
)
def test_mistakes_in_the_grid_are_named(tmp_path: Path, table: str, words: str) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(
        '[[corpora]]\nname = "a"\nsource = { kind = "synthetic" }\n[[saes]]\nk = 4\nn_latents = 64\n'
        f"[grid]\n{table}\n"
    )
    with pytest.raises(UserError, match=words):
        load_profile(str(path))
