"""The CPU training step: one matrix product in PyTorch, everything else compiled and sparse.

The same step as ``sae.training.reference``, whose autograd is its oracle in the tests. A step goes over the documents
(``fast_batch``), sorts their active entries by latent, and goes over the latents. Each weight's row is read
once: its gradient is summed up in cache and used there by Adam. The gradient's norm, which clipping needs
beforehand, is shown by a bound to be too small to clip; where the bound does not tell, the gradients are summed
up twice. Every large buffer is made once, since fresh memory costs a page fault a page.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sae.compiled import kernels, latent_kernels
from sae.compiled.aligned import aligned_copy, aligned_zeros
from sae.compiled.crew import ThreadChoice, available_processors, share
from sae.compiled.fast_batch import NO_AUX, Aux, Batch, BatchPass, Noise
from sae.compiled.selector import Buffers, Selector, has_bfloat16_units
from sae.config import SAEConfig, TrainConfig
from sae.encode import IndexArray
from sae.model import PARAMETER_NAMES
from sae.training.data import FloatArray, Standardisation
from sae.training.initialise import Parameters
from sae.training.stepper import ADAM_BETAS, ADAM_EPSILON, CLIP_EPSILON, State, StepReport

Array = npt.NDArray[Any]

LATENT_PIECES = 8
"""Pieces into which the latents are divided, by equal work."""
LEAST_MOMENT = 1e-36
"""Adam's means below this are taken for 0: beside epsilon they are nothing."""
BOUND_ROUNDING = 1.001
"""Allows for rounding in the bound of the gradient's norm."""


