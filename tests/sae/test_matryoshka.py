"""Matryoshka and BatchTopK: losses against slow, obvious code, then training, encoding and storing whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae import schema
from sae.config import SAEConfig, TrainConfig
from sae.encode import decode, encode
from sae.errors import UserError
from sae.model import TopKSAE
from sae.storage.manifest import StoreError
from sae.storage.weights import read_weights, write_weights
from sae.train import train
from sae.training.calibrate import threshold_of
from sae.training.loss import batch_losses

torch.set_num_threads(1)
D_IN, N, K = 12, 30, 3
PREFIXES = (4, 11, N)
HELD_OUT = np.arange(200)


def random_sae(batch_topk: bool, prefixes: tuple[int, ...] | None = PREFIXES, seed: int = 0) -> TopKSAE:
    sae = TopKSAE(SAEConfig(D_IN, N, K, prefixes=prefixes, batch_topk=batch_topk), torch.float64)
    generator = torch.Generator().manual_seed(seed)
    for parameter in sae.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    return sae


def slow_total(sae: TopKSAE, z: torch.Tensor, normaliser: float, dead: torch.Tensor) -> torch.Tensor:
    """The loss, entry by entry, as the papers write it."""
    config, n = sae.config, len(z)
    pre = (z - sae.pre_bias) @ sae.W_enc.T + sae.latent_bias
    entries = [(float(pre[i, j].detach()), i, j) for i in range(n) for j in range(N)]
    if config.batch_topk:
        kept = sorted(entries, reverse=True)[: config.k * n]
    else:
        kept = [
            e for i in range(n) for e in sorted((e for e in entries if e[1] == i), reverse=True)[: config.k]
        ]
    kept = [entry for entry in kept if entry[0] > 0]
    errors = []
    for prefix in config.prefixes or (N,):
        recons = [sae.pre_bias for _ in range(n)]
        for _, i, j in kept:
            if j < prefix:
                recons[i] = recons[i] + pre[i, j] * sae.W_dec[j]
        errors.append(sum((recons[i] - z[i]).square().sum() for i in range(n)) / (n * D_IN) / normaliser)
    residual = (z - torch.stack(recons)).detach()
    silent = [j for j in range(N) if dead[j] and all(j != kept_j for _, _, kept_j in kept)]
    aux = torch.zeros((), dtype=z.dtype)
    if silent:
        rebuilt = []
        for i in range(n):
            best = sorted(silent, key=lambda j: -float(pre[i, j].detach()))[: min(config.n_aux, len(silent))]
            rebuilt.append(sum(pre[i, j].relu() * sae.W_dec[j] for j in best))
        aux = (torch.stack(rebuilt) - residual).square().mean() / (
            residual - residual.mean(0)
        ).square().mean()
    return sum(errors) / len(errors) + config.aux_alpha * aux


@pytest.mark.parametrize("batch_topk", [False, True])
@pytest.mark.parametrize("prefixes", [None, PREFIXES])
@pytest.mark.parametrize("n_dead", [0, 9])
def test_loss_and_gradients_are_what_the_papers_write(
    batch_topk: bool, prefixes: tuple[int, ...] | None, n_dead: int
) -> None:
    z = torch.randn(7, D_IN, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    dead = torch.arange(N) >= N - n_dead
    gradients = []
    for loss_of in (
        lambda sae: batch_losses(sae, z, z, 0.7, dead).total,
        lambda sae: slow_total(sae, z, 0.7, dead),
    ):
        sae = random_sae(batch_topk, prefixes)
        loss = loss_of(sae)
        loss.backward()
        gradients.append([loss.detach(), *(p.grad for p in sae.parameters())])
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)


def test_a_prefix_knows_nothing_of_later_latents() -> None:
    z = torch.randn(9, D_IN, dtype=torch.float64)
    sae = random_sae(batch_topk=True)
    whole = batch_losses(sae, z, z, 1.0, torch.zeros(N, dtype=torch.bool))
    sae.W_dec.data[PREFIXES[1] :] *= 3
    changed = batch_losses(sae, z, z, 1.0, torch.zeros(N, dtype=torch.bool))
    # Only the last of three errors moved, and the total is their mean.
    moved = (changed.reconstruction - whole.reconstruction).detach()
    assert float(moved) != 0
    torch.testing.assert_close((changed.total - whole.total).detach(), moved / 3)


def documents(n: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(0)
    codes = rng.exponential(1, (n, 40)) * (rng.random((n, 40)) < 0.08)
    return (codes @ rng.normal(size=(40, D_IN)) + 0.1 * rng.normal(size=(n, D_IN))).astype(np.float32)


def test_trained_encoded_stored_and_read(tmp_path: Path) -> None:
    x = documents()
    config = SAEConfig(D_IN, N, K, prefixes=PREFIXES, batch_topk=True)
    recipe = TrainConfig(200, batch_size=128, learning_rate=1e-2, input_noise=0.2)
    result = train(x, config, recipe, held_out=HELD_OUT)
    assert result.path == "reference"
    weights = result.weights()
    assert (weights.k, weights.threshold > 0) == (2 * K, True)
    top_acts, top_indices = encode(x[HELD_OUT], weights)
    active = (top_acts > 0).sum(axis=1)
    assert active.mean() == pytest.approx(K, abs=0.02)
    assert active.max() > K
    assert top_acts[top_acts > 0].min() >= weights.threshold
    recons = decode(top_acts, top_indices, weights)
    fvu = np.square(recons - x[HELD_OUT]).mean() / x[HELD_OUT].var(axis=0).mean()
    assert fvu == pytest.approx(result.history["held_out_fvu"][-1], rel=1e-3)
    assert fvu < 0.7
    z = torch.from_numpy((x[HELD_OUT] - weights.mean) / np.float32(weights.scale))
    torch_acts, _ = result.sae.encode(z)
    np.testing.assert_allclose(
        torch_acts.detach().numpy().sum(axis=1), top_acts.sum(axis=1), rtol=1e-3, atol=1e-3
    )

    write_weights(tmp_path / schema.SAE, weights)
    assert read_weights(tmp_path / schema.SAE).threshold == weights.threshold
    result.sae.save(tmp_path / "sae.safetensors")
    loaded = TopKSAE.load(tmp_path / "sae.safetensors")
    assert (loaded.config, loaded.threshold) == (config, result.sae.threshold)


def test_the_threshold_is_taken_from_all_of_a_sorted_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sae.train.MOST_TO_CALIBRATE", 100)
    x = documents()
    x = x[np.argsort(-np.linalg.norm(x - x.mean(axis=0), axis=1))]  # the first held-out ones are the loudest
    held_out = np.arange(0, len(x), 4)
    result = train(x, SAEConfig(D_IN, N, K, batch_topk=True), TrainConfig(60, 128, 1e-2), held_out=held_out)
    active = (encode(x[held_out], result.weights())[0] > 0).sum(axis=1)
    assert active[:100].mean() > 1.15 * K
    assert active.mean() == pytest.approx(K, rel=0.05)


def test_plain_weights_are_stored_as_before_and_a_foreign_threshold_is_refused(tmp_path: Path) -> None:
    result = train(documents(300), SAEConfig(D_IN, N, K), TrainConfig(3, path="reference"))
    path = tmp_path / schema.SAE
    write_weights(path, result.weights())
    text = (path / "zarr.json").read_text()
    assert "threshold" not in text
    for wrong in ("-1.0", "1e999", "true", '"1"', "3"):
        (path / "zarr.json").write_text(text.replace('"k"', f'"threshold": {wrong}, "k"'))
        with pytest.raises(StoreError):
            read_weights(path)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    x, config = documents(600), SAEConfig(D_IN, N, K, prefixes=PREFIXES, batch_topk=True)
    whole = train(x, config, TrainConfig(30, 64), held_out=HELD_OUT)
    checkpoint = tmp_path / "run.npz"

    def kill(done: int, total: int, note: str) -> None:
        if total == 30 and checkpoint.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            x,
            config,
            TrainConfig(30, 64),
            kill,
            held_out=HELD_OUT,
            checkpoint=checkpoint,
            checkpoint_seconds=0,
        )
    resumed = train(x, config, TrainConfig(30, 64), held_out=HELD_OUT, checkpoint=checkpoint)
    assert torch.equal(whole.sae.W_enc, resumed.sae.W_enc)
    assert whole.sae.threshold == resumed.sae.threshold


def test_the_fast_path_says_what_it_does_not_know() -> None:
    for options in ({"prefixes": PREFIXES}, {"batch_topk": True}):
        with pytest.raises(UserError, match="auto or reference"):
            train(documents(100), SAEConfig(D_IN, N, K, **options), TrainConfig(3, path="fast"))


@pytest.mark.parametrize("prefixes", [(), (4, 4, N), (9, 4, N), (4, 11), (0, N), (4, N, N + 1)])
def test_prefixes_that_are_none_are_refused(prefixes: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="prefixes"):
        SAEConfig(D_IN, N, K, prefixes=prefixes)


def test_threshold_keeps_k_on_average() -> None:
    acts = np.random.default_rng(0).exponential(1, (100, 6)).astype(np.float32)
    threshold = threshold_of(acts, 3)
    assert (acts >= threshold).sum() == 300
    assert threshold_of(np.zeros((5, 6)), 3) == 0
    assert threshold_of(np.zeros((0, 6)), 3) == 0
