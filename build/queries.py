"""Stage: the example queries that the search page offers, with their embeddings.

Where no text can be embedded, because vectors came in a file and their model was not named, titles of documents
are offered with their documents' own vectors.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build.embedders import make_embedder
from build.work import Target, Work
from sae import schema
from sae.storage.arrays import write_table

_CHOSEN = 6


def settings(target: Target) -> object:
    return [target.corpus.examples, target.config.seed]


def run(work: Work) -> dict[str, Any]:
    embedder = make_embedder(work.target.config.embedder)
    queries = list(dict.fromkeys(work.target.corpus.examples))
    if queries and not embedder.can_embed_texts:
        work.say(f"The queries of {work.target.corpus.name} cannot be embedded; titles are offered instead.")
        queries = []
    if queries:
        embeddings = embedder.embed(queries, work.progress)
    else:
        queries, embeddings = _titles(work)
        if embedder.can_embed_texts:
            embeddings = embedder.embed(queries, work.progress)
    rows = pa.array([row.tolist() for row in np.asarray(embeddings, np.float32)], pa.list_(pa.float32()))
    table = pa.table({"query": pa.array(queries), "embedding": rows}).cast(schema.QUERY_COLUMNS)
    write_table(work.out / schema.QUERIES, table)
    return {}


def _titles(work: Work) -> tuple[list[str], np.ndarray]:
    """Distinct titles of middling length, far from each other: what a reader might type for this corpus.

    With the float32 (n, d_in) embeddings of their documents.
    """
    titles = pq.read_table(work.input("documents") / schema.DOCUMENTS, columns=["title"])["title"].to_pylist()
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    first: dict[str, int] = {}
    for i, title in enumerate(titles):
        first.setdefault(title.casefold(), i)
    fit = np.array([i for i in first.values() if 20 <= len(titles[i]) <= 70] or list(first.values()))
    rng = np.random.default_rng([work.target.config.seed, 2])
    candidates = rng.permutation(fit)[:2000]
    vectors = np.asarray(embeddings[candidates], np.float32)
    chosen: list[int] = []
    nearest = np.full(len(candidates), -1.0, np.float32)
    for _ in range(min(_CHOSEN, len(candidates))):
        pick = int(np.argmin(nearest))
        chosen.append(pick)
        nearest = np.maximum(nearest, vectors @ vectors[pick])
    return [titles[candidates[i]] for i in chosen], vectors[chosen]
