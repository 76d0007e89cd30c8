"""Exact search on real embeddings: those of the tiny store, made by the real model."""

from pathlib import Path

import numpy as np

from sae.search import Searcher
from sae.steer import steer
from sae.store import open_store

TOP = 100


def test_without_edits_the_top_is_that_of_plain_cosine(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    for name in store.corpora:
        corpus = store.corpus(name)
        rows = np.asarray(corpus.embeddings, np.float64)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        searcher = Searcher(corpus)
        queries = [np.asarray(vector, np.float32) for vector in corpus.queries()["embedding"].to_pylist()]
        assert queries
        for query in queries:
            exact = unit @ (query.astype(np.float64) / np.linalg.norm(query.astype(np.float64)))
            order = np.lexsort((np.arange(len(exact)), -exact.astype(np.float32)))[:TOP]
            for sae in corpus.saes:
                steered = steer(query, {}, corpus.sae(sae).weights)
                assert steered.fidelity == 1.0
                np.testing.assert_array_equal(searcher.search_steered(steered, TOP)[0], order)
            np.testing.assert_array_equal(searcher.search(query, TOP)[0], order)
