"""The CPU training step: one matrix product in PyTorch, everything else compiled and sparse.

The same step as ``sae.reference``, whose autograd is its oracle in the tests. A step has three parts, each
shared out over threads in pieces: documents (encode, select, decode), latents (gradients), latents again
(Adam, once the norm over all gradients is known). Every large buffer is made once, since fresh memory costs a
page fault a page.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sae import kernels, latent_kernels
from sae.config import SAEConfig, TrainConfig
from sae.crew import ThreadChoice, available_processors, share
from sae.data import FloatArray, Standardisation, normal_quantiles
from sae.encode import IndexArray
from sae.initialise import Parameters
from sae.loss import NO_VARIANCE
from sae.model import PARAMETER_NAMES
from sae.selector import Buffers, Selector, has_bfloat16_units
from sae.stepper import ADAM_BETAS, ADAM_EPSILON, CLIP_EPSILON, State, StepReport

Array = npt.NDArray[Any]

CHUNK_ROWS = 256
"""Documents of one piece of work that holds a float32 product, which is faster the larger it is."""
SCREENED_CHUNK_ROWS = 128
"""The same where the product is done beforehand: small pieces end together."""
LATENT_PIECES = 16
"""Pieces into which the latents are divided, by equal work."""


@dataclass
class Gradients:
    """Gradient of the loss for each parameter before clipping, not yet projected for W_dec."""

    W_enc: Array
    W_dec: Array
    pre_bias: Array
    latent_bias: Array
    parallel: Array
    """(n_latents,): component of W_dec's gradient along each of its rows."""
    norm: float
    """Norm over all parameters once ``parallel`` is taken out."""


@dataclass
class _Aux:
    """AuxK of one batch: entries (n, n_aux) of dead latents, and the loss before its weight."""

    acts: Array
    indices: Array
    dz: Array
    loss: float


