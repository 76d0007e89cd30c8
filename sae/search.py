"""Exact nearest documents by cosine, without reading the whole matrix in floating point.

Every row r of the float16 embeddings is also kept as small integers: u_r = row / ‖row‖ ≈ step_r · coarse_r,
with lost_r = ‖u_r − step_r · coarse_r‖. For any query q

    |u_r · q − step_r · (coarse_r · q)| ≤ ‖q‖ · lost_r        (Cauchy–Schwarz)

so one pass over the integers gives every score an interval that surely holds it. Only rows whose interval
reaches the n-th best lower end can be among the top n; they are scored exactly, and nothing is lost.

The pass is linear in the query. For a steered query x + Σ aᵢ wᵢ the coarse scores are a weighted sum of the
columns E·x and E·wᵢ, which are kept (``sae.compiled.column_sums``), so that moving a slider reads no matrix; the
interval stays ‖x + Σ aᵢ wᵢ‖ · lost_r.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sae.compiled.column_sums import Sums, column_name
from sae.errors import UserError
from sae.storage.stored_rows import Rows

if TYPE_CHECKING:
    from sae.steer import Steered

FloatArray = npt.NDArray[np.float32]
RowArray = npt.NDArray[np.int64]

# Matrix entries converted to float at once. 512 KB of float32 stay in the processor's cache, and a product of
# this size is not spread over threads, which costs twenty times the work itself on a busy processor.
_BLOCK_ENTRIES = 1 << 17
_SCAN = 256  # scores whose maximum stands for them in a first look
# Columns E·w kept for all sessions together: each new query brings one, and what is kept fills up whatever its use.
# In a small corpus a column is computed anew in a few milliseconds, in a large one the bytes are the narrower limit.
_COLUMNS, _COLUMN_BYTES = 64, 48 << 20
_LEVELS = 127  # the largest coarse entry of a row
_UNIT_ROUNDOFF = 2.0**-24
_SHORTEST = 1e-4  # a steered query outside 1e-4 … 1e4 is scaled before it is searched


class SearchableCorpus(Protocol):
    """What a search reads: ``sae.store.Corpus`` has it."""

    @property
    def embeddings(self) -> Rows:
        """float16 (n_documents, d_in)."""

    @property
    def search_rows(self) -> Rows:
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

    Attributes: n_documents, d_in. Holds 4 · n_documents bytes for each column kept, at most 64 and 48 MB of them
    but never fewer than 8, and for each of a few sums of columns.
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
        self._max_columns = max(8, min(_COLUMNS, _COLUMN_BYTES // max(1, 4 * self.n_documents)))
        self._sums = Sums()
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
        rounding = self._rounding(1.0, 2)
        near, coarse = self._near(self._pass(scaled[None])[0], _length(scaled), rounding, n, allowed)
        return self._rank(near, coarse, query, _length(scaled), rounding, n)

    def search_steered(
        self, steered: "Steered", n: int = 10, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[RowArray, FloatArray]:
        """The same as ``search(steered.vector, …)``, from columns kept since earlier edits of the query."""
        query = self._checked(steered.vector)
        length = _length(query)
        if not _SHORTEST < length < 1 / _SHORTEST:
            return self.search(query, n, allowed)
        terms: dict[bytes, float] = {}
        reach = 0.0
        parts = [steered.base, *steered.directions]
        for part, share in zip(parts, [1.0, *steered.amounts], strict=True):
            name = column_name(part)
            terms[name] = terms.get(name, 0.0) + share
            reach += abs(share) * _length(part)
        columns = dict(zip(terms, self.columns(list(terms)), strict=True))

        def column(name: bytes) -> FloatArray | None:
            return columns[name] if name in columns else self._columns.get(name)

        with self._sums.lock:  # while it is read: another session may go on from the same sum
            found = self._sums.of(terms, reach, column)
            rounding = self._rounding(found.reach, found.roundings)
            near, coarse = self._near(found.scores, length, rounding, n, allowed)
        return self._rank(near, coarse, query, length, rounding, n)

    def columns(self, vectors: Sequence[np.ndarray | bytes]) -> list[FloatArray]:
        """Coarse scores E·v float32 (n_documents,) of each vector, or of what ``column_name`` gives for it; kept until
        newer ones need their room."""
        keys = [v if isinstance(v, bytes) else column_name(v) for v in vectors]
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
            raise UserError(
                f"The query has shape {query.shape}; the documents have {self.d_in} dimensions. "
                "Embed it with their model."
            )
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

    def _rounding(self, reach: float, roundings: int) -> float:
        """How far a coarse score may be off by arithmetic in float32.

        ``reach``: the lengths of its summands together; ``roundings``: how often their sum was rounded.
        """
        # A sum of d products is off by at most d · roundoff of the summands' lengths; doubled for the
        # products, the query's own rounding and the last rounding of an exact score.
        return (2 * (self.d_in + 16) + roundings) * _UNIT_ROUNDOFF * (1 + self._max_lost) * reach

    def _near(
        self,
        coarse: FloatArray,
        length: float,
        rounding: float,
        n: int,
        allowed: npt.NDArray[np.bool_] | None,
    ) -> tuple[RowArray, FloatArray]:
        """Rows (m,) that may be among the top n by the coarse scores of a query of ``length``, and those scores."""
        if allowed is not None:
            coarse = np.where(allowed, coarse, np.float32(-np.inf))
        n = min(n, len(coarse) if allowed is None else int(np.count_nonzero(allowed)))
        if n <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        # n rows score at least ``sure`` less ``widest``; a row whose upper end is below that is out.
        widest = 1.0001 * (self._max_lost * length + rounding)
        least = _sure(coarse, n) - np.float32(2 * widest)
        near = np.flatnonzero((coarse >= least) & (coarse > -np.inf) if least == -np.inf else coarse >= least)
        return near, coarse[near]

    def _rank(
        self,
        near: RowArray,
        coarse: FloatArray,
        query: FloatArray,
        length: float,
        rounding: float,
        n: int,
    ) -> tuple[RowArray, FloatArray]:
        """Top n among the rows ``near``, whose coarse scores are those of ``query`` brought to ``length``."""
        n = min(n, len(near))
        if n <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        bound = self._lost[near] * np.float32(length * (1 + 1e-6)) + np.float32(rounding)
        # The best by their coarse scores first: most others cannot reach the worst of them.
        first = np.argpartition(coarse, -n)[-n:]
        firsts = self.exact(query, near[first])
        reaching = coarse + bound >= firsts.min() * np.float32(length)
        reaching[first] = False
        rows = np.concatenate([near[first], near[reaching]])
        scores = np.concatenate([firsts, self.exact(query, near[reaching])])
        best = np.lexsort((rows, -scores))[:n]
        return rows[best], scores[best]


def _sure(coarse: FloatArray, n: int) -> np.float32:
    """A value that at least n entries reach: the n-th largest maximum of a group, where there are so many."""
    groups = max(8 * n, len(coarse) // _SCAN)
    size = len(coarse) // groups
    if size < 2:
        return np.float32(np.partition(coarse, -n)[-n])
    # Entries i, i + groups, i + 2 · groups … are a group, so that the maxima are found in whole lines.
    maxima = coarse[: size * groups].reshape(size, groups).max(axis=0)
    return np.float32(np.partition(maxima, -n)[-n])


def _length(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))


def _blocks(n: int, d_in: int) -> list[slice]:
    size = max(1, _BLOCK_ENTRIES // max(1, d_in))
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]
