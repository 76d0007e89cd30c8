"""Everything that pages read from a store, in pieces that can be read and compared one by one."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sae.storage import label_store, scaling_store, structure_store
from sae.storage.corpus_store import Corpus
from sae.storage.evaluation_store import Evaluation
from sae.storage.sae_store import SAE
from sae.storage.stored_rows import StoredRows
from sae.storage.structure_store import FamilyReader
from sae.store import Store

Piece = tuple[str, Callable[[], Any]]


def pieces(store: Store) -> Iterator[Piece]:
    """(name, what reads it). Reading raises UserError where the store is damaged, and nothing else."""
    yield "manifest", lambda: vars(store.manifest)
    yield "query encoder", lambda: str(store.query_encoder).replace(str(store.path), "")
    for name in store.corpora:
        corpus = store.corpus(name)
        for what, read in (*_corpus(corpus), *_optional(corpus)):
            yield f"{name}/{what}", read
        for sae_name in corpus.saes:
            for what, read in _sae(corpus.sae(sae_name)):
                yield f"{name}/{sae_name}/{what}", read


def _corpus(corpus: Corpus) -> Iterator[Piece]:
    rows = np.arange(min(40, corpus.n_documents))
    yield "documents", lambda: corpus.documents(rows)
    yield "last document", lambda: corpus.documents([corpus.n_documents - 1])
    yield "titles", lambda: corpus.column("title")
    yield "embeddings", lambda: corpus.embeddings
    yield "search rows", lambda: (corpus.search_rows, corpus.search_scales)
    yield "queries", corpus.queries
    yield "quarantine", corpus.quarantine


def _sae(sae: SAE) -> Iterator[Piece]:
    yield "features", sae.features
    yield "training", sae.training
    yield "weights", lambda: vars(sae.weights)
    yield "label vectors", lambda: sae.label_vectors
    yield "latents", lambda: sae.by_document(np.arange(sae.corpus.n_documents))
    for feature in (0, 5, sae.n_latents - 1):
        yield f"evidence {feature}", lambda feature=feature: sae.evidence(feature)
        yield f"documents of {feature}", lambda feature=feature: sae.by_feature(feature)
        yield f"features with {feature}", lambda feature=feature: vars(sae.cooccurring(feature))
        if label_store.has_history(sae):
            yield f"history {feature}", lambda feature=feature: label_store.history(sae, feature)
    families = FamilyReader(sae)
    if families.available:
        for name in ("scores", "members", "metrics", "structure"):
            yield f"families {name}", getattr(families, name)
        yield "families points", lambda: families.points(0)


def _optional(corpus: Corpus) -> Iterator[Piece]:
    if scaling_store.has_scaling(corpus):
        for read in (scaling_store.runs, scaling_store.curves, scaling_store.fits):
            yield f"scaling {read.__name__}", lambda read=read: read(corpus)
        if scaling_store.has_cosines(corpus):
            yield "scaling cosines", lambda: scaling_store.cosines(corpus)
    evaluation = Evaluation(corpus)
    if evaluation.available:
        for name in ("steering", "optimisation", "contour", "retrieval", "categories", "truth"):
            yield f"evaluation {name}", getattr(evaluation, name)
    if label_store.has_pairs(corpus):
        yield "pairs", lambda: (label_store.pairs(corpus), label_store.pair_summary(corpus))
    if structure_store.has_splitting(corpus):
        yield (
            "splitting",
            lambda: (structure_store.splitting(corpus), structure_store.splitting_summary(corpus)),
        )
    if structure_store.has_domains(corpus):
        yield "domains", lambda: structure_store.domains(corpus)


def in_python(value: Any) -> Any:
    """What was read as plain Python values and bytes; tables are decoded whole, as pages do."""
    if isinstance(value, pa.Table | pa.ChunkedArray):
        return value.to_pylist()
    if isinstance(value, np.ndarray | StoredRows):
        array = np.asarray(value)
        return str(array.dtype), array.shape, array.tobytes()
    if isinstance(value, dict):
        return {key: in_python(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [in_python(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def digest(value: Any) -> str:
    """The same for equal values alone."""
    return hashlib.sha256(repr(in_python(value)).encode("utf-8", "replace")).hexdigest()
