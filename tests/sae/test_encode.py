"""NumPy encoding against PyTorch, against sorting, and block by block."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae import encode as encoding
from sae.config import SAEConfig
from sae.encode import Weights, decode, encode, top_k
from sae.errors import UserError
from sae.model import PARAMETER_NAMES, TopKSAE
from sae.model import top_k as torch_top_k

torch.set_num_threads(1)


def random_weights(d_in, n_latents, k, seed=0):
    rng = np.random.default_rng(seed)
    W_dec = rng.standard_normal((n_latents, d_in), dtype=np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    return Weights(
        W_enc=2 * W_dec + 0.1 * rng.standard_normal((n_latents, d_in), dtype=np.float32),
        W_dec=W_dec,
        pre_bias=0.1 * rng.standard_normal(d_in, dtype=np.float32),
        latent_bias=0.1 * rng.standard_normal(n_latents, dtype=np.float32),
        mean=rng.standard_normal(d_in, dtype=np.float32),
        scale=0.37,
        k=k,
    )


def as_torch(weights):
    sae = TopKSAE(SAEConfig(weights.d_in, weights.n_latents, weights.k))
    sae.load_state_dict({name: torch.from_numpy(getattr(weights, name)) for name in PARAMETER_NAMES})
    return sae


@pytest.mark.parametrize("shape", [(16, 40, 3), (24, 24, 24), (7, 300, 1)])
def test_equals_torch(shape):
    weights = random_weights(*shape)
    x = np.random.default_rng(1).standard_normal((200, shape[0]), dtype=np.float32)
    z = torch.from_numpy((x - weights.mean) / np.float32(weights.scale))
    acts, indices = encode(x, weights)
    with torch.no_grad():
        sae = as_torch(weights)
        torch_acts, torch_indices = sae.encode(z)
        torch_recons = sae.decode(torch_acts, torch_indices).numpy()
    assert acts.dtype == np.float32
    assert indices.dtype == np.int32
    positive = acts > 0
    for row in range(len(x)):
        mine = set(indices[row][positive[row]])
        theirs = set(torch_indices[row][torch_acts[row] > 0].tolist())
        assert mine == theirs
    np.testing.assert_allclose(acts, torch_acts.numpy(), atol=1e-5)
    np.testing.assert_allclose(
        decode(acts, indices, weights), torch_recons * np.float32(weights.scale) + weights.mean, atol=1e-5
    )


def slow_top_k(row, k):
    order = sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]
    chosen = sorted(order, key=lambda j: (-max(row[j], 0), j))
    return [max(row[j], 0) for j in chosen], chosen


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_top_k_breaks_ties_by_the_lower_index(data):
    n = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, n))
    rows = data.draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=5))
    pre_act = np.array(rows, np.float32)
    acts, indices = top_k(pre_act, k)
    _, torch_indices = torch_top_k(torch.from_numpy(pre_act), k)
    for row in range(len(rows)):
        expected_acts, expected_indices = slow_top_k(rows[row], k)
        assert acts[row].tolist() == expected_acts
        assert indices[row].tolist() == expected_indices
        assert set(torch_indices[row].tolist()) == set(expected_indices)


def test_blocks_change_nothing(monkeypatch):
    weights = random_weights(16, 64, 4)
    x = np.random.default_rng(2).standard_normal((50, 16)).astype(np.float16)
    whole = encode(x, weights)
    monkeypatch.setattr(encoding, "BLOCK_ROWS", 7)
    for a, b in zip(whole, encode(x, weights), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_wrong_width_is_named():
    with pytest.raises(ValueError, match=r"\(3, 5\)"):
        encode(np.zeros((3, 5)), random_weights(16, 64, 4))


def test_model_file_keeps_weights_and_config(tmp_path):
    sae = as_torch(random_weights(16, 64, 4))
    sae.save(tmp_path / "sae.safetensors")
    loaded = TopKSAE.load(tmp_path / "sae.safetensors")
    assert loaded.config == sae.config
    for name in PARAMETER_NAMES:
        assert torch.equal(getattr(loaded, name), getattr(sae, name))


def test_foreign_model_file_is_refused(tmp_path):
    (tmp_path / "sae.safetensors").write_bytes(b"not a model at all")
    with pytest.raises(UserError, match=r"sae\.safetensors"):
        TopKSAE.load(tmp_path / "sae.safetensors")


def test_a_query_alone_is_encoded_as_among_others():
    weights = random_weights(700, 300, 6)  # more than is taken through the directions at once
    rows = np.random.default_rng(5).standard_normal((5, 700), dtype=np.float32)
    together, ids = encode(rows, weights)
    for row, acts, indices in zip(rows, together, ids, strict=True):
        alone, own = encode(row[None], weights)
        np.testing.assert_array_equal(own[0], indices)
        np.testing.assert_allclose(alone[0], acts, rtol=1e-5, atol=1e-6)


def test_many_blocks_hold_no_more_than_one(monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_ROWS", 64)
    weights = random_weights(8, 4000, 4)
    x = np.random.default_rng(0).standard_normal((10 * 64, 8), dtype=np.float32)
    tracemalloc.start()
    outputs = encode(x, weights)
    held = tracemalloc.get_traced_memory()[1] - sum(array.nbytes for array in outputs)
    tracemalloc.stop()
    block = 64 * weights.n_latents * 4
    assert block < held < 2.6 * block
