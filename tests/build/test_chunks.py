"""Chunks on a cluster's workers give what one process gives: embeddings, latents, statistics, co-occurrence."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from build import cooccurrence_chunks, encode, statistics
from build.chunks import Chunks, InProcess, OnCluster
from build.config import BuildConfig, CorpusConfig, SAEPlan
from build.embedders import embed_corpus
from build.embedders.minilm import MiniLMEmbedder
from build.work import Target, Work
from sae import schema
from sae.encode import Weights
from sae.encode import encode as encode_to_serve
from sae.errors import UserError
from sae.storage.arrays import Group
from sae.storage.weights import read_weights, write_weights

ROOT = Path(__file__).parent.parent.parent
D_IN, N_LATENTS, K, N_DOCUMENTS = 16, 80, 4, 3000
CONFIG = BuildConfig(
    (CorpusConfig("a", {"kind": "synthetic"}),), {}, (SAEPlan(k=K, n_latents=N_LATENTS),), {}
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnCluster]:
    """A scheduler and a worker on this machine, each a process of its own, as README starts them."""
    folder = tmp_path_factory.mktemp("cluster")
    known = folder / "scheduler.json"
    paths = os.pathsep.join(
        [str(ROOT), str(Path(__file__).parent)]
    )  # a worker imports this file's functions too
    started = []
    try:
        for program, *options in (
            ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show"),
            ("worker", "--no-nanny", "--nthreads", "2", "--local-directory", str(folder)),
        ):
            command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *options, "--no-dashboard"]
            started.append(
                subprocess.Popen(
                    [*command, "--scheduler-file", str(known)],
                    env=os.environ | {"PYTHONPATH": paths},
                    stderr=subprocess.DEVNULL,
                )
            )
        deadline = time.monotonic() + 120
        while not known.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        chunks = OnCluster(json.loads(known.read_text())["address"])
        yield chunks
        chunks.client.close()
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for the outputs of the stages embeddings and train."""
    folder, rng = tmp_path_factory.mktemp("inputs"), np.random.default_rng(0)
    np.save(folder / schema.EMBEDDINGS, rng.standard_normal((N_DOCUMENTS, D_IN)).astype(np.float16))
    rows = rng.standard_normal((N_LATENTS, D_IN)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    mean = np.full(D_IN, 0.01, np.float32)
    bias = np.concatenate([np.zeros(N_LATENTS - 1), [-99]]).astype(np.float32)  # the last latent is dead
    write_weights(folder / schema.SAE, Weights(rows, rows, mean, bias, mean, 1.0, K))
    return folder


def run(stage: object, inputs: Path, out: Path, chunks: Chunks) -> dict[str, object]:
    out.mkdir(parents=True, exist_ok=True)
    target = Target(CONFIG, D_IN, CONFIG.corpora[0], CONFIG.saes[0])

    def folder(name: str, sae: str | None, corpus: str | None) -> Path:
        return out if name == "encode" else inputs

    return stage.run(Work(target, out, out, out, folder, chunks=chunks))  # type: ignore[attr-defined, no-any-return]


def test_stages_give_the_same_files(
    tmp_path: Path, inputs: Path, cluster: OnCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_ROWS_AT_ONCE", 700)
    monkeypatch.setattr(statistics, "_FEATURES_AT_ONCE", 30)
    monkeypatch.setattr(cooccurrence_chunks, "DOCUMENTS_A_CHUNK", 1100)
    facts = []
    for name, chunks in (("here", InProcess()), ("there", cluster)):
        for stage in (encode, statistics):
            facts.append(run(stage, inputs, tmp_path / name, chunks))
    assert facts[:2] == facts[2:]
    assert facts[1]["dead"] == 1
    here, there = tmp_path / "here", tmp_path / "there"
    served = encode_to_serve(np.load(inputs / schema.EMBEDDINGS), read_weights(inputs / schema.SAE))
    latents = Group(here / schema.LATENTS, schema.LATENT_ARRAYS)
    np.testing.assert_array_equal(np.sort(latents.read("top_indices"), axis=1), np.sort(served[1], axis=1))
    np.testing.assert_allclose(latents.read("top_acts"), served[0], rtol=1e-3, atol=1e-5)
    assert (here / statistics.STATISTICS).read_bytes() == (there / statistics.STATISTICS).read_bytes()
    for file, arrays in (
        (schema.LATENTS, schema.LATENT_ARRAYS),
        (schema.COOCCURRENCE, schema.COOCCURRENCE_ARRAYS),
    ):
        one, other = Group(here / file, arrays), Group(there / file, arrays)
        for name in arrays:
            if name == "similarities":
                np.testing.assert_allclose(other.read(name), one.read(name), rtol=1e-5)
            else:
                np.testing.assert_array_equal(other.read(name), one.read(name), err_msg=name)


def test_the_local_model_embeds_the_same_bits(tmp_path: Path, cluster: OnCluster) -> None:
    texts = [f"{word} of {other}" for word in ("sum", "a long story", "sparse codes") for other in "abcdefg"]
    found = [
        embed_corpus(MiniLMEmbedder(), texts, tmp_path / name, chunks=chunks)
        for name, chunks in (("here", None), ("there", cluster))
    ]
    np.testing.assert_array_equal(*found)


def test_the_worker_is_another_process(cluster: OnCluster) -> None:
    assert list(cluster.map(os.getpid, [()])) != [os.getpid()]


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise UserError(f"{number} is even.")
    return 10 * number


def test_results_come_in_order_and_errors_come_through(cluster: OnCluster) -> None:
    for chunks in (InProcess(), cluster):
        assert list(chunks.map(_odd, [(n,) for n in range(1, 40, 2)])) == [10 * n for n in range(1, 40, 2)]
        assert list(chunks.map(_odd, [])) == []
        with pytest.raises(UserError, match="4 is even"):
            list(chunks.map(_odd, [(3,), (4,), (5,)]))


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build.chunks._SECONDS_TO_CONNECT", 1)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9.*dask scheduler"):
        OnCluster("tcp://127.0.0.1:9")
