"""Corpora of a few documents, and vectors of one's own without their model: both build and open."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from build.config import BuildConfig, load_profile, with_files
from build.corpora.synthetic import read_synthetic
from build.display import Display
from build.embedders import make_embedder
from build.plan import make_plan
from build.runner import Runner
from sae import schema
from sae.storage.manifest import read_manifest

HOME = str(Path(__file__).parent.parent.parent / "dashboard" / "Home.py")


def write_corpus(folder: Path, n: int) -> Path:
    path = folder / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "text"])
        writer.writerows([d.title, d.text] for d in read_synthetic(n_documents=n, seed=0))
    return path


@pytest.fixture
def out(tiny_store: Path, tmp_path: Path) -> Path:
    """Where to build: the query encoder is there, which is the same for any corpus and takes two seconds."""
    stages = Path("work") / "stages"
    for made in (tiny_store / stages).glob("query_encoder-*"):
        shutil.copytree(made, tmp_path / "out" / stages / made.name, copy_function=os.link)
    return tmp_path / "out"


def build(config: BuildConfig, out: Path) -> Path:
    jobs = make_plan(config, make_embedder(config.embedder).d_in)
    made = Runner(out, Display(plain=True)).run(jobs)
    assert made is not None
    return made


def open_search(out: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("ARTIFACTS", str(out))
    app = AppTest.from_file(HOME, default_timeout=60).run()
    assert not app.exception, [e.value for e in app.exception]
    return app


@pytest.mark.parametrize("n", [2, 5, 25])
def test_a_tiny_corpus_builds_and_opens(
    n: int, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_files(load_profile("tiny"), [write_corpus(tmp_path, n)], {}, ())
    made = build(config, out)
    facts = read_manifest(made).corpora["mine"]
    assert facts["n_documents"] == n
    for sae in facts["saes"]:
        features = pq.read_table(made / "mine" / sae / schema.FEATURES, columns=["label", "status", "source"])
        for row in features.to_pylist():
            assert row["status"] in ("dead", "too rare", "scored", "error")
            assert (row["label"] == "") == (row["source"] == "none")
            assert n > 5 or row["status"] in ("dead", "too rare")
    open_search(out, monkeypatch)


def test_vectors_without_their_model_build_and_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n, d_in = 240, 24
    corpus = write_corpus(tmp_path, n)
    with corpus.open(encoding="utf-8") as file:
        words = [set(f"{row['title']} {row['text']}".casefold().split()) for row in csv.DictReader(file)]
    projection = {
        word: np.random.default_rng(list(word.encode())).normal(size=d_in) for word in set().union(*words)
    }
    count = {word: sum(word in one for one in words) for word in projection}
    rows = np.array([sum(projection[w] / count[w] for w in sorted(one)) for one in words], np.float32)
    np.save(tmp_path / "v.npy", rows)
    spec = {"kind": "precomputed", "path": str(tmp_path / "v.npy")}
    tiny = replace(load_profile("tiny"), embedder=spec)
    config = with_files(tiny, [corpus], {}, ("a query that nothing can embed",))
    made = build(config, tmp_path / "out")

    queries = pq.read_table(made / "mine" / schema.QUERIES).to_pydict()
    titles = pq.read_table(made / "mine" / schema.DOCUMENTS)["title"].to_pylist()
    stored = np.load(made / "mine" / schema.EMBEDDINGS)
    assert len(set(queries["query"])) == len(queries["query"]) > 1
    for query, vector in zip(queries["query"], queries["embedding"], strict=True):
        own = [row for row, title in enumerate(titles) if title == query]
        assert any(np.array_equal(stored[row], np.float16(vector)) for row in own)
    for name in read_manifest(made).corpora["mine"]["saes"]:
        assert not np.load(made / "mine" / name / schema.LABEL_VECTORS).any()
        labels = pq.read_table(made / "mine" / name / schema.FEATURES)["label"].to_pylist()
        assert any(labels)
    app = open_search(tmp_path / "out", monkeypatch)
    assert list(app.error) == []
