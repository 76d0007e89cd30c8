"""Opening a store: what is there is read right, what is not there gets one clear sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from sae import schema
from sae.encode import encode
from sae.storage.manifest import StoreError
from sae.store import open_store


@pytest.fixture
def copy(tiny_store: Path, tmp_path: Path) -> Path:
    """A copy of the served part of the tiny store, to break."""
    name = (tiny_store / schema.CURRENT).read_text().strip()
    (tmp_path / schema.CURRENT).write_text(name + "\n")
    shutil.copytree(tiny_store / schema.BUILDS / name, tmp_path / schema.BUILDS / name)
    return tmp_path


def build_of(root: Path) -> Path:
    return next((root / schema.BUILDS).iterdir())


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"No artifacts in .*missing/\. Run `make artifacts` .*`ARTIFACTS`"):
        open_store(tmp_path / "missing")


def test_a_build_that_was_never_finished(copy: Path) -> None:
    (build_of(copy) / schema.MANIFEST).unlink()
    with pytest.raises(StoreError, match="was never finished"):
        open_store(copy)
    (copy / schema.CURRENT).unlink()
    with pytest.raises(StoreError, match="No finished build"):
        open_store(copy)


@pytest.mark.parametrize(("version", "word"), [(schema.SCHEMA_VERSION - 1, "older"), (99, "newer")])
def test_another_schema(copy: Path, version: int, word: str) -> None:
    path = build_of(copy) / schema.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))
    with pytest.raises(StoreError, match=word):
        open_store(copy)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema_version": true}', '{"schema_version": 1}', "\x00\xff"]
)
def test_a_damaged_manifest(copy: Path, text: str) -> None:
    (build_of(copy) / schema.MANIFEST).write_text(text)
    with pytest.raises(StoreError, match="damaged"):
        open_store(copy)


def _edit(build: Path, change: Callable[[dict], object]) -> None:
    raw = json.loads((build / schema.MANIFEST).read_text())
    change(raw)
    (build / schema.MANIFEST).unlink()  # the copy may share bytes with the original
    (build / schema.MANIFEST).write_text(json.dumps(raw))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(title="Another"),
        lambda raw: raw["corpora"]["planted"].update(quarantined=10**6),
        lambda raw: raw["corpora"]["planted"]["saes"]["SAE3"].update(held_out_fvu=0.001),
        lambda raw: raw["provenance"].clear(),
        lambda raw: raw.update(checksum="0" * 64),
        lambda raw: raw.update(checksum=None),
    ],
)
def test_a_manifest_that_says_another_thing_than_was_written(
    copy: Path, change: Callable[[dict], object]
) -> None:
    _edit(build_of(copy), change)
    with pytest.raises(StoreError, match="its own checksum is wrong"):
        open_store(copy)


def test_a_manifest_may_be_written_in_another_way_or_without_checksum(copy: Path) -> None:
    _edit(build_of(copy), lambda raw: raw)
    assert open_store(copy).manifest == open_store(build_of(copy)).manifest
    _edit(build_of(copy), lambda raw: raw.pop("checksum"))
    open_store(copy)


def test_a_shard_in_the_place_of_another(copy: Path) -> None:
    """It is whole, of the right size and shape, with right checksums of its own: only the manifest knows."""
    folder = build_of(copy) / "planted" / "SAE3" / "sae.zarr"
    shard = folder / "mean" / "c" / "0"
    size = shard.stat().st_size
    array = zarr.open_array(str(folder / "mean"), mode="r+")
    values = np.asarray(array[...])
    for shift in range(1, len(values)):
        shard.unlink(missing_ok=True)
        array[...] = np.roll(values, shift)
        if shard.stat().st_size == size:
            break
    else:
        pytest.fail("no other order of the values takes as many bytes")
    with pytest.raises(StoreError, match=r"mean/c/0 has a wrong checksum"):
        _ = open_store(copy).corpus("planted").sae("SAE3").weights


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_a_manifest_that_points_outside(copy: Path, path: str) -> None:
    manifest = build_of(copy) / schema.MANIFEST
    raw = json.loads(manifest.read_text())
    raw["files"][path] = {"sha256": "0" * 64, "size": 1}
    manifest.write_text(json.dumps(raw))
    with pytest.raises(StoreError, match="damaged"):
        open_store(copy)


@pytest.mark.parametrize("pointer", ["nowhere", "../x", "", "a/b"])
def test_current_names_nothing(copy: Path, pointer: str) -> None:
    (copy / schema.CURRENT).write_text(pointer)
    with pytest.raises(StoreError, match=r"Run `make artifacts`"):
        open_store(copy)


def test_unknown_names_list_the_known(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    with pytest.raises(StoreError, match="planted"):
        store.corpus("nothing")
    with pytest.raises(StoreError, match="SAE3"):
        store.corpus("planted").sae("nothing")


def test_documents_come_in_the_order_asked_for(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    everything = pq.read_table(corpus.path / schema.DOCUMENTS)
    rows = np.random.default_rng(0).integers(0, corpus.n_documents, 40)
    assert corpus.documents(rows).equals(everything.take(rows).combine_chunks()) or (
        corpus.documents(rows).to_pylist() == everything.take(rows).to_pylist()
    )


def test_both_layouts_of_latents_agree_with_the_encoder(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    for name in corpus.saes:
        sae = corpus.sae(name)
        rows = np.arange(0, corpus.n_documents, 7)
        acts, indices = encode(np.asarray(corpus.embeddings[rows], np.float32), sae.weights)
        stored_acts, stored_indices = sae.by_document(rows)
        np.testing.assert_array_equal(stored_indices, indices)
        np.testing.assert_allclose(stored_acts, acts, rtol=2e-3, atol=1e-6)
        dense = np.zeros((corpus.n_documents, sae.weights.n_latents), np.float32)
        all_acts, all_indices = sae.by_document(np.arange(corpus.n_documents))
        np.put_along_axis(dense, all_indices, all_acts, axis=1)
        for feature_id in range(sae.weights.n_latents):
            documents, values = sae.by_feature(feature_id)
            assert sorted(documents) == np.flatnonzero(dense[:, feature_id]).tolist()
            np.testing.assert_array_equal(values, dense[documents, feature_id])


def test_features_have_every_column_and_row(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    for name in corpus.saes:
        sae = corpus.sae(name)
        table = sae.features()
        assert table.schema.names == schema.FEATURE_COLUMNS.names
        assert table["feature_id"].to_pylist() == list(range(sae.weights.n_latents))
        training = sae.training().to_pandas()
        assert training["fvu"].iloc[-1] < training["fvu"].iloc[0]
        assert sae.facts["held_out_fvu"] < 1
