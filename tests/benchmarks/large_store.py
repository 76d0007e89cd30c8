"""A store of any size without a corpus: documents drawn from planted directions, their words from its labels.

Documents, embeddings, the search matrix, example queries and one SAE whose latents are those directions are made here;
latents and statistics by the build's own stages, the build by its own ``finish``. There are no families, no evaluation
and no query encoder: what the search page shows without them is measured.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build import encode, statistics
from build.config import BuildConfig, CorpusConfig, SAEPlan
from build.finish import finish
from build.plan import Job
from build.stages import STAGES
from build.statistics import STATISTICS
from build.work import Target, Work
from sae import schema
from sae.encode import Weights
from sae.search import quantise
from sae.storage.arrays import write_table
from sae.storage.weights import write_weights

_BLOCK = 4096
_TOPICS, _IN_TOPIC, _IN_DOCUMENT = 400, 24, 12
_QUERIES = 6
_FIRST = (
    "sparse", "robust", "causal", "spectral", "latent", "neural", "thermal", "stellar", "linear", "open",
)  # fmt: skip
_SECOND = (
    "fields", "learning", "clusters", "flows", "images", "signals", "kernels", "orbits", "networks", "surveys",
)  # fmt: skip


def label(feature_id: int) -> str:
    """A label of two words and a number that tells it from its namesakes."""
    first, second = feature_id % len(_FIRST), feature_id // len(_FIRST) % len(_SECOND)
    return f"{_FIRST[first]} {_SECOND[second]} {feature_id // len(_FIRST) // len(_SECOND) + 1}"


def make_store(
    out: Path,
    n_documents: int,
    d_in: int,
    n_latents: int = 3072,
    k: int = 16,
    say: Callable[[str], None] = print,
) -> None:
    """Write the artifacts folder ``out``. At 272,000 × 1,536 it takes three minutes and 1.5 GB."""
    rng = np.random.default_rng(0)
    plan = SAEPlan(k=k, n_latents=n_latents)
    corpus = CorpusConfig("made", {"kind": "synthetic"}, title="Made for measuring", licence="none")
    config = BuildConfig((corpus,), {"kind": "precomputed"}, (plan,), {}, title="Made for measuring")
    target = Target(config, d_in, corpus, plan)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        made = {stage.name: Path(folder) / stage.name for stage in STAGES}
        for place in made.values():
            place.mkdir()
        directions = rng.standard_normal((n_latents, d_in), np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        say("documents and embeddings")
        mean, scale, names = _embeddings(made["embeddings"], n_documents, directions, rng)
        _documents(made["documents"], names, rng)
        _queries(made, n_documents)
        zero = np.zeros
        write_weights(
            made["train"] / schema.SAE,
            Weights(directions, directions, zero(d_in, np.float32), zero(n_latents, np.float32), mean, scale, k),
        )  # fmt: skip

        def work(stage: str) -> Work:
            return Work(target, made[stage], Path(folder), Path(folder), lambda name, sae, corpus: made[name])

        say("latents")
        encode.run(work("encode"))
        say("statistics")
        counted = statistics.run(work("statistics"))
        _features(made, target.sae_name, n_latents, d_in)
        facts: dict[str, dict[str, Any]] = {
            "documents": {"n_documents": n_documents, "n_read": n_documents, "quarantined": {}},
            "embeddings": {"d_in": d_in, "embedder": "made for measuring"},
            "train": {"n_latents": n_latents, "k": k, "steps": 0},
            "statistics": counted,
        }
        say("the build")
        wanted = ("documents", "embeddings", "queries", "train", "encode", "statistics", "features")
        parts = []
        for stage in STAGES:
            if stage.name in wanted:
                per = target if stage.per.value == "sae" else Target(config, d_in, corpus)
                done = {"facts": facts.get(stage.name, {}), "seconds": 0.0}
                parts.append(
                    (Job(stage, per, f"{n_documents} {d_in} {n_latents} {k}", ()), made[stage.name], done)
                )
        finish(out, parts)


def _embeddings(
    folder: Path, n_documents: int, directions: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float, Iterator[list[int]]]:
    """Write embeddings and search matrix; the mean, the scale, and the strongest features of each document."""
    n_latents, d_in = directions.shape
    topics = np.stack([rng.choice(n_latents, _IN_TOPIC, replace=False) for _ in range(_TOPICS)])
    common = rng.standard_normal(d_in, np.float32)
    common *= np.float32(0.5) / np.linalg.norm(common)
    noise = rng.standard_normal((_BLOCK, d_in), np.float32) * np.float32(0.5 / np.sqrt(d_in))
    rows = np.lib.format.open_memmap(folder / schema.EMBEDDINGS, "w+", np.float16, (n_documents, d_in))
    coarse = np.lib.format.open_memmap(folder / schema.SEARCH, "w+", np.int8, (n_documents, d_in))
    scales = np.zeros((n_documents, 2), np.float32)
    total: np.ndarray = np.zeros(d_in)
    squares = 0.0
    strongest = np.zeros((n_documents, 3), np.int64)
    for start in range(0, n_documents, _BLOCK):
        piece = slice(start, min(n_documents, start + _BLOCK))
        size = piece.stop - start
        places = np.argsort(rng.random((size, _IN_TOPIC)), axis=1)[:, :_IN_DOCUMENT]
        active = np.take_along_axis(topics[rng.integers(0, _TOPICS, size)], places, axis=1)
        acts = -np.sort(-rng.exponential(size=active.shape).astype(np.float32), axis=1)
        acts /= np.linalg.norm(acts, axis=1, keepdims=True)
        made = (
            common + np.einsum("nk,nkd->nd", acts, directions[active]) + noise[:size, rng.permutation(d_in)]
        )
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        rows[piece] = made
        coarse[piece], scales[piece] = quantise(rows[piece])
        total += made.sum(axis=0)
        squares += float((made * made).sum())
        strongest[piece] = active[:, :3]
    rows.flush()
    coarse.flush()
    np.save(folder / schema.SEARCH_SCALES, scales)
    mean = total / n_documents
    scale = float(np.sqrt((squares / n_documents - float(mean @ mean)) / d_in))
    return mean.astype(np.float32), scale, (row.tolist() for row in strongest)


def _documents(folder: Path, names: Iterator[list[int]], rng: np.random.Generator) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in schema.DOCUMENT_COLUMNS.names}
    first_day = np.datetime64("2010-01-01")
    for row, features in enumerate(names):
        words = [label(f) for f in features]
        columns["doc_id"].append(f"made-{row}")
        columns["title"].append(f"{words[0].capitalize()} and {words[1]}, document {row}")
        columns["text"].append(
            f"We study {words[0]} where {words[1]} matter more than {words[2]}. " * 3
            + f"Document {row} compares {words[2]} with what was known before. " * 6
        )
        columns["url"].append(f"https://example.org/{row}")
        columns["date"].append((first_day + int(rng.integers(5000))).astype(object))
        columns["categories"].append([f"made.{row % 9}"])
        columns["authors"].append(["A. Maker", "B. Maker"])
        columns["citation_count"].append(row % 100)
    table = pa.table(columns, schema.DOCUMENT_COLUMNS)
    write_table(folder / schema.DOCUMENTS, table, schema.DOCUMENTS_A_GROUP)
    write_table(folder / schema.QUARANTINE, schema.QUARANTINE_COLUMNS.empty_table())


def _queries(made: dict[str, Path], n_documents: int) -> None:
    rows = np.linspace(17, n_documents - 1, _QUERIES).astype(int)
    embeddings = np.load(made["embeddings"] / schema.EMBEDDINGS, mmap_mode="r")
    titles = pq.read_table(made["documents"] / schema.DOCUMENTS, columns=["title"])["title"]
    columns = {
        "query": [titles[int(row)].as_py() for row in rows],
        "embedding": [embeddings[row].astype(np.float32).tolist() for row in rows],
    }
    write_table(made["queries"] / schema.QUERIES, pa.table(columns, schema.QUERY_COLUMNS))


def _features(made: dict[str, Path], name: str, n_latents: int, d_in: int) -> None:
    table = pq.read_table(made["statistics"] / STATISTICS)
    labels = [label(f) for f in range(n_latents)]
    columns: dict[str, Any] = {
        "label": labels,
        "source": ["local"] * n_latents,
        "candidates": [[name] for name in labels],
        "candidate_objectives": [[1.0]] * n_latents,
        "objective": [1.0] * n_latents,
        "other_saes": [[]] * n_latents,
        "other_features": [[]] * n_latents,
        "other_cosines": [[]] * n_latents,
        "status": ["scored"] * n_latents,
        "n_scored": [40] * n_latents,
    }
    columns |= dict.fromkeys(schema.SCORE_NAMES, [0.7] * n_latents)
    columns |= {column: table[column] for column in table.column_names}
    found = pa.table(
        {column: columns[column] for column in schema.FEATURE_COLUMNS.names}, schema.FEATURE_COLUMNS
    )
    (made["features"] / name).mkdir()
    write_table(made["features"] / name / schema.FEATURES, found)
    np.save(made["features"] / name / schema.LABEL_VECTORS, np.zeros((n_latents, d_in), np.float16))
