"""Stage: embed every document; write the embeddings and the coarse rows that search passes over first."""

from typing import Any

import numpy as np
import pyarrow.parquet as pq

from build.embedders import embed_corpus, make_embedder
from build.work import Target, Work
from sae import schema
from sae.search import quantise


def settings(target: Target) -> object:
    return {name: value for name, value in target.config.embedder.items() if name != "budget_usd"}


def run(work: Work) -> dict[str, Any]:
    embedder = make_embedder(work.target.config.embedder)
    table = pq.read_table(work.input("documents") / schema.DOCUMENTS, columns=["doc_id", "title", "text"])
    texts = embedded_texts(table["title"].to_pylist(), table["text"].to_pylist())
    work.cache.mkdir(parents=True, exist_ok=True)
    cache = work.cache / "embeddings.sqlite"
    found = embed_corpus(embedder, texts, cache, work.progress, doc_ids=table["doc_id"].to_pylist())
    embeddings = found.astype(np.float16)
    np.save(work.out / schema.EMBEDDINGS, embeddings, allow_pickle=False)
    rows, scales = quantise(embeddings)
    np.save(work.out / schema.SEARCH, rows, allow_pickle=False)
    np.save(work.out / schema.SEARCH_SCALES, scales, allow_pickle=False)
    return {"d_in": int(embeddings.shape[1]), "embedder": embedder.name}


def embedded_texts(titles: list[str], texts: list[str]) -> list[str]:
    """What is embedded of a document: its title, a blank line, its text (O'Neill et al. 2024)."""
    return [f"{title}\n\n{text}".strip() for title, text in zip(titles, texts, strict=True)]