@dataclass
class Entries:
    """A batch's active entries sorted by latent, and what they say of each latent (``latent_kernels``)."""

    starts: Array
    rows: Array
    documents: Array
    acts: Array
    dz: Array
    parallel: Array
    """(n_latents,): component of W_dec's gradient along each of its rows."""
    dlatent_bias: Array
    """(n_latents,)"""
    pieces: list[tuple[int, int]]
    """Ranges of latents of equal work."""
    squared_bound: float
    """At least the squared norm of the gradients of W_enc, W_dec and latent_bias."""


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
        self.dead_after, self.dtype = dead_after, dtype
        self.threads = threads or available_processors()
        self._choice = ThreadChoice(threads)
        self.weights = {name: aligned_copy(getattr(parameters, name), dtype) for name in PARAMETER_NAMES}
        self.adam_mean = {name: aligned_zeros(array.shape, dtype) for name, array in self.weights.items()}
        self.adam_square = {name: aligned_zeros(array.shape, dtype) for name, array in self.weights.items()}
        self.adam_steps = 0
        self.since_active = np.zeros(sae_config.n_latents, np.int64)
        self._buffer = Buffers(dtype)
        use_screen = dtype is np.float32 and (has_bfloat16_units() if screen is None else screen)
        self.selector = Selector(
            self.weights["W_enc"], self.weights["latent_bias"], sae_config.k, screen=use_screen
        )
        self.selector.round_weights()
        self.batch_pass = BatchPass(
            sae_config, self.weights, self.selector, self._buffer, standardisation,
            train_config.input_noise, normaliser,
        )  # fmt: skip

    def _see(self, rows: FloatArray, noise: Noise) -> tuple[Batch, Entries, StepReport]:
        """All that a batch (n, d_in) says before the gradients of the weights."""
        batch = self.batch_pass(rows, noise, self.threads)
        counts = self._buffer("counts", (self.sae_config.n_latents,), np.int64)
        n_dead = kernels.count_active(batch.acts, batch.indices, counts, self.since_active, self.dead_after)
        aux = NO_AUX
        if n_dead and self.sae_config.aux_alpha:
            dead = np.flatnonzero(self.since_active >= self.dead_after)
            aux = self.batch_pass.aux_k(batch, dead, self.threads)
        loss = batch.fvu + self.sae_config.aux_alpha * aux.loss
        return batch, self._sorted(batch, aux, counts), StepReport(loss, aux.loss, batch.fvu, n_dead)

    def _sorted(self, batch: Batch, aux: Aux, counts: Array) -> Entries:
        """``counts``: active entries of each latent in the batch, AuxK's not among them; written over."""
        buffer, n_latents = self._buffer, self.sae_config.n_latents
        count = batch.acts.size + aux.acts.size
        starts = buffer("starts", (n_latents + 1,), np.int64)
        rows, documents = (buffer(name, (count,), np.int32) for name in ("rows", "documents"))
        acts, dz = (buffer(name, (count,)) for name in ("sorted_acts", "sorted_dz"))
        parallel, dlatent_bias = (buffer(name, (n_latents,)) for name in ("parallel", "dlatent_bias"))
        bounds = np.empty(LATENT_PIECES + 1, np.int64)
        latent_kernels.sort_by_latent(
            batch.acts, batch.indices, batch.dz, aux.acts, aux.indices, aux.dz,
            counts, starts, rows, documents, acts, dz, bounds,
        )  # fmt: skip
        if aux.acts.size == 0:
            documents = rows
        squared_bound = latent_kernels.latent_sums(
            starts, rows, documents, acts, dz, batch.gradient_norms, batch.x_norms, parallel, dlatent_bias
        )
        pieces = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        return Entries(
            starts, rows, documents, acts, dz, parallel, dlatent_bias, pieces, float(squared_bound)
        )

    def _norm_bound(self, batch: Batch, entries: Entries) -> float:
        """A number that the norm of all gradients does not exceed."""
        from_encoder = float(np.abs(entries.dlatent_bias).sum()) * self.selector.largest_norm
        pre_bias = float(np.linalg.norm(batch.sums)) + from_encoder
        return BOUND_ROUNDING * math.sqrt(entries.squared_bound + pre_bias * pre_bias)

    def _weight_gradients(self, batch: Batch, entries: Entries, dW_enc: Array, dW_dec: Array) -> Gradients:
        """All gradients; those of the weights only as a norm where ``dW_enc``, ``dW_dec`` have no rows."""
        squares = np.zeros(len(entries.pieces))
        dx_sums = np.zeros((len(entries.pieces), batch.x.shape[1]), self.dtype)

        def latents(piece: int) -> None:
            first, last = entries.pieces[piece]
            where = (first, last, entries.starts)
            latent_kernels.add_scaled_rows(
                first, last, entries.dlatent_bias, self.weights["W_enc"], dx_sums[piece]
            )
            squares[piece] = latent_kernels.weight_gradients(
                *where, entries.rows, entries.acts, batch.gradient, dW_dec
            ) + latent_kernels.weight_gradients(*where, entries.documents, entries.dz, batch.x, dW_enc)

        share(latents, len(entries.pieces), self.threads)
        dpre_bias = batch.sums - dx_sums.sum(axis=0)
        total = float(squares.sum()) + sum(
            sign * float(np.square(part, dtype=np.float64).sum())
            for sign, part in ((1, dpre_bias), (1, entries.dlatent_bias), (-1, entries.parallel))
        )
        norm = math.sqrt(max(0.0, total))
        return Gradients(dW_enc, dW_dec, dpre_bias, entries.dlatent_bias, entries.parallel, norm)

    def gradients(self, rows: FloatArray, noise: Noise) -> tuple[Gradients, StepReport]:
        """Gradients of the loss on raw embeddings (n, d_in), as ``step`` uses them a row at a time."""
        batch, entries, report = self._see(rows, noise)
        dW_enc, dW_dec = (np.empty_like(self.weights[name]) for name in ("W_enc", "W_dec"))
        return self._weight_gradients(batch, entries, dW_enc, dW_dec), report

    def _clip(self, batch: Batch, entries: Entries) -> float:
        """Factor that brings the gradients' norm down to the one allowed."""
        allowed = self.train_config.clip_norm
        if self._norm_bound(batch, entries) + CLIP_EPSILON <= allowed:
            return 1.0
        none = np.zeros((0, 0), self.dtype)
        norm = self._weight_gradients(batch, entries, none, none).norm
        return min(1.0, allowed / (norm + CLIP_EPSILON))

    def _update(self, batch: Batch, entries: Entries, learning_rate: float) -> None:
        """One Adam step of all parameters."""
        clip = self._clip(batch, entries)
        self.adam_steps += 1
        beta1, beta2 = ADAM_BETAS
        rate = learning_rate / (1 - beta1**self.adam_steps)
        correction = 1 / math.sqrt(1 - beta2**self.adam_steps)
        numbers = (clip, 1 - beta1, beta2, 1 - beta2, rate, correction, ADAM_EPSILON)
        decay = 1 - learning_rate * self.train_config.encoder_decay
        settings, decaying = (tuple(map(self.dtype, (*numbers, kept, LEAST_MOMENT))) for kept in (1.0, decay))
        dx_sums = np.zeros((len(entries.pieces), batch.x.shape[1]), self.dtype)

        def arrays(name: str) -> tuple[Array, Array, Array]:
            return self.weights[name], self.adam_mean[name], self.adam_square[name]

        def latents(number: int) -> None:
            side, piece = divmod(number, len(entries.pieces))
            first, last = entries.pieces[piece]
            if side == 0:
                latent_kernels.update_decoder(
                    first, last, entries.starts, entries.rows, entries.acts, batch.gradient,
                    *arrays("W_dec"), entries.parallel, settings,
                )  # fmt: skip
            else:
                latent_kernels.update_encoder(
                    first, last, entries.starts, entries.documents, entries.dz, batch.x,
                    *arrays("W_enc"), entries.dlatent_bias, decaying, *self.selector.shadow, dx_sums[piece],
                )  # fmt: skip

        # All of one matrix first: a small batch's gradient, then its x, stay in each core's cache.
        share(latents, 2 * len(entries.pieces), self.threads)
        none = self.dtype(0)
        dpre_bias = batch.sums - dx_sums.sum(axis=0)
        latent_kernels.adam_row(*arrays("pre_bias"), dpre_bias, none, settings)
        latent_kernels.adam_row(*arrays("latent_bias"), entries.dlatent_bias, none, settings)

    def step(self, rows: FloatArray, noise: Noise, learning_rate: float) -> StepReport:
        with self._choice.timed() as self.threads:
            batch, entries, report = self._see(rows, noise)
            self._update(batch, entries, learning_rate)
        return report

    def encode(self, rows: FloatArray) -> tuple[FloatArray, IndexArray]:
        top_acts = np.empty((len(rows), self.sae_config.k), np.float32)
        top_indices = np.empty((len(rows), self.sae_config.k), np.int32)
        self.selector.refresh()
        x = (rows - self.batch_pass.mean) * self.batch_pass.inverse_scale - self.weights["pre_bias"]
        self.selector.select(x, top_acts, top_indices, self.threads)
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
