"""The fast step against the reference: gradients in float64, whole steps, selection, threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.compiled.fast import FastStepper
from sae.compiled.selector import Selector
from sae.config import SAEConfig, TrainConfig
from sae.model import PARAMETER_NAMES
from sae.training.data import Standardisation, noise_codes
from sae.training.initialise import Parameters
from sae.training.reference import ReferenceStepper

torch.set_num_threads(1)


def random_parameters(rng, d_in, n_latents, dtype=np.float64):
    W_dec = rng.standard_normal((n_latents, d_in))
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    W_enc = 1.5 * W_dec + 0.3 * rng.standard_normal((n_latents, d_in))
    pre_bias, latent_bias = rng.standard_normal(d_in), 0.2 * rng.standard_normal(n_latents)
    return Parameters(*(array.astype(dtype) for array in (W_enc, W_dec, pre_bias, latent_bias)))


def pair(config, train_config, parameters, since_active, dead_after, dtype=np.float64, **options):
    """A reference and a fast stepper in the same state."""
    standard = Standardisation(np.zeros(config.d_in, np.float32), 1.0)
    reference = ReferenceStepper(config, train_config, standard, parameters, dead_after)
    fast = FastStepper(config, train_config, standard, parameters, dead_after, dtype=dtype, **options)
    reference.since_active += torch.from_numpy(since_active)
    fast.since_active += since_active
    return reference, fast


def assert_gradients_equal(reference, fast, x, noise, tolerance):
    losses = reference.gradients(x, noise)
    gradients, report = fast.gradients(x, noise)
    assert report.loss == pytest.approx(losses.total.item(), rel=1e-6 if tolerance > 1e-8 else 1e-12)
    assert report.aux_loss == pytest.approx(losses.aux.item(), rel=1e-6 if tolerance > 1e-8 else 1e-12)
    for name in PARAMETER_NAMES:
        expected = getattr(reference.sae, name).grad.numpy()
        np.testing.assert_allclose(
            getattr(gradients, name), expected, atol=tolerance * max(1, abs(expected).max()), err_msg=name
        )
    np.testing.assert_array_equal(fast.since_active, reference.since_active.numpy())
    batch, entries, _ = fast._see(x, noise)
    assert gradients.norm <= fast._norm_bound(batch, entries)
    along = (reference.sae.W_dec.grad * reference.sae.W_dec).sum(1).detach().numpy()
    np.testing.assert_allclose(gradients.parallel, along, atol=tolerance * 10)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_gradients_equal_autograd(data):
    d_in = data.draw(st.sampled_from([1, 5, 40, 130, 257]), label="d_in")
    n_latents = data.draw(st.integers(2, 200), label="n_latents")
    k = data.draw(st.integers(1, min(n_latents, 12)), label="k")
    n = data.draw(st.sampled_from([1, 3, 50, 300]), label="documents")
    aux_k = data.draw(st.sampled_from([None, 1, 7]), label="aux_k")
    noisy = data.draw(st.booleans(), label="noise")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16), label="seed"))
    parameters = random_parameters(rng, d_in, n_latents)
    x = rng.standard_normal((n, d_in))
    kind = data.draw(
        st.sampled_from(["plain", "ties", "zero rows", "all at pre_bias", "one row over and over"]),
        label="kind",
    )
    paired = n_latents - n_latents % 2
    if kind == "ties":  # encoder rows in pairs, so that every activation comes twice
        # Whole pairs are selected, since PyTorch takes either of two that tie for the last place.
        k, aux_k = max(2, k - k % 2), None
        parameters.W_enc[1:paired:2] = parameters.W_enc[:paired:2]
        parameters.latent_bias[:] = 0
        parameters.latent_bias[paired:] = -1e3
    if kind == "zero rows":
        x[::2] = 0
    if kind == "all at pre_bias":  # every latent ties at 0, and nothing is active
        x[:] = parameters.pre_bias
        parameters.latent_bias[:] = 0
    if kind == "one row over and over":  # the residual has no variance
        x[:] = x[0]
    share_dead = data.draw(st.sampled_from([0.0, 0.1, 1.0]), label="share dead")
    since_active = np.where(rng.random(n_latents) < share_dead, 10**6, 0)
    if kind == "ties":
        since_active[1:paired:2] = since_active[:paired:2]
        since_active[paired:] = 0
    train_config = TrainConfig(1, input_noise=0.3 if noisy else 0.0)
    config = SAEConfig(d_in, n_latents, k, aux_k=aux_k)
    reference, fast = pair(config, train_config, parameters, since_active, 10**6)
    noise = noise_codes(0, 0, x.shape) if noisy else None
    assert_gradients_equal(reference, fast, x, noise, 1e-10)


@pytest.mark.parametrize("screen", [False, True])
def test_float32_gradients_are_those_of_autograd(screen):
    rng = np.random.default_rng(3)
    config = SAEConfig(96, 500, 6)
    parameters = random_parameters(rng, 96, 500, np.float32)
    since_active = np.where(np.arange(500) < 50, 10**6, 0)
    options = {"dtype": np.float32, "screen": screen}
    reference, fast = pair(config, TrainConfig(1), parameters, since_active, 10**6, **options)
    x = rng.standard_normal((300, 96)).astype(np.float32)
    assert_gradients_equal(reference, fast, x, None, 1e-6)


@pytest.mark.parametrize("clip_norm", [0.05, 1.0, 10.0])
def test_steps_equal_autograd_with_every_option(clip_norm):
    """With gradients that are clipped, that a bound says may be clipped, and that it says are not."""
    rng = np.random.default_rng(4)
    config = SAEConfig(40, 90, 4)
    train_config = TrainConfig(10, input_noise=0.4, encoder_decay=2.0, clip_norm=clip_norm)
    parameters = random_parameters(rng, 40, 90)
    reference, fast = pair(config, train_config, parameters, np.zeros(90, np.int64), 150)
    for step in range(10):
        x = rng.standard_normal((64, 40))
        noise = noise_codes(1, step, x.shape)
        expected, got = (stepper.step(x, noise, 1e-2) for stepper in (reference, fast))
        assert got.dead == expected.dead
        assert got.loss == pytest.approx(expected.loss, rel=1e-10)
    assert got.dead > 0
    for name, array in vars(fast.parameters()).items():
        np.testing.assert_allclose(array, getattr(reference.parameters(), name), atol=1e-9, err_msg=name)
    np.testing.assert_allclose(np.linalg.norm(fast.parameters().W_dec, axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("path", ["reference", "fast"])
def test_no_nan_whether_all_or_nothing_is_dead(path):
    rng = np.random.default_rng(5)
    config = SAEConfig(16, 30, 3)
    for since_active in (np.zeros(30, np.int64), np.full(30, 10**6)):
        parameters = random_parameters(rng, 16, 30, np.float32)
        parameters.latent_bias[:] = -100.0 if since_active.any() else 0.0  # nothing fires, or everything
        steppers = pair(config, TrainConfig(3), parameters, since_active, 10**6, dtype=np.float32)
        stepper = steppers[path == "fast"]
        for _ in range(3):
            report = stepper.step(rng.standard_normal((20, 16)).astype(np.float32), None, 1e-3)
            assert np.isfinite([report.loss, report.aux_loss, report.fvu]).all()
            assert report.dead == (30 if since_active.any() else 0)
        for array in vars(stepper.parameters()).values():
            assert np.isfinite(array).all()


def test_momentum_of_a_latent_that_is_never_active_keeps_full_precision_or_is_0():
    """Numbers without it make a step several times slower, and 0.9 of the smallest is rounded to itself."""
    rng = np.random.default_rng(5)
    config, parameters = SAEConfig(16, 30, 3), random_parameters(rng, 16, 30, np.float32)
    _, fast = pair(config, TrainConfig(3), parameters, np.zeros(30, np.int64), 10**9, dtype=np.float32)
    x = rng.standard_normal((20, 16)).astype(np.float32)
    fast.step(x, None, 1e-3)
    fast.weights["latent_bias"][:10] = -100.0
    for _ in range(900):
        fast.step(x, None, 0.0)
    for moments in (fast.adam_mean, fast.adam_square):
        for name in ("W_enc", "W_dec"):
            sizes = np.abs(moments[name][:10])
            assert ((sizes == 0) | (sizes >= np.finfo(np.float32).tiny)).all()
    assert not fast.adam_mean["W_enc"][:10].any()


def test_nothing_dead_means_no_aux_gradient():
    rng = np.random.default_rng(6)
    x, parameters = rng.standard_normal((50, 16)), random_parameters(rng, 16, 30)
    gradients = []
    for alpha in (1 / 32, 0.0):
        config = SAEConfig(16, 30, 3, aux_alpha=alpha)
        reference, _ = pair(config, TrainConfig(1), parameters, np.zeros(30, np.int64), 10**6)
        reference.gradients(x, None)
        gradients.append([getattr(reference.sae, name).grad.clone() for name in PARAMETER_NAMES])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("shape", [(64, 1000, 8), (384, 768, 8), (33, 50, 20)])
@pytest.mark.parametrize("kind", ["dense", "spiky", "one huge row", "all the same"])
def test_screen_selects_what_float32_selects(shape, kind):
    """Also when a few entries carry everything, where rounding errors do not average out."""
    d_in, n_latents, k = shape
    rng = np.random.default_rng(7)
    parameters = random_parameters(rng, d_in, n_latents, np.float32)
    x = rng.standard_normal((300, d_in)).astype(np.float32)
    if kind == "spiky":
        x *= rng.random(x.shape) < 0.02
        x *= 30
    if kind == "one huge row":
        parameters.W_enc[3] *= 1000
        parameters.latent_bias[4] = -1000
    if kind == "all the same":
        x[:] = 0
        parameters.latent_bias[:] = 0
    found = []
    for screen in (False, True):
        selector = Selector(parameters.W_enc, parameters.latent_bias, k, screen=screen)
        acts, indices = np.empty((300, k), np.float32), np.empty((300, k), np.int32)
        selector.select(x, acts, indices, 1)
        order = np.argsort(indices, axis=1)
        found.append((np.take_along_axis(indices, order, 1), np.take_along_axis(acts, order, 1)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_selection_does_not_depend_on_what_was_selected_from_before(threads):
    """Scratch is kept from one call to the next, and made again where the documents are more or fewer."""
    rng, k = np.random.default_rng(5), 6
    parameters = random_parameters(rng, 48, 512, np.float32)
    kept = Selector(parameters.W_enc, parameters.latent_bias, k, screen=True)
    for n in (1024, 1, 513, 1000, 64, 1024):
        x = rng.standard_normal((n, 48)).astype(np.float32)
        found = []
        for selector in (kept, Selector(parameters.W_enc, parameters.latent_bias, k, screen=True)):
            acts, indices = np.empty((n, k), np.float32), np.empty((n, k), np.int32)
            selector.select(x, acts, indices, threads)
            found.append((acts, indices))
        np.testing.assert_array_equal(found[0][1], found[1][1])
        np.testing.assert_array_equal(found[0][0], found[1][0])
        expected = np.sort(x @ parameters.W_enc.T + parameters.latent_bias, axis=1)[:, -k:]
        np.testing.assert_allclose(
            np.sort(found[0][0], axis=1), np.maximum(expected, 0), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("n", [1024, 1500])
def test_selection_does_not_depend_on_threads_where_the_screen_is_not_certain(n, monkeypatch):
    """A direction that all rows of W_enc share, and some documents have most of: their entries lie too near."""
    rng, d_in, n_latents, k = np.random.default_rng(4), 384, 3072, 8
    parameters = random_parameters(rng, d_in, n_latents, np.float32)
    shared = rng.standard_normal(d_in).astype(np.float32)
    shared /= np.linalg.norm(shared)
    parameters.W_enc[:] = 0.01 * parameters.W_enc + shared
    x = rng.standard_normal((n, d_in)).astype(np.float32)
    hard = np.sort(rng.choice(n, 11, replace=False))
    x[hard] += 3000 * shared
    again, found = [], []
    in_float32 = Selector._select_again

    def watched(self, x, rows, *into):
        again.append(len(rows))
        in_float32(self, x, rows, *into)

    monkeypatch.setattr(Selector, "_select_again", watched)
    for threads in (1, 2, 3, 8):
        selector = Selector(parameters.W_enc, parameters.latent_bias, k, screen=True)
        acts, indices = np.empty((n, k), np.float32), np.empty((n, k), np.int32)
        selector.select(x, acts, indices, threads)
        found.append((acts, indices))
    assert sum(again) >= 4 * len(hard)
    for acts, indices in found[1:]:
        np.testing.assert_array_equal(indices, found[0][1])
        np.testing.assert_array_equal(acts, found[0][0])


def test_result_does_not_depend_on_threads():
    config, rng = SAEConfig(40, 90, 4), np.random.default_rng(8)
    x = rng.standard_normal((5, 700, 40)).astype(np.float32)
    parameters = random_parameters(rng, 40, 90, np.float32)
    states = []
    for threads in (1, 2, 5):
        _, fast = pair(
            config, TrainConfig(5), parameters, np.zeros(90, np.int64), 900, np.float32, threads=threads
        )
        for batch in x:
            fast.step(batch, None, 1e-2)
        states.append(fast.state())
    for state in states[1:]:
        for name, array in states[0].items():
            np.testing.assert_array_equal(array, state[name], err_msg=name)
