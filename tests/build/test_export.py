"""What is exported gives the activations and reconstructions of the store, from embeddings as they are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from build.export import export_sae
from sae.encode import decode, encode
from sae.store import SAE, open_store


@pytest.fixture(scope="module")
def sae(tiny_store: Path) -> SAE:
    return open_store(tiny_store).corpus("planted").sae("SAE3")


def test_weights_apply_to_raw_embeddings(sae: SAE, tmp_path: Path) -> None:
    export_sae(sae, tmp_path)
    config = json.loads((tmp_path / "cfg.json").read_text())
    tensors = load_file(tmp_path / "sae_weights.safetensors")
    assert tensors["W_enc"].shape == (config["d_in"], config["d_sae"])
    x = np.asarray(sae.corpus.embeddings[:50], np.float32)
    acts, indices = encode(x, sae.weights)

    pre_act = (x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
    kept = np.zeros_like(pre_act)
    top = np.argsort(-pre_act, axis=1, kind="stable")[:, : config["k"]]
    np.put_along_axis(kept, top, np.maximum(np.take_along_axis(pre_act, top, 1), 0), axis=1)
    expected = np.zeros_like(pre_act)
    np.put_along_axis(expected, indices, acts, axis=1)
    np.testing.assert_allclose(kept, expected, atol=1e-4)
    recons = kept @ tensors["W_dec"] + tensors["b_dec"]
    np.testing.assert_allclose(recons, decode(acts, indices, sae.weights), atol=1e-5)


def test_features_are_read_by_others(sae: SAE, tmp_path: Path) -> None:
    export_sae(sae, tmp_path)
    table = pd.read_csv(tmp_path / "features.csv")
    assert table["feature_id"].tolist() == list(range(sae.n_latents))
    assert list(table.columns) == sae.features().column_names
    assert len(pd.read_parquet(tmp_path / "features.parquet")) == sae.n_latents
