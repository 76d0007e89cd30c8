"""What a batch says to the CPU training step before any weight changes: selection, reconstruction, AuxK."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sae.compiled import kernels
from sae.compiled.crew import share
from sae.compiled.selector import NO_BITS, SELECTED_ROWS, Buffers, Selector
from sae.config import SAEConfig
from sae.training.data import Standardisation, normal_quantiles
from sae.training.loss import NO_VARIANCE

Array = npt.NDArray[Any]
Noise = npt.NDArray[np.uint16] | None

CHUNK_ROWS = SELECTED_ROWS[0]
"""Documents of one piece of work: small pieces end together."""


@dataclass
class Aux:
    """AuxK of one batch: entries (n, n_aux) of dead latents, and the loss before its weight."""

    acts: Array
    indices: Array
    dz: Array
    loss: float


NO_AUX = Aux(np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32), 0.0)
"""Where no latent is dead."""


@dataclass
class Batch:
    """Views of buffers that the next batch writes over."""

    x: Array
    """(n, d_in): what the encoder sees, less pre_bias."""
    x_norms: Array
    """(n,)"""
    gradient: Array
    """(2n, d_in): gradient of the reconstruction's output, then of AuxK's, which need not be there."""
    gradient_norms: Array
    """(2n,)"""
    sums: Array
    """(d_in,): the first n rows of ``gradient`` summed over documents."""
    acts: Array
    indices: Array
    dz: Array
    """(n, k): selected entries, and the loss's gradient for each."""
    fvu: float


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(n, start + CHUNK_ROWS)) for start in range(0, n, CHUNK_ROWS)]


class BatchPass:
    """The part of a step that goes document by document.

    ``weights`` are kept, not copied, and read in every call; ``normaliser``: MSE of predicting the mean.
    """

    def __init__(
        self,
        config: SAEConfig,
        weights: dict[str, Array],
        selector: Selector,
        buffer: Buffers,
        standardisation: Standardisation,
        noise: float,
        normaliser: float,
    ) -> None:
        dtype = buffer.dtype
        self.config, self.weights, self.selector = config, weights, selector
        self._buffer, self.dtype, self.normaliser = buffer, dtype, normaliser
        self._aux_buffer = Buffers(dtype)
        self.noise = dtype(noise)
        self.mean = standardisation.mean.astype(dtype)
        self.inverse_scale = dtype(np.float32(1 / standardisation.scale))
        self.quantiles = normal_quantiles().astype(dtype)

    def __call__(self, rows: Array, noise: Noise, threads: int) -> Batch:
        """Raw embeddings ``rows`` (n, d_in), ``noise`` (n, d_in) codes into normal_quantiles."""
        n, d_in = rows.shape
        rows = np.ascontiguousarray(rows, self.dtype)
        weights, buffer, k = self.weights, self._buffer, self.config.k
        z, x = buffer("z", (n, d_in)), buffer("x", (n, d_in))
        gradient, gradient_norms = buffer("gradient", (2 * n, d_in)), buffer("gradient_norms", (2 * n,))
        x_norms, acts, dz = buffer("x_norms", (n,)), buffer("acts", (n, k)), buffer("dz", (n, k))
        indices = buffer("indices", (n, k), np.int32)
        chunks = _chunks(n)
        squares, sums = np.zeros(len(chunks)), np.zeros((len(chunks), d_in), self.dtype)
        factor = self.dtype(2 / (n * d_in * self.normaliser))
        self.selector.refresh()

        def prepare(part: slice, rounded: Array, norms: Array) -> None:
            kernels.prepare_rows(
                rows[part], self.mean, self.inverse_scale, NO_BITS if noise is None else noise[part],
                self.quantiles, self.noise, weights["pre_bias"], z[part], x[part], x_norms[part], rounded, norms,
            )  # fmt: skip

        def decode(part: slice) -> None:
            kernels.decode_chunks(
                (part.start, part.stop), CHUNK_ROWS, acts, indices, weights["W_dec"], z, weights["pre_bias"],
                factor, gradient, gradient_norms, dz, sums, squares,
            )  # fmt: skip

        self.selector.select(x, acts, indices, threads, prepare, decode)
        fvu = float(squares.sum()) / (n * d_in * self.normaliser)
        return Batch(x, x_norms, gradient, gradient_norms, sums.sum(axis=0), acts, indices, dz, fvu)

    def aux_k(self, batch: Batch, dead: npt.NDArray[np.int64], threads: int) -> Aux:
        """The latents ``dead`` rebuild the residual; the gradient of that is written into ``batch.gradient``."""
        n, d_in = batch.x.shape
        residual = self._buffer("residual", (n, d_in))
        chunks = _chunks(n)
        squares, sums = np.zeros(len(chunks)), np.zeros((len(chunks), d_in), self.dtype)
        back = self.dtype(-n * d_in * self.normaliser / 2)

        def untwist(piece: int) -> None:
            chunk = chunks[piece]
            squares[piece] = kernels.scale_rows(batch.gradient[chunk], back, residual[chunk], sums[piece])

        share(untwist, len(chunks), threads)
        mean_square = float(squares.sum()) / (n * d_in)
        mean = sums.sum(axis=0) / self.dtype(n)

        def centre(piece: int) -> None:
            squares[piece] = kernels.centred_squares(residual[chunks[piece]], mean)

        share(centre, len(chunks), threads)
        variance = float(squares.sum()) / (n * d_in)
        if variance <= NO_VARIANCE * mean_square:
            return NO_AUX
        n_aux = min(self.config.n_aux, len(dead))
        acts, dz = self._buffer("aux_acts", (n, n_aux)), self._buffer("aux_dz", (n, n_aux))
        indices = self._buffer("aux_indices", (n, n_aux), np.int32)
        latents = dead.astype(np.int32)
        among_dead = Selector(
            self.weights["W_enc"][dead], self.weights["latent_bias"][dead], n_aux, screen=False,
            buffer=self._aux_buffer,
        )  # fmt: skip
        factor = self.dtype(self.config.aux_alpha * 2 / (n * d_in * variance))
        no_bias = np.zeros(d_in, self.dtype)
        gradient, gradient_norms = batch.gradient[n:], batch.gradient_norms[n:]

        def decode(part: slice) -> None:
            indices[part] = latents[indices[part]]
            kernels.decode_chunks(
                (part.start, part.stop), CHUNK_ROWS, acts, indices, self.weights["W_dec"], residual, no_bias,
                factor, gradient, gradient_norms, dz, sums, squares,
            )  # fmt: skip

        among_dead.select(batch.x, acts, indices, threads, finish=decode)
        return Aux(acts, indices, dz, float(squares.sum()) / (n * d_in * variance))
