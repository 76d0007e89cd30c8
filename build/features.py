"""Stage: join statistics, labels and scores into the table of features, with neighbours in the other SAEs."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build import embeddings
from build.embedders import embed_corpus, make_embedder
from build.labels import LABELS, SCORES
from build.statistics import STATISTICS
from build.work import Target, Work
from sae import schema
from sae.statistics import nearest
from sae.storage.arrays import write_table
from sae.storage.weights import read_weights


def settings(target: Target) -> object:
    return [list(target.sae_names), embeddings.settings(target)]


def run(work: Work) -> dict[str, Any]:
    names = work.target.sae_names
    directions = {name: read_weights(work.input("train", name) / schema.SAE).W_dec for name in names}
    for done, name in enumerate(names, start=1):
        parts = [
            pq.read_table(work.input("statistics", name) / STATISTICS),
            _neighbours(name, directions),
            pq.read_table(work.input("labels") / name / LABELS),
            pq.read_table(work.input("labels") / name / SCORES),
        ]
        columns = {column: part[column] for part in parts for column in part.column_names}
        table = pa.table(columns).select(schema.FEATURE_COLUMNS.names).cast(schema.FEATURE_COLUMNS)
        (work.out / name).mkdir()
        write_table(work.out / name / schema.FEATURES, table)
        vectors = _label_vectors(work, table["label"].to_pylist())
        np.save(work.out / name / schema.LABEL_VECTORS, vectors, allow_pickle=False)
        work.progress(done, len(names), name)
    return {}


def _label_vectors(work: Work, labels: list[str]) -> np.ndarray:
    """Embeddings of the labels, float16 (n_latents, d_in), so that a page finds features by meaning at once.

    Zeros where there is no label, and everywhere when only documents have vectors.
    """
    embedder = make_embedder(work.target.config.embedder)
    shown = sorted({label for label in labels if label.strip()})
    vectors = np.zeros((len(labels), embedder.d_in), np.float16)
    if shown and embedder.can_embed_texts:
        embeddings.announce(embedder, shown, f"the labels of {work.target.corpus.name}", work.say)
        found = dict(zip(shown, embed_corpus(embedder, shown, work.cache / "embeddings.sqlite"), strict=True))
        for row, label in enumerate(labels):
            if label in found:
                vectors[row] = found[label]
    return vectors


def _neighbours(name: str, directions: dict[str, np.ndarray]) -> pa.Table:
    """The nearest feature in each other SAE of the corpus, by cosine of decoder directions."""
    others = [other for other in directions if other != name]
    found = [nearest(directions[name], directions[other]) for other in others]
    n_latents = len(directions[name])
    return pa.table(
        {
            "other_saes": pa.array([others] * n_latents, pa.list_(pa.string())),
            "other_features": pa.array(_by_row([f[0] for f in found], n_latents), pa.list_(pa.int32())),
            "other_cosines": pa.array(_by_row([f[1] for f in found], n_latents), pa.list_(pa.float32())),
        }
    )


def _by_row(columns: list[np.ndarray], rows: int) -> list[list[float]]:
    return np.stack(columns, axis=1).tolist() if columns else [[] for _ in range(rows)]