class FastStepper:
    """A ``Stepper`` for CPUs. ``dtype`` float64 is there to compare gradients exactly.

    ``screen``: select by a bfloat16 product and compute the candidates again in float32; None means where
    the processor has bfloat16 units. ``threads``: how many to use, None for what trials find fastest; no
    result depends on it.
    """

    def __init__(
        self,
        sae_config: SAEConfig,
        train_config: TrainConfig,
        standardisation: Standardisation,
        parameters: Parameters,
        dead_after: int,
        *,
        screen: bool | None = None,
        dtype: type[np.floating] = np.float32,
        normaliser: float = 1.0,
        threads: int | None = None,
    ) -> None:
        self.sae_config, self.train_config = sae_config, train_config
        self.dead_after, self.normaliser, self.dtype = dead_after, normaliser, dtype
        self.threads = threads or available_processors()
        self._choice = ThreadChoice(threads)
        self.mean = standardisation.mean.astype(dtype)
        self.inverse_scale = dtype(np.float32(1 / standardisation.scale))
        self.quantiles = normal_quantiles().astype(dtype)
        self.weights = {
            name: np.array(getattr(parameters, name), dtype, order="C") for name in PARAMETER_NAMES
        }
        self.adam_mean = {name: np.zeros_like(array) for name, array in self.weights.items()}
        self.adam_square = {name: np.zeros_like(array) for name, array in self.weights.items()}
        self.adam_steps = 0
        self.since_active = np.zeros(sae_config.n_latents, np.int64)
        self._buffer = Buffers(dtype)
        use_screen = dtype is np.float32 and (has_bfloat16_units() if screen is None else screen)
        self.selector = Selector(
            self.weights["W_enc"], self.weights["latent_bias"], sae_config.k, screen=use_screen
        )
        self._no_codes = np.zeros((0, 0), np.uint16)
        self._no_parallel = np.zeros(0, dtype)

    def _chunks(self, n: int) -> list[slice]:
        rows = SCREENED_CHUNK_ROWS if self.selector.screen else CHUNK_ROWS
        return [slice(start, min(n, start + rows)) for start in range(0, n, rows)]

    def gradients(
        self, rows: FloatArray, noise: npt.NDArray[np.uint16] | None
    ) -> tuple[Gradients, StepReport]:
        """Gradients of the loss on raw embeddings (n, d_in); their buffers are reused by the next call."""
        n, d_in = rows.shape
        k, tiles_of = self.sae_config.k, kernels.n_tiles(d_in)
        rows = np.ascontiguousarray(rows, self.dtype)
        sigma, weights = self.dtype(self.train_config.input_noise), self.weights
        z, x = self._buffer("z", (n, d_in)), self._buffer("x", (n, d_in))
        x_tiles = self._buffer("x_tiles", (tiles_of, n, kernels.TILE))
        tiles = self._buffer("gradient_tiles", (tiles_of, 2 * n, kernels.TILE))
        acts, dz = self._buffer("acts", (n, k)), self._buffer("dz", (n, k))
        indices = self._buffer("indices", (n, k), np.int32)
        chunks = self._chunks(n)
        squares, sums = np.zeros(len(chunks)), np.zeros((len(chunks), d_in), self.dtype)
        factor = 2 / (n * d_in * self.normaliser)
        self.selector.refresh()

        def prepare(piece: int) -> None:
            chunk = chunks[piece]
            kernels.prepare_rows(
                rows[chunk], self.mean, self.inverse_scale, self._no_codes if noise is None else noise[chunk],
                self.quantiles, sigma, weights["pre_bias"], chunk.start, z[chunk], x[chunk], x_tiles,
            )  # fmt: skip

        share(prepare, len(chunks), self.threads)
        screened = self.selector.multiply(x, self.threads)

        def documents(piece: int) -> None:
            chunk = chunks[piece]
            first = chunk.start
            self.selector.select(x[chunk], acts[chunk], indices[chunk], screened and screened[chunk])
            squares[piece] = kernels.decode_rows(
                acts[chunk], indices[chunk], weights["W_dec"], z[chunk], weights["pre_bias"],
                self.dtype(factor), first, tiles, dz[chunk], sums[piece],
            )  # fmt: skip

        share(documents, len(chunks), self.threads)
        fvu = float(squares.sum()) / (n * d_in * self.normaliser)
        kernels.count_active(acts, indices, self.since_active)
        dead = np.flatnonzero(self.since_active >= self.dead_after)
        aux = self._aux_k(x, dead, tiles, factor)
        gradients = self._latent_gradients(acts, indices, dz, aux, tiles, x_tiles, sums.sum(axis=0))
        loss = fvu + self.sae_config.aux_alpha * aux.loss
        return gradients, StepReport(loss, aux.loss, fvu, len(dead))

    def _aux_k(self, x: Array, dead: npt.NDArray[np.int64], tiles: Array, factor: float) -> _Aux:
        """The dead latents rebuild the residual.

        ``tiles`` holds factor · (recons − z) in its first n rows, and receives AuxK's gradient after them.
        """
        n, d_in = x.shape
        nothing = _Aux(
            np.zeros((n, 0), self.dtype), np.zeros((n, 0), np.int32), np.zeros((n, 0), self.dtype), 0
        )
        if not len(dead) or not self.sae_config.aux_alpha:
            return nothing
        residual = self._buffer("residual", (n, d_in))
        chunks = self._chunks(n)
        squares, sums = np.zeros(len(chunks)), np.zeros((len(chunks), d_in), self.dtype)

        def untile(piece: int) -> None:
            chunk = chunks[piece]
            squares[piece] = kernels.untile_rows(
                tiles, chunk.start, self.dtype(-1 / factor), residual[chunk], sums[piece]
            )

        share(untile, len(chunks), self.threads)
        mean_square = float(squares.sum()) / (n * d_in)
        mean = sums.sum(axis=0) / self.dtype(n)

        def centre(piece: int) -> None:
            squares[piece] = kernels.centred_squares(residual[chunks[piece]], mean)

        share(centre, len(chunks), self.threads)
        variance = float(squares.sum()) / (n * d_in)
        if variance <= NO_VARIANCE * mean_square:
            return nothing
        n_aux = min(self.sae_config.n_aux, len(dead))
        acts, dz = self._buffer("aux_acts", (n, n_aux)), self._buffer("aux_dz", (n, n_aux))
        indices = self._buffer("aux_indices", (n, n_aux), np.int32)
        latents = dead.astype(np.int32)
        among_dead = Selector(
            self.weights["W_enc"][dead], self.weights["latent_bias"][dead], n_aux, screen=False
        )
        aux_factor = self.dtype(self.sae_config.aux_alpha * 2 / (n * d_in * variance))
        no_bias = np.zeros(d_in, self.dtype)

        def documents(piece: int) -> None:
            chunk = chunks[piece]
            among_dead.select(x[chunk], acts[chunk], indices[chunk])
            indices[chunk] = latents[indices[chunk]]
            squares[piece] = kernels.decode_rows(
                acts[chunk], indices[chunk], self.weights["W_dec"], residual[chunk], no_bias,
                aux_factor, n + chunk.start, tiles, dz[chunk], sums[piece],
            )  # fmt: skip

        share(documents, len(chunks), self.threads)
        return _Aux(acts, indices, dz, float(squares.sum()) / (n * d_in * variance))

    def _latent_gradients(
        self, acts: Array, indices: Array, dz: Array, aux: _Aux, tiles: Array, x_tiles: Array, sums: Array
    ) -> Gradients:
        """Gradients of all parameters; ``sums`` (d_in,) is the output's gradient summed over documents."""
        n_latents, d_in = self.weights["W_enc"].shape
        entries = acts.size + aux.acts.size
        starts = self._buffer("starts", (n_latents + 1,), np.int64)
        order = self._buffer("order", (entries,), np.int64)
        sorted_acts, sorted_dz = (
            self._buffer("sorted_acts", (entries,)),
            self._buffer("sorted_dz", (entries,)),
        )
        bounds = np.empty(LATENT_PIECES + 1, np.int64)
        latent_kernels.sort_by_latent(
            acts, indices, dz, aux.acts, aux.indices, aux.dz, starts, order, sorted_acts, sorted_dz, bounds
        )
        dW_dec, dW_enc = (self._buffer(name, (n_latents, d_in)) for name in ("dW_dec", "dW_enc"))
        parallel, dlatent_bias = (self._buffer(name, (n_latents,)) for name in ("parallel", "dlatent_bias"))
        squares, dx_sums = np.zeros(LATENT_PIECES), np.zeros((LATENT_PIECES, d_in), self.dtype)

        def latents(piece: int) -> None:
            squares[piece] = latent_kernels.weight_gradients(
                bounds[piece], bounds[piece + 1], starts, order, sorted_acts, sorted_dz, tiles, x_tiles,
                self.weights["W_enc"], dW_dec, dW_enc, parallel, dlatent_bias, dx_sums[piece],
            )  # fmt: skip

        share(latents, LATENT_PIECES, self.threads)
        dpre_bias = sums - dx_sums.sum(axis=0)
        norm = math.sqrt(max(0.0, float(squares.sum()) + float(np.square(dpre_bias, dtype=np.float64).sum())))
        return Gradients(dW_enc, dW_dec, dpre_bias, dlatent_bias, parallel, norm)

    def _adam(self, gradients: Gradients, learning_rate: float) -> None:
        self.adam_steps += 1
        beta1, beta2 = ADAM_BETAS
        clip = min(1.0, self.train_config.clip_norm / (gradients.norm + CLIP_EPSILON))
        rate = learning_rate / (1 - beta1**self.adam_steps)
        correction = 1 / math.sqrt(1 - beta2**self.adam_steps)
        settings = np.array(
            [clip, 1 - beta1, beta2, 1 - beta2, rate, correction, ADAM_EPSILON, 1.0], self.dtype
        )
        decaying = settings.copy()
        decaying[-1] = 1 - learning_rate * self.train_config.encoder_decay
        n_latents = self.sae_config.n_latents

        def arrays(name: str) -> tuple[Array, Array, Array, Array]:
            shape = (-1, self.weights[name].shape[-1])
            return (
                self.weights[name].reshape(shape),
                self.adam_mean[name].reshape(shape),
                self.adam_square[name].reshape(shape),
                getattr(gradients, name).reshape(shape),
            )

        encoder, decoder = arrays("W_enc"), arrays("W_dec")
        shadow, none = self.selector.shadow, self.selector.no_shadow

        def latents(piece: int) -> None:
            first, last = (n_latents * edge // LATENT_PIECES for edge in (piece, piece + 1))
            latent_kernels.adam_rows(first, last, *decoder, gradients.parallel, True, settings, *none)
            latent_kernels.adam_rows(first, last, *encoder, self._no_parallel, False, decaying, *shadow)

        share(latents, LATENT_PIECES, self.threads)
        for name in ("pre_bias", "latent_bias"):
            latent_kernels.adam_rows(0, 1, *arrays(name), self._no_parallel, False, settings, *none)

    def step(
        self, rows: FloatArray, noise: npt.NDArray[np.uint16] | None, learning_rate: float
    ) -> StepReport:
        with self._choice.timed() as self.threads:
            gradients, report = self.gradients(rows, noise)
            self._adam(gradients, learning_rate)
        return report

    def encode(self, rows: FloatArray) -> tuple[FloatArray, IndexArray]:
        top_acts = np.empty((len(rows), self.sae_config.k), np.float32)
        top_indices = np.empty((len(rows), self.sae_config.k), np.int32)
        self.selector.refresh()
        x = (rows - self.mean) * self.inverse_scale - self.weights["pre_bias"]
        self.selector.select_batch(x, top_acts, top_indices, self.threads)
        return top_acts, top_indices

    def parameters(self) -> Parameters:
        return Parameters(**self.weights)

    def state(self) -> State:
        arrays: State = dict(self.weights)
        arrays |= {f"adam_mean.{name}": array for name, array in self.adam_mean.items()}
        arrays |= {f"adam_square.{name}": array for name, array in self.adam_square.items()}
        return arrays | {"adam_steps": np.array(self.adam_steps), "since_active": self.since_active}

    def restore(self, state: State) -> None:
        for name in PARAMETER_NAMES:
            self.weights[name][...] = state[name]
            self.adam_mean[name][...] = state[f"adam_mean.{name}"]
            self.adam_square[name][...] = state[f"adam_square.{name}"]
        self.adam_steps = int(state["adam_steps"])
        self.since_active[...] = state["since_active"]
        self.selector.round_weights()
