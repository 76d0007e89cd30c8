"""Stage: embed every document; write the embeddings and the coarse rows that search passes over first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from build.embedders import Embedder, embed_corpus, make_embedder
from build.work import Target, Work
from sae import schema
from sae.search import quantise

_HOW_NOT_WHAT = ("budget_usd", "timeout", "retries", "workers", "key_env")  # options that change no vector


def settings(target: Target) -> object:
    """The embedder's options and its name, which carries its arithmetic, or the checksum of a file of vectors."""
    options = {k: v for k, v in target.config.embedder.items() if k not in _HOW_NOT_WHAT and k != "path"}
    return [options, make_embedder(target.config.embedder).name]


def run(work: Work) -> dict[str, Any]:
    embedder = make_embedder(work.target.config.embedder)
    documents = work.input("documents") / schema.DOCUMENTS
    texts = embedded_texts(documents)
    announce(embedder, texts, work.target.corpus.name, work.say)
    work.cache.mkdir(parents=True, exist_ok=True)
    doc_ids = pq.read_table(documents, columns=["doc_id"])["doc_id"].to_pylist()
    cache = work.cache / "embeddings.sqlite"
    found = embed_corpus(embedder, texts, cache, work.progress, doc_ids=doc_ids, chunks=work.chunks)
    embeddings = found.astype(np.float16)
    np.save(work.out / schema.EMBEDDINGS, embeddings, allow_pickle=False)
    rows, scales = quantise(embeddings)
    np.save(work.out / schema.SEARCH, rows, allow_pickle=False)
    np.save(work.out / schema.SEARCH_SCALES, scales, allow_pickle=False)
    return {"d_in": int(embeddings.shape[1]), "embedder": embedder.name}


def embedded_texts(documents: Path) -> list[str]:
    """What is embedded of each document of a file: title, blank line, text (O'Neill et al. 2024)."""
    table = pq.read_table(documents, columns=["title", "text"])
    pairs = zip(table["title"].to_pylist(), table["text"].to_pylist(), strict=True)
    return [f"{title}\n\n{text}".strip() for title, text in pairs]


def announce(embedder: Embedder, texts: list[str], name: str, say: Callable[[str], None]) -> None:
    """Say what embedding will cost, before anything is sent, where a server asks for money."""
    plan_of = getattr(embedder, "plan", None)
    if plan_of is None:
        return
    plan = plan_of(texts)
    price = "at a price that build/prices.toml does not know"
    if plan.price_usd is not None:
        price = (
            f"likely about ${plan.likely_usd:,.2f} and at most ${plan.price_usd:,.2f} by build/prices.toml"
        )
    budget = getattr(embedder, "budget_usd", None)
    limit = f"; the budget is ${budget:,.2f}" if budget is not None else "; no budget is set"
    say(
        f"Embedding {name} with {embedder.name}: {plan.calls:,} calls, at most {plan.tokens:,} tokens, {price}"
        f"{limit}. What is cached costs nothing."
    )
