"""How well phrases fit documents: three comparable measures, each linear in a vector of the phrase.

With unit document embeddings e and phrase embeddings v:

- *cosine*: e·v, standardised first for each document over many phrases, then for each phrase over all
  documents. Short phrases and long documents live in different corners of the space; this takes the offset
  out. Both standardisations follow exactly from means and covariances, so no document × phrase matrix is
  needed.
- *prototype*: a linear discriminant for "documents that contain the phrase": Σ⁻¹p, where p is the mean of
  such documents (centred), drawn towards what a ridge regression from v expects when they are few, and Σ the
  shrunken covariance of documents. Documents are dealt into two folds; a document is only ever judged by the
  prototype of the other fold, so that its own words do not answer for it.
- *coverage*: share of the phrase's words, weighted by inverse document frequency, that the document contains.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

FloatArray = npt.NDArray[np.floating]

_COVARIANCE_SHRINKAGE = 0.1
_PROTOTYPE_PRIOR = 8.0  # documents that the regression's expectation is worth
_RIDGE = 1e-2


@dataclass(frozen=True)
class PhraseVectors:
    """What is needed of m phrases to score any document against them.

    cosine: (m, d_in) float32; prototypes: (2, m, d_in) float32, one for each fold of documents to be judged;
    words: (m, n_words) CSR float32, rows sum to 1 (idf-weighted words of the phrase).
    """

    cosine: FloatArray
    prototypes: FloatArray
    words: sparse.csr_matrix

    def take(self, index: npt.ArrayLike) -> "PhraseVectors":
        """The phrases at ``index``."""
        rows = np.asarray(index)
        return replace(
            self, cosine=self.cosine[rows], prototypes=self.prototypes[:, rows], words=self.words[rows]
        )


@dataclass(frozen=True)
class PhraseScores:
    """Three (n_documents, n_phrases) float32 measures; see the module."""

    cosine: FloatArray
    prototype: FloatArray
    coverage: FloatArray


class PhraseSpace:
    """The corpus's side of the comparison: embeddings, words, and the statistics that make measures
    comparable.
    """

    def __init__(
        self, embeddings: FloatArray, document_words: sparse.csr_matrix, phrase_embeddings: FloatArray
    ) -> None:
        """``embeddings`` (n_documents, d_in) unit rows; ``document_words`` (n_documents, n_words) of ones;
        ``phrase_embeddings`` (n_phrases, d_in): the phrases over which a document's cosines are
        standardised."""
        self.embeddings = embeddings
        self.document_words = document_words
        n_documents = len(embeddings)
        self.fold = (np.random.default_rng(n_documents).permutation(n_documents) % 2).astype(np.int8)
        self.mean = embeddings.mean(0, dtype=np.float64)
        self.inverse_frequency = _inverse_document_frequency(document_words)
        d_in = embeddings.shape[1]
        # Tiny corpora have few phrases or none: then there is nothing to standardise over.
        self._phrase_mean, phrase_covariance = np.zeros(d_in), np.eye(d_in)
        if len(phrase_embeddings) > 1:
            self._phrase_mean = phrase_embeddings.mean(0, dtype=np.float64)
            phrase_covariance = np.cov(phrase_embeddings.T.astype(np.float64), bias=True)
        self.row_scale = 1 / np.sqrt(_quadratic(embeddings, phrase_covariance) + 1e-12)
        self._row_mean, self._row_covariance = _moments(embeddings, self.row_scale)
        _, self.covariance = _moments(embeddings, np.ones(n_documents))
        ridge = _COVARIANCE_SHRINKAGE * np.trace(self.covariance) / d_in + 1e-9  # documents may all be one
        self._precision = np.linalg.inv(self.covariance + ridge * np.eye(d_in))

    def centred(self, rows: npt.NDArray[np.integer]) -> FloatArray:
        """(len(rows), d_in) embeddings less the corpus mean."""
        return (self.embeddings[rows] - self.mean).astype(np.float32)

    def scores(self, documents: npt.NDArray[np.integer], phrases: PhraseVectors) -> PhraseScores:
        """Every measure for every pair of ``documents`` (row numbers) and ``phrases``."""
        rows = self.embeddings[documents]
        standardised = (rows * self.row_scale[documents, None] - self._row_mean).astype(np.float32)
        prototype = np.empty((len(documents), len(phrases.cosine)), np.float32)
        centred = (rows - self.mean).astype(np.float32)
        for fold in (0, 1):
            here = self.fold[documents] == fold
            prototype[here] = centred[here] @ phrases.prototypes[fold].T
        return PhraseScores(
            standardised @ phrases.cosine.T,
            prototype,
            _coverage(self.document_words, documents, phrases.words),
        )

    def cosine_vectors(self, phrase_embeddings: FloatArray) -> FloatArray:
        """(m, d_in) vectors whose product with a standardised document is the standardised cosine."""
        offset = phrase_embeddings.astype(np.float64) - self._phrase_mean
        spread = np.sqrt(_quadratic(offset, self._row_covariance) + 1e-12)
        return (offset / spread[:, None]).astype(np.float32)

    def prototype_vectors(
        self,
        phrase_embeddings: FloatArray,
        contains: sparse.csc_matrix,
        expectation: "Expectation | None" = None,
    ) -> tuple[FloatArray, "Expectation"]:
        """(2, m, d_in) discriminants; [f] is made of documents outside fold f. Also the regression, for
        reuse.
        """
        vectors = np.empty((2, *phrase_embeddings.shape), np.float32)
        maps = []
        for fold in (0, 1):
            others = sparse.diags((self.fold != fold).astype(np.float32)) @ contains
            count = np.asarray(others.sum(0)).ravel()
            total = np.asarray(others.T @ self.embeddings, np.float64) - count[:, None] * self.mean
            if expectation is None:
                regression = _regress(phrase_embeddings - self._phrase_mean, total, count)
            else:
                regression = expectation.maps[fold]
            maps.append(regression)
            expected = (phrase_embeddings - self._phrase_mean) @ regression
            prototype = (total + _PROTOTYPE_PRIOR * expected) / (count[:, None] + _PROTOTYPE_PRIOR)
            direction = prototype @ self._precision
            spread = np.sqrt(_quadratic(direction, self.covariance) + 1e-12)
            vectors[fold] = direction / spread[:, None]
        return vectors, Expectation((maps[0], maps[1]))


@dataclass(frozen=True)
class Expectation:
    """For each fold the (d_in, d_in) map from a phrase's centred embedding to the mean of its documents."""

    maps: tuple[np.ndarray, np.ndarray]


