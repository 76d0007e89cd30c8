"""Vectors of phrases where no model can embed them: the mean of the documents that hold the phrase.

For corpora whose vectors came in a file without their model. Such vectors know less than a model's: a phrase of
which no document was looked at gets zeros, and rare phrases lean on few documents.
"""

from collections.abc import Sequence
from functools import partial, reduce

import numpy as np
import numpy.typing as npt
from scipy import sparse


def mean_vectors(
    contains: sparse.spmatrix,
    embeddings: npt.NDArray[np.floating],
    rows: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.float32]:
    """(n_phrases, d_in) float32: the mean, scaled to unit length, of the unit rows of documents with the phrase.

    ``contains`` (n_documents, n_phrases) of ones; ``rows``: the documents that count, such as the half that
    labels are written from (None: all). Zeros where none of them has the phrase.
    """
    chosen = sparse.csr_matrix(contains)
    if rows is not None:  # others count nothing: their vectors stay where they are
        counts = np.zeros(chosen.shape[0], np.float32)
        counts[rows] = 1
        chosen = sparse.diags(counts) @ chosen
    total = np.asarray(chosen.T @ np.asarray(embeddings, np.float32), np.float32)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def documents_with_words(
    texts: Sequence[Sequence[str]], vocabulary: dict[str, int], document_words: sparse.csr_matrix
) -> sparse.csc_matrix:
    """(n_documents, len(texts)) of ones where a document has every one of a text's merged words."""
    by_word = document_words.tocsc()
    columns = []
    for words in texts:
        known = sorted({vocabulary[word] for word in words if word in vocabulary})
        if not known or len(known) < len(set(words)):
            columns.append(np.zeros(0, np.int64))
            continue
        having = (by_word.indices[by_word.indptr[word] : by_word.indptr[word + 1]] for word in known)
        columns.append(reduce(partial(np.intersect1d, assume_unique=True), having).astype(np.int64))
    offsets = np.cumsum([0] + [len(column) for column in columns])
    found = np.concatenate([*columns, np.zeros(0, np.int64)])
    ones = np.ones(len(found), np.float32)
    return sparse.csc_matrix((ones, found, offsets), shape=(document_words.shape[0], len(texts)))
