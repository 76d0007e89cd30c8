"""Embed a corpus: what is cached is read, the rest is embedded in batches and kept as it comes."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from build.chunks import Chunks
from build.embedders.base import Batch, Embedder, Rate
from build.embedders.cache import VectorCache
from build.embedders.precomputed import PrecomputedEmbedder
from sae.progress import Progress


def embed_corpus(
    embedder: Embedder,
    texts: Sequence[str],
    cache_path: Path,
    progress: Progress | None = None,
    *,
    doc_ids: Sequence[str] | None = None,
    chunks: Chunks | None = None,
) -> np.ndarray:
    """float32 (n, d_in) unit rows, in the order of the texts.

    Batches are planned from the whole list, and a batch is kept whole or not at all: a run that was killed
    and resumed gives the very bits of one that was not. Equal texts are embedded once. ``doc_ids`` says that
    the texts are documents, and which; without it they are other texts, whatever their number, which vectors
    of one's own have nothing to say of. Errors are the embedder's own, and leave all finished batches in the
    cache. ``chunks`` on a cluster embed with the local model there.
    """
    if isinstance(embedder, PrecomputedEmbedder):
        if doc_ids is not None:
            return embedder.document_rows(doc_ids, progress)
        embedder = embedder.query_embedder
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    unique = list(place)
    out = np.empty((len(unique), embedder.d_in), np.float32)
    with VectorCache(cache_path, embedder.name, embedder.d_in) as cache:
        known = cache.read_into(unique, out)
        if not known.all():
            _embed_missing(embedder, unique, known, out, cache, progress, chunks)
        elif progress:
            progress(len(unique), len(unique), "all from the cache")
    return out[[place[text] for text in texts]] if len(unique) < len(texts) else out


def _embed_missing(
    embedder: Embedder,
    texts: list[str],
    known: np.ndarray,
    out: np.ndarray,
    cache: VectorCache,
    progress: Progress | None,
    chunks: Chunks | None,
) -> None:
    if embedder.whole_batches:
        planned = embedder.plan_batches(texts)
        batches = [batch for batch in planned if not known[batch.positions].all()]
    else:
        missing = np.flatnonzero(~known)
        batches = [batch.at(missing) for batch in embedder.plan_batches([texts[i] for i in missing])]
    n_left = sum(len(batch.positions) for batch in batches)
    rate = Rate(progress, len(texts), len(texts) - n_left)
    for batch, rows in _run(embedder, batches, chunks):
        out[batch.positions] = rows
        cache.write([texts[i] for i in batch.positions], rows)
        rate.advance(len(rows))
    if progress and embedder.truncated:
        progress(len(texts), len(texts), f"{embedder.truncated:,} longer than the model reads, cut")


def _run(
    embedder: Embedder, batches: list[Batch], chunks: Chunks | None
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Batches with their rows: by the embedder itself, or, with the local model, by the workers of a cluster. A
    server's embedder stays here, where what it spends is counted."""
    if chunks is not None and chunks.spread:
        from build.embedders.minilm import MiniLMEmbedder

        if isinstance(embedder, MiniLMEmbedder):
            rows = chunks.map(embedded, [(embedder.arithmetic, batch) for batch in batches])
            yield from zip(batches, rows, strict=True)
            return
    yield from embedder.run_batches(batches)


def embedded(arithmetic: str, batch: Batch) -> np.ndarray:
    """Rows float32 (n, d_in) of one batch by the local model: one chunk."""
    return next(iter(_local_model(arithmetic).run_batches([batch])))[1]


@lru_cache(maxsize=1)
def _local_model(arithmetic: str) -> Embedder:
    from build.embedders.minilm import MiniLMEmbedder

    return MiniLMEmbedder(arithmetic, workers=1)