def _regress(phrases: np.ndarray, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Ridge regression of document means on phrase embeddings, a phrase weighing as much as its documents."""
    weight = np.minimum(counts, 50.0)
    means = totals / np.maximum(counts, 1)[:, None]
    gram = (phrases * weight[:, None]).T @ phrases
    gram += (_RIDGE * np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))  # there may be no phrase at all
    return np.linalg.solve(gram, (phrases * weight[:, None]).T @ means)


def _moments(rows: np.ndarray, scale: np.ndarray, block: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of ``rows`` times ``scale`` (n,), in float64, block by block."""
    n, d = rows.shape
    total, product = np.zeros(d), np.zeros((d, d))
    for start in range(0, n, block):
        part = rows[start : start + block] * scale[start : start + block, None]
        total += part.sum(0)
        product += part.T @ part
    mean = total / n
    return mean, product / n - np.outer(mean, mean)


def _quadratic(rows: np.ndarray, form: np.ndarray, block: int = 4096) -> np.ndarray:
    """(n,) xᵀ form x for each row x; never below zero."""
    parts = [
        np.einsum("ij,ij->i", rows[start : start + block] @ form, rows[start : start + block])
        for start in range(0, len(rows), block)
    ]
    return np.maximum(np.concatenate(parts), 0) if parts else np.zeros(0)


def _inverse_document_frequency(document_words: sparse.csr_matrix) -> np.ndarray:
    """(n_words,) log((n + 1) / (document frequency + 1/2))."""
    frequency = np.bincount(document_words.indices, minlength=document_words.shape[1])
    return np.log((document_words.shape[0] + 1) / (frequency + 0.5))


def _coverage(
    document_words: sparse.csr_matrix, documents: np.ndarray, phrase_words: sparse.csr_matrix
) -> FloatArray:
    """(len(documents), m): weight of the phrase's words that each document contains, 0 … 1."""
    used = np.unique(phrase_words.indices)
    present = document_words[documents][:, used]
    return np.asarray((present @ phrase_words[:, used].T).todense(), np.float32)
