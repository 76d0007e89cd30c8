"""Training data that need not fit in memory: checks, standardisation, random batches and noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sae.errors import UserError
from sae.progress import Progress, silent

FloatArray = npt.NDArray[np.float32]
RowArray = npt.NDArray[np.int64]

BLOCK_ENTRIES = 2**22
"""Entries read at once when the whole corpus is streamed: 16 MB in float32."""

_ORDER, _NOISE, _START = 1, 2, 3


class Embeddings(Protocol):
    """Anything two-dimensional whose rows can be taken by an index array: NumPy, memory map, Zarr."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any) -> Any: ...


def generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    """The random stream of one purpose: depends on nothing but its key, so a resumed run repeats it."""
    return np.random.default_rng([seed, purpose, number])


def start_generator(seed: int) -> np.random.Generator:
    """The stream of samples and first weights."""
    return generator(seed, _START, 0)


def read_rows(embeddings: Embeddings, rows: RowArray) -> FloatArray:
    """``embeddings[rows]`` as float32 (len(rows), d_in); rows ascend, so that a disk is read one way."""
    by_row = getattr(embeddings, "oindex", embeddings)
    return np.asarray(by_row[rows], dtype=np.float32)


def blocks_of(rows: RowArray, d_in: int) -> Iterator[RowArray]:
    """``rows`` in pieces that are small enough to hold in memory."""
    size = max(1, BLOCK_ENTRIES // d_in)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def checked_rows(embeddings: Embeddings, d_in: int, rows: Any, held_out: Any) -> tuple[RowArray, RowArray]:
    """Ascending training and held-out rows. ``rows`` None means every row that is not held out.

    UserError when the shape does not fit d_in, a row does not exist, or both sets share a row.
    """
    if len(embeddings.shape) != 2 or embeddings.shape[1] != d_in:
        raise UserError(
            f"The embeddings have shape {tuple(embeddings.shape)}, but SAEConfig.d_in is {d_in}; "
            f"set d_in to the second number."
        )
    n_documents = embeddings.shape[0]
    evaluated = np.unique(np.asarray([] if held_out is None else held_out, dtype=np.int64))
    if rows is None:
        trained = np.setdiff1d(np.arange(n_documents, dtype=np.int64), evaluated, assume_unique=True)
    else:
        trained = np.unique(np.asarray(rows, dtype=np.int64))
    for name, chosen in (("rows", trained), ("held_out", evaluated)):
        if len(chosen) and (chosen[0] < 0 or chosen[-1] >= n_documents):
            outside = chosen[0] if chosen[0] < 0 else chosen[-1]
            raise UserError(f"{name} contains row {outside}, but there are {n_documents} documents.")
    shared = np.intersect1d(trained, evaluated, assume_unique=True)
    if len(shared):
        raise UserError(
            f"{len(shared)} rows, row {shared[0]} among them, are both trained on and held out; "
            "a held-out row must not be trained on."
        )
    if len(trained) == 0:
        raise UserError("There are no documents to train on; give at least one row.")
    return trained, evaluated


@dataclass(frozen=True)
class Standardisation:
    """z = (x − mean) / scale: one mean a dimension, one scale for the whole corpus.

    One scale keeps a decoder direction times scale a direction in embedding space; it is the root mean
    square of all centred entries, so an entry of z has variance 1 on average and the MSE of predicting the
    mean is exactly 1 over the training rows.
    """

    mean: FloatArray
    """(d_in,) float32."""
    scale: float

    def apply(self, x: FloatArray) -> FloatArray:
        """Standardised float32 copy of raw rows (n, d_in)."""
        z: FloatArray = (x - self.mean) * np.float32(1 / self.scale)
        return z


def _refuse_non_finite(x: FloatArray, rows: RowArray) -> None:
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        what = "NaN" if np.isnan(x[first]).any() else "an infinite number"
        more = int((~finite).sum()) - 1
        beside = f" (and {more} of the rows read with it)" if more else ""
        raise UserError(f"Row {rows[first]}{beside} of the embeddings contains {what}; embed or drop it.")


def standardise(
    embeddings: Embeddings, rows: RowArray, held_out: RowArray, progress: Progress | None = None
) -> Standardisation:
    """Mean and scale of the training rows in one streamed pass, in float64.

    Every row, held-out rows included, is checked to be finite. UserError names the first that is not, or
    says that all embeddings are the same.
    """
    report = progress or silent
    d_in = embeddings.shape[1]
    total = np.zeros(d_in)
    squares = np.zeros(d_in)
    shift = read_rows(embeddings, rows[:1])[0].astype(np.float64)
    done = 0
    for chosen, counted in ((rows, True), (held_out, False)):
        for block in blocks_of(chosen, d_in):
            x = read_rows(embeddings, block)
            _refuse_non_finite(x, block)
            if counted:
                shifted = x - shift
                total += shifted.sum(axis=0)
                squares += np.einsum("nd,nd->d", shifted, shifted)
            done += len(block)
            report(done, len(rows) + len(held_out), "reading embeddings")
    shifted_mean = total / len(rows)
    variance = float(np.mean(np.maximum(squares / len(rows) - shifted_mean**2, 0)))
    if variance <= 1e-16 * max(float(np.mean(shift**2)), 1e-300):
        raise UserError("All training embeddings are the same; an autoencoder needs documents that differ.")
    return Standardisation((shift + shifted_mean).astype(np.float32), float(np.sqrt(variance)))


class Batches:
    """Random batches without a copy of the corpus: epochs of seeded permutations laid end to end.

    Batch number s holds the positions s·batch_size … (s+1)·batch_size of that endless sequence, so every
    document comes once an epoch and any batch can be drawn without the ones before it.
    """

    def __init__(self, embeddings: Embeddings, rows: RowArray, batch_size: int, seed: int) -> None:
        self.embeddings = embeddings
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.seed = seed
        self._epochs: dict[int, RowArray] = {}

    def _order(self, epoch: int) -> RowArray:
        if epoch not in self._epochs:
            self._epochs = {number: order for number, order in self._epochs.items() if number == epoch - 1}
            self._epochs[epoch] = generator(self.seed, _ORDER, epoch).permutation(self.rows)
        return self._epochs[epoch]

    def row_numbers(self, step: int) -> RowArray:
        """Ascending row numbers (batch_size,) of batch ``step``."""
        position, pieces, missing = step * self.batch_size, [], self.batch_size
        while missing:
            epoch, offset = divmod(position, len(self.rows))
            piece = self._order(epoch)[offset : offset + missing]
            pieces.append(piece)
            position += len(piece)
            missing -= len(piece)
        return np.sort(np.concatenate(pieces))

    def read(self, step: int, part: slice = slice(None)) -> FloatArray:
        """Raw embeddings (batch_size, d_in) float32 of batch ``step``, or of a part of it."""
        return read_rows(self.embeddings, self.row_numbers(step)[part])


@cache
def normal_quantiles() -> FloatArray:
    """(65536,) float32: equally likely values of a normal variable of variance 1.

    Indexing it with random 16-bit codes draws Gaussian noise (up to 4.3 standard deviations) for the price
    of the random bits, a tenth of drawing normal numbers.
    """
    from scipy.special import ndtri

    values = ndtri((np.arange(2**16) + 0.5) / 2**16)
    return (values / np.sqrt(np.mean(values**2))).astype(np.float32)


def noise_codes(seed: int, step: int, shape: tuple[int, int]) -> npt.NDArray[np.uint16]:
    """Codes (n, d_in) into ``normal_quantiles`` for batch ``step``."""
    entries = shape[0] * shape[1]
    words = generator(seed, _NOISE, step).integers(0, 2**64, -(-entries // 4), dtype=np.uint64)
    return words.view(np.uint16)[:entries].reshape(shape)
