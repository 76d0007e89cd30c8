"""Cached readers: everything a page reads from the store comes through here, opened once for all sessions.
Which store that is stands in ``dashboard.served``.

Each cache is keyed by the folder of the build that is served, so a new build replaces the old one at the next
run of a page, and a failed opening is tried again. What a run asks for a hundred times is kept by
``lru_cache``, which answers in a hundredth of the time of Streamlit's caches.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.served import store
from sae.encode import encode
from sae.errors import UserError
from sae.store import SAE, Corpus, Store, open_store
from sae.tex import in_letters, letters

if TYPE_CHECKING:
    from sae.query import QueryEncoder
    from sae.search import Searcher
    from sae.storage.stored_rows import Rows

MAX_QUERY_CHARACTERS = 4000  # more than the query encoder reads of any text
_parquet_lock = threading.Lock()  # one Parquet reader serves all sessions
_DOCUMENTS_KEPT = 1000
_documents: OrderedDict[tuple[str, str, int], dict[str, Any]] = OrderedDict()


def _at(build: str) -> Store:
    """The store whose build's folder this is: nearly always the one that is served."""
    served = store()
    return served if str(served.path) == build else open_store(build)


def corpus(name: str) -> Corpus:
    """One corpus of the store, opened once for all sessions."""
    return _corpus(str(store().path), name)


@lru_cache(maxsize=8)
def _corpus(build: str, name: str) -> Corpus:
    return _at(build).corpus(name)


def sae(corpus_name: str, sae_name: str) -> SAE:
    """One SAE of a corpus."""
    return _sae(str(store().path), corpus_name, sae_name)


@lru_cache(maxsize=12)
def _sae(build: str, corpus_name: str, sae_name: str) -> SAE:
    return _corpus(build, corpus_name).sae(sae_name)


def feature_table(corpus_name: str, sae_name: str) -> pd.DataFrame:
    """All features of an SAE (schema.FEATURE_COLUMNS), by feature_id. Shared: copy it before changing it."""
    return _feature_table(str(store().path), corpus_name, sae_name)


@st.cache_resource(show_spinner="Reading the features …", max_entries=6)
def _feature_table(build: str, corpus_name: str, sae_name: str) -> pd.DataFrame:
    table = _sae(build, corpus_name, sae_name).features()
    return table.to_pandas().set_index("feature_id", drop=False).rename_axis("feature_index")


def searcher(corpus_name: str) -> "Searcher":
    """The exact search over a corpus."""
    return _searcher(str(store().path), corpus_name)


@st.cache_resource(show_spinner="Opening the search matrix …", max_entries=4)
def _searcher(build: str, corpus_name: str) -> "Searcher":
    from sae.search import Searcher

    return Searcher(_corpus(build, corpus_name))


def query_encoder() -> "QueryEncoder | None":
    """The local query encoder, or None when the corpora of this build were embedded elsewhere."""
    return _query_encoder(str(store().path))


@st.cache_resource(show_spinner="Loading the query encoder …", max_entries=2)
def _query_encoder(build: str) -> "QueryEncoder | None":
    folder = _at(build).query_encoder
    if folder is None:
        return None
    from sae.query import QueryEncoder

    return QueryEncoder(folder)


def example_queries(corpus_name: str) -> tuple[list[str], np.ndarray]:
    """Example queries of a corpus and their stored embeddings, float32 (n_queries, d_in)."""
    return _example_queries(str(store().path), corpus_name)


@st.cache_resource(show_spinner=False, max_entries=8)
def _example_queries(build: str, corpus_name: str) -> tuple[list[str], np.ndarray]:
    reader = _corpus(build, corpus_name)
    table = reader.queries()
    vectors = [np.asarray(v, dtype=np.float32) for v in table.column("embedding").to_pylist()]
    if any(v.shape != (reader.d_in,) or not np.isfinite(v).all() for v in vectors):
        raise UserError(
            f"The example queries of {corpus_name} do not fit its embeddings. "
            "Run `make verify`, then `make artifacts`."
        )
    return list(map(letters, table.column("query").to_pylist())), np.array(vectors).reshape(-1, reader.d_in)


def documents(corpus_name: str, rows: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
    """The documents at the given rows, in that order, as dictionaries (schema.DOCUMENT_COLUMNS), letters
    written in TeX as letters. Shared: copy before changing."""
    wanted = [int(row) for row in rows]
    reader, build = corpus(corpus_name), str(store().path)
    with _parquet_lock:
        # Showing one document decodes a row group of 512; those shown lately are kept.
        found = {row: _documents[key] for row in wanted if (key := (build, corpus_name, row)) in _documents}
        if missing := list(dict.fromkeys(row for row in wanted if row not in found)):
            found.update(zip(missing, map(in_letters, reader.documents(missing).to_pylist()), strict=True))
        for row in wanted:
            _documents[build, corpus_name, row] = found[row]
            _documents.move_to_end((build, corpus_name, row))
        while len(_documents) > _DOCUMENTS_KEPT:
            _documents.popitem(last=False)
    return [found[row] for row in wanted]


def titles(corpus_name: str) -> pd.Series:
    """All titles of a corpus, by row, letters written in TeX as letters."""
    return _titles(str(store().path), corpus_name)


@st.cache_resource(show_spinner="Reading the titles …", max_entries=2)
def _titles(build: str, corpus_name: str) -> pd.Series:
    with _parquet_lock:
        found = _corpus(build, corpus_name).column("title").to_pandas()
    return found.map(letters)


def query_vector(corpus_name: str, query: str) -> np.ndarray | None:
    """Embedding of a query, float32 (d_in,): stored for an example query, else by the local query encoder.

    None when the build has no query encoder and the query is not an example of the corpus.
    """
    texts, vectors = example_queries(corpus_name)
    if query in texts:
        return vectors[texts.index(query)]
    vector = encoded(query)
    if vector is not None and vector.shape != (corpus(corpus_name).d_in,):
        raise UserError(
            f"The query encoder gives {vector.size} dimensions where {corpus_name} has "
            f"{corpus(corpus_name).d_in}. Choose another corpus, or run `make artifacts`."
        )
    return vector


def encoded(text: str) -> np.ndarray | None:
    """Unit embedding of a text, float32 (d,), or None without a query encoder."""
    return None if query_encoder() is None else _encoded(str(store().path), text[:MAX_QUERY_CHARACTERS])


@st.cache_data(show_spinner=False, max_entries=256)
def _encoded(build: str, text: str) -> np.ndarray:
    encoder = _query_encoder(build)
    assert encoder is not None
    return np.asarray(encoder.encode([text]), dtype=np.float32)[0]


@st.cache_data(show_spinner=False, max_entries=256)
def _latents(build: str, corpus_name: str, sae_name: str, vector: bytes) -> tuple[np.ndarray, np.ndarray]:
    weights = _sae(build, corpus_name, sae_name).weights
    acts, indices = encode(np.frombuffer(vector, dtype=np.float32)[None], weights)
    active = acts[0] > 0
    return acts[0][active], indices[0][active]


def latents(corpus_name: str, sae_name: str, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Active features of an embedding: activations float32 (m,) and ids int32 (m,), strongest first."""
    raw = np.ascontiguousarray(vector, dtype=np.float32).tobytes()
    return _latents(str(store().path), corpus_name, sae_name, raw)


def label_vectors(corpus_name: str, sae_name: str) -> "Rows | None":
    """Unit embeddings of all labels, float16 (n_latents, d); zero rows where there is no label.

    None without a query encoder: there is nothing to compare them with.
    """
    return None if query_encoder() is None else sae(corpus_name, sae_name).label_vectors
