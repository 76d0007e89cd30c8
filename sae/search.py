"""Exact nearest documents by cosine, without reading the whole matrix in floating point.

Every row r of the float16 embeddings is also kept as small integers: u_r = row / ‖row‖ ≈ step_r · coarse_r,
with lost_r = ‖u_r − step_r · coarse_r‖. For any query q

    |u_r · q − step_r · (coarse_r · q)| ≤ ‖q‖ · lost_r        (Cauchy–Schwarz)

so one pass over the integers gives every score an interval that surely holds it. Only rows whose interval
reaches the n-th best lower end can be among the top n; they are scored exactly, and nothing is lost.

The pass is linear in the query. For a steered query x + Σ aᵢ wᵢ the coarse scores are a weighted sum of the
columns E·x and E·wᵢ, which are kept, so that moving a slider reads no matrix; the interval stays ‖x + Σ aᵢ
wᵢ‖ · lost_r.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sae.errors import UserError

if TYPE_CHECKING:
    from sae.steer import Steered

FloatArray = npt.NDArray[np.float32]
RowArray = npt.NDArray[np.int64]

# Matrix entries converted to float at once. 512 KB of float32 stay in the processor's cache, and a product of
# this size is not spread over threads, which costs twenty times the work itself on a busy processor.
_BLOCK_ENTRIES = 1 << 17
_PIECE = 1 << 15  # scores added up at once
_SCAN = 256  # scores whose maximum stands for them in a first look
_COLUMN_BYTES = 48 << 20  # columns E·w kept for all sessions together
_RESTS = 8  # sums kept of all columns but the one that moves
_LEVELS = 127  # the largest coarse entry of a row
_UNIT_ROUNDOFF = 2.0**-24
_SHORTEST = 1e-4  # a steered query outside 1e-4 … 1e4 is scaled before it is searched


class SearchableCorpus(Protocol):
    """What a search reads: ``sae.store.Corpus`` has it."""

    @property
    def embeddings(self) -> np.ndarray:
        """float16 (n_documents, d_in)."""

    @property
    def search_rows(self) -> np.ndarray:
        """int8 (n_documents, d_in)."""

    @property
    def search_scales(self) -> np.ndarray:
        """float32 (n_documents, 2): step of a row, length of what rounding lost."""


def quantise(embeddings: np.ndarray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """The coarse rows of embeddings (n, d_in), block by block.

    Returns int8 (n, d_in) and float32 (n, 2): the step of each row, and an upper bound on the length of what
    rounding lost of the row scaled to unit length. A row of zeros keeps step 0. Raises UserError on a row
    that is not finite.
    """
    n, d_in = embeddings.shape
    rows = np.zeros((n, d_in), np.int8)
    scales = np.zeros((n, 2), np.float32)
    for block in _blocks(n, d_in):
        exact = np.asarray(embeddings[block], dtype=np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", exact, exact))
        if not np.isfinite(lengths).all():
            row = block.start + int(np.flatnonzero(~np.isfinite(lengths))[0])
            raise UserError(f"The embedding of document {row:,} is not finite; embed it again.")
        unit = exact / np.where(lengths > 0, lengths, 1)[:, None]
        step = (np.abs(unit).max(axis=1, initial=0) / _LEVELS).astype(np.float32)
        coarse = np.rint(unit / np.where(step > 0, step, 1).astype(np.float64)[:, None])
        rows[block] = np.clip(coarse, -_LEVELS, _LEVELS)
        lost = unit - rows[block] * step.astype(np.float64)[:, None]
        lost_length = np.sqrt(np.einsum("nd,nd->n", lost, lost))
        scales[block, 0] = step
        # Stored in float32: rounded up, so that the bound still holds.
        scales[block, 1] = np.where(lost_length > 0, np.nextafter(lost_length.astype(np.float32), np.inf), 0)
    return rows, scales


class Searcher:
    """Exact cosine search over one corpus. Safe to share between threads.

    Attributes: n_documents, d_in. Holds 4 · n_documents bytes for each column kept, at most 48 MB of them, and
    for eight sums of columns.
    """

    def __init__(self, corpus: SearchableCorpus) -> None:
        self._embeddings = corpus.embeddings
        self._coarse = corpus.search_rows
        self._step = np.ascontiguousarray(corpus.search_scales[:, 0])
        self._lost = np.ascontiguousarray(corpus.search_scales[:, 1])
        self.n_documents, self.d_in = (int(size) for size in self._embeddings.shape)
        if not (np.isfinite(self._lost).all() and np.isfinite(self._step).all() and (self._lost >= 0).all()):
            raise UserError("The search matrix holds scales that are not numbers. Run `make verify`.")
        self._max_lost = float(self._lost.max(initial=0))
        self._columns: OrderedDict[bytes, FloatArray] = OrderedDict()
        self._max_columns = max(8, _COLUMN_BYTES // max(1, 4 * self.n_documents))
        self._rests: OrderedDict[tuple[tuple[bytes, float], ...], FloatArray] = OrderedDict()
        self._shares: OrderedDict[tuple[bytes, ...], tuple[float, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def search(
        self, vector: npt.ArrayLike, n: int = 10, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[RowArray, FloatArray]:
        """The n documents with the largest cosine to ``vector`` (d_in,).

        Returns rows int64 (m,) and their cosines float32 (m,), m = min(n, documents allowed), the largest
        first, equal ones by row. A cosine is computed in float64 from the float16 row and rounded to
        float32. ``allowed``: bool (n_documents,), the documents to search, all by default. Raises UserError
        when the vector is not finite or of another size.
        """
        query = self._checked(vector)
        scaled, length = query, _length(query)
        if length:  # so that very short and very long queries lose nothing in float32
            scaled = (query / length).astype(np.float32)
        coarse = self._pass(scaled[None])[0]
        return self._best(coarse, query, _length(scaled), 1.0, n, allowed)

    def search_steered(
        self, steered: "Steered", n: int = 10, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[RowArray, FloatArray]:
        """The same as ``search(steered.vector, …)``, from columns kept since earlier edits of the query."""
        query = self._checked(steered.vector)
        if not _SHORTEST < _length(query) < 1 / _SHORTEST:
            return self.search(query, n, allowed)
        parts = [steered.base, *steered.directions]
        shares = [1.0, *steered.amounts]
        coarse = self._summed(parts, shares)
        reach = sum(abs(share) * _length(part) for share, part in zip(shares, parts, strict=True))
        return self._best(coarse, query, _length(query), reach * len(parts), n, allowed)

    def _summed(self, parts: Sequence[np.ndarray], shares: Sequence[float]) -> FloatArray:
        """Coarse scores Σ shares[i] · E·parts[i]. What stays while one share changes, as when a slider is dragged,
        is summed once, so that a move costs the same however many features are edited."""
        columns = self.columns(parts)
        if len(parts) < 3:
            return _weighted_sum(columns, shares)
        names = tuple(np.asarray(part, np.float32).tobytes() for part in parts)
        terms = tuple(zip(names, shares, strict=True))
        with self._lock:
            last = self._shares.get(names, ())
            moved = next(
                (i for i, pair in enumerate(zip(shares, last, strict=False)) if pair[0] != pair[1]),
                len(parts) - 1,
            )
            self._shares[names] = tuple(shares)
            still = terms[:moved] + terms[moved + 1 :]
            rest = self._rests.pop(still, None)
        if rest is None:
            kept = [i for i in range(len(parts)) if i != moved]
            rest = _weighted_sum([columns[i] for i in kept], [shares[i] for i in kept])
        with self._lock:
            self._rests[still] = rest
            while len(self._rests) > _RESTS:
                self._rests.popitem(last=False)
            while len(self._shares) > 4 * _RESTS:
                self._shares.popitem(last=False)
        return _weighted_sum([rest, columns[moved]], [1.0, shares[moved]])

    def columns(self, vectors: Sequence[np.ndarray]) -> list[FloatArray]:
        """Coarse scores E·v float32 (n_documents,) of each vector, kept until newer ones need their room."""
        keys = [np.ascontiguousarray(v, dtype=np.float32).tobytes() for v in vectors]
        with self._lock:
            found = {key: self._columns[key] for key in keys if key in self._columns}
        missing = list(dict.fromkeys(key for key in keys if key not in found))
        if missing:
            stacked = np.stack([np.frombuffer(key, dtype=np.float32) for key in missing])
            found.update(zip(missing, self._pass(stacked), strict=True))
        with self._lock:
            for key in keys:
                self._columns[key] = found[key]
                self._columns.move_to_end(key)
            while len(self._columns) > self._max_columns:
                self._columns.popitem(last=False)
        return [found[key] for key in keys]

    def exact(self, vector: npt.ArrayLike, rows: npt.ArrayLike) -> FloatArray:
        """Cosines float32 (m,) of ``vector`` (d_in,) with the documents at ``rows`` (m,)."""
        query = self._checked(vector).astype(np.float64)
        wanted = np.asarray(rows, dtype=np.int64)
        length = _length(query)
        scores = np.zeros(len(wanted), np.float32)
        if length == 0:
            return scores
        for block in _blocks(len(wanted), self.d_in):
            documents = np.asarray(self._embeddings[wanted[block]], dtype=np.float64)
            lengths = np.sqrt(np.einsum("nd,nd->n", documents, documents))
            dots = np.einsum("nd,d->n", documents, query)
            scores[block] = dots / (np.where(lengths > 0, lengths, 1) * length)
        return scores

    def _checked(self, vector: npt.ArrayLike) -> FloatArray:
        query = np.ascontiguousarray(vector, dtype=np.float32)
        if query.shape != (self.d_in,):
            raise UserError(f"The query has shape {query.shape}; the documents have {self.d_in} dimensions.")
        if not np.isfinite(query).all():
            raise UserError("The query's embedding is not finite; reset the edits.")
        return query

    def _pass(self, vectors: FloatArray) -> list[FloatArray]:
        """Coarse scores of vectors (m, d_in): m arrays float32 (n_documents,)."""
        scores = [np.empty(self.n_documents, np.float32) for _ in vectors]
        buffer = np.empty((max(1, _BLOCK_ENTRIES // max(1, self.d_in)), self.d_in), np.float32)
        for block in _blocks(self.n_documents, self.d_in):
            rows = buffer[: block.stop - block.start]
            np.copyto(rows, self._coarse[block])
            for score, vector in zip(scores, vectors, strict=True):
                np.dot(rows, vector, out=score[block])
        for score in scores:
            score *= self._step
        return scores

    def _best(
        self,
        coarse: FloatArray,
        query: FloatArray,
        length: float,
        reach: float,
        n: int,
        allowed: npt.NDArray[np.bool_] | None,
    ) -> tuple[RowArray, FloatArray]:
        """Top n from the coarse scores of ``query`` brought to ``length``.

        ``reach`` bounds the lengths of the summands of the coarse scores, for their rounding in float32.
        """
        available = self.n_documents if allowed is None else int(np.count_nonzero(allowed))
        n = min(n, available)
        if n <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        # A sum of d products is off by at most d · roundoff of the summands' lengths; doubled for the
        # products, the weighted sum, the query's own rounding and the last rounding of an exact score.
        rounding = 2 * (self.d_in + 16) * _UNIT_ROUNDOFF * (1 + self._max_lost) * max(reach, length)
        slope = np.float32(length * (1 + 1e-6))
        widest = np.float32(1.0001) * (np.float32(self._max_lost) * slope + np.float32(rounding))
        if allowed is not None:
            coarse = np.where(allowed, coarse, np.float32(-np.inf))
        # n rows score at least ``sure`` less ``widest``; a row whose upper end is below that is out.
        near = np.flatnonzero(coarse >= _sure(coarse, n) - 2 * widest)
        scores = coarse[near]
        bound = self._lost[near] * slope + np.float32(rounding)
        lower = scores - bound
        rows = near[(scores + bound >= np.partition(lower, -n)[-n]) & (scores > -np.inf)]
        scores = self.exact(query, rows)
        best = np.lexsort((rows, -scores))[:n]
        return rows[best], scores[best]


def _sure(coarse: FloatArray, n: int) -> np.float32:
    """A value that at least n entries reach: the n-th largest maximum of a block, where there are so many."""
    size = max(1, min(_SCAN, len(coarse) // (8 * n)))
    if size == 1:
        return np.float32(np.partition(coarse, -n)[-n])
    whole = len(coarse) // size * size
    maxima = coarse[:whole].reshape(-1, size).max(axis=1)
    return np.float32(np.partition(maxima, -n)[-n])


def _weighted_sum(columns: Sequence[FloatArray], shares: Sequence[float]) -> FloatArray:
    """Σ shares[i] · columns[i], float32 (n,), in pieces that stay in the processor's cache."""
    total = np.empty_like(columns[0])
    spare = np.empty(min(len(total), _PIECE), np.float32)
    for start in range(0, len(total), _PIECE):
        piece = slice(start, min(len(total), start + _PIECE))
        into = total[piece]
        np.multiply(columns[0][piece], np.float32(shares[0]), out=into)
        for column, share in zip(columns[1:], shares[1:], strict=True):
            product = spare[: len(into)]
            np.multiply(column[piece], np.float32(share), out=product)
            into += product
    return total


def _length(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))


def _blocks(n: int, d_in: int) -> list[slice]:
    size = max(1, _BLOCK_ENTRIES // max(1, d_in))
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]
