"""The CPU training step: one matrix product in PyTorch, everything else compiled and sparse.

The same step as ``sae.reference``, whose autograd is its oracle in the tests. Dense work is only the
encoder's product; with bfloat16 units that product is a screen, and what it selects is computed again in
float32. Every buffer is made once, since fresh memory costs a page fault a page.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sae import kernels, topk
from sae.config import SAEConfig, TrainConfig
from sae.data import FloatArray, Standardisation, normal_quantiles
from sae.encode import IndexArray
from sae.initialise import Parameters
from sae.jit import PARTITIONS
from sae.model import PARAMETER_NAMES
from sae.stepper import ADAM_BETAS, ADAM_EPSILON, CLIP_EPSILON, State, StepReport

Array = npt.NDArray[Any]


def has_bfloat16_units() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware (AMX)."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported())


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(array)


def _bfloat16(bits: npt.NDArray[np.uint16]) -> torch.Tensor:
    return torch.from_numpy(bits).view(torch.bfloat16)


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

    ``screen`` None uses bfloat16 units where the processor has them; float32 otherwise.
    """

    def __init__(
        self,
        sae_config: SAEConfig,
        train_config: TrainConfig,
        standardisation: Standardisation,
        parameters: Parameters,
        dead_after: int,
        batch_size: int,
        *,
        screen: bool | None = None,
        dtype: type[np.floating] = np.float32,
        normaliser: float = 1.0,
    ) -> None:
        self.sae_config, self.train_config = sae_config, train_config
        self.dead_after, self.normaliser, self.dtype = dead_after, normaliser, dtype
        self.screen = dtype is np.float32 and (has_bfloat16_units() if screen is None else screen)
        self.mean = standardisation.mean.astype(dtype)
        self.inverse_scale = dtype(np.float32(1 / standardisation.scale))
        self.quantiles = normal_quantiles().astype(dtype)
        self.weights = {
            name: np.array(getattr(parameters, name), dtype, order="C") for name in PARAMETER_NAMES
        }
        self.adam_mean = {name: np.zeros_like(array) for name, array in self.weights.items()}
        self.adam_square = {name: np.zeros_like(array) for name, array in self.weights.items()}
        self.adam_steps = 0
        n_latents, d_in = sae_config.n_latents, sae_config.d_in
        self.since_active = np.zeros(n_latents, np.int64)
        self.block_length = topk.block_length(n_latents, sae_config.k)
        self.uncertain_rows = 0
        self._buffers: dict[str, Array] = {}
        self._batch_size = batch_size
        self._no_codes = np.zeros((0, 0), np.uint16)
        self._no_parallel = np.zeros(0, dtype)
        self._unrounded = np.zeros((0, 0), np.uint16), np.zeros((0, 0), np.float32)
        self._W_rounded, self._W_norms = self._unrounded
        if self.screen:
            self._W_rounded = np.empty((n_latents, d_in), np.uint16)
            self._W_norms = np.empty((n_latents, 2), np.float32)
            kernels.round_rows(self.weights["W_enc"], self._W_rounded, self._W_norms)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """A reused array of ``shape``; its content is what was left there."""
        dtype = self.dtype if dtype is None else dtype
        size = math.prod(shape)
        held = self._buffers.get(name)
        if held is None or held.size < size:
            held = self._buffers[name] = np.zeros(size, dtype)
        return held[:size].reshape(shape)

    def _prepare(self, rows: FloatArray, noise: npt.NDArray[np.uint16] | None) -> tuple[Array, Array, Array]:
        """Standardised target z, encoder input x (both (n, d_in)) and x in tiles."""
        n, d_in = rows.shape
        z, x = self._buffer("z", (n, d_in)), self._buffer("x", (n, d_in))
        x_tiles = self._buffer("x_tiles", (kernels.n_tiles(d_in), n, kernels.TILE))
        codes = self._no_codes if noise is None else noise
        sigma = self.dtype(self.train_config.input_noise)
        rows = np.ascontiguousarray(rows, self.dtype)
        kernels.prepare_rows(
            rows, self.mean, self.inverse_scale, codes, self.quantiles, sigma, self.weights["pre_bias"],
            z, x, x_tiles,
        )  # fmt: skip
        return z, x, x_tiles

    def _select(self, x: Array) -> tuple[Array, Array]:
        """``top_acts``, ``top_indices`` (n, k) of centred rows x (n, d_in), in reused buffers."""
        n, k = len(x), self.sae_config.k
        top_acts, top_indices = self._buffer("acts", (n, k)), self._buffer("indices", (n, k), np.int32)
        if not self.screen:
            self._select_dense(x, top_acts, top_indices)
            return top_acts, top_indices
        rounded = self._buffer("x_rounded", x.shape, np.uint16)
        norms = self._buffer("x_norms", (n, 2), np.float32)
        kernels.round_rows(x, rounded, norms)
        screened = self._buffer("screened", (n, self.sae_config.n_latents), np.uint16)
        torch.mm(_bfloat16(rounded), _bfloat16(self._W_rounded).t(), out=_bfloat16(screened))
        uncertain = self._buffer("uncertain", (n,), np.uint8)
        topk.screen_rows(
            screened, self.weights["latent_bias"], x, norms, self.weights["W_enc"], self._W_norms.max(axis=0),
            k, self.block_length, top_acts, top_indices, uncertain,
        )  # fmt: skip
        again = np.flatnonzero(uncertain)
        self.uncertain_rows += len(again)
        if len(again):
            acts, indices = np.empty((len(again), k), self.dtype), np.empty((len(again), k), np.int32)
            self._select_dense(x[again], acts, indices)
            top_acts[again], top_indices[again] = acts, indices
        return top_acts, top_indices

    def _select_dense(self, x: Array, top_acts: Array, top_indices: Array) -> None:
        pre_act = self._buffer("pre_act", (len(x), self.sae_config.n_latents))
        torch.mm(_tensor(x), _tensor(self.weights["W_enc"]).t(), out=_tensor(pre_act))
        topk.select_rows(
            pre_act, self.weights["latent_bias"], self.sae_config.k, self.block_length, top_acts, top_indices
        )

    def _select_dead(self, x: Array, dead: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """The same among the dead latents alone: a product over their columns only."""
        n, n_aux = len(x), min(self.sae_config.n_aux, len(dead))
        acts, indices = (
            self._buffer("aux_acts", (n, n_aux)),
            self._buffer("aux_indices", (n, n_aux), np.int32),
        )
        pre_act = self._buffer("dead_pre_act", (n, len(dead)))
        torch.mm(_tensor(x), _tensor(self.weights["W_enc"][dead]).t(), out=_tensor(pre_act))
        length = topk.block_length(len(dead), n_aux)
        topk.select_rows(pre_act, self.weights["latent_bias"][dead], n_aux, length, acts, indices)
        indices[:] = dead.astype(np.int32)[indices]
        return acts, indices

    def gradients(
        self, rows: FloatArray, noise: npt.NDArray[np.uint16] | None
    ) -> tuple[Gradients, StepReport]:
        """Gradients of the loss on raw embeddings (n, d_in); they live in buffers that the next call reuses."""
        config = self.sae_config
        z, x, x_tiles = self._prepare(rows, noise)
        n, d_in = z.shape
        acts, indices = self._select(x)
        kernels.count_active(acts, indices, self.since_active)
        dead = np.flatnonzero(self.since_active >= self.dead_after)
        tiles = self._buffer("gradient_tiles", (kernels.n_tiles(d_in), 2 * n, kernels.TILE))
        dz = self._buffer("dz", acts.shape)
        squares, sums = np.empty(PARTITIONS), np.empty((PARTITIONS, d_in), self.dtype)
        W_dec, factor = self.weights["W_dec"], 2 / (n * d_in * self.normaliser)
        kernels.decode_rows(
            acts, indices, W_dec, z, self.weights["pre_bias"], self.dtype(factor), 0, tiles, dz, squares, sums
        )
        fvu = float(squares.sum()) / (n * d_in * self.normaliser)
        aux_acts, aux_indices, aux_dz, aux_loss = self._aux_k(x, dead, tiles, n, factor)
        entries = acts.size + aux_acts.size
        starts = self._buffer("starts", (config.n_latents + 1,), np.int64)
        order = self._buffer("order", (entries,), np.int64)
        sorted_acts, sorted_dz = (
            self._buffer("sorted_acts", (entries,)),
            self._buffer("sorted_dz", (entries,)),
        )
        bounds = np.empty(PARTITIONS + 1, np.int64)
        kernels.sort_by_latent(
            acts, indices, dz, aux_acts, aux_indices, aux_dz, starts, order, sorted_acts, sorted_dz, bounds
        )
        W_enc = self.weights["W_enc"]
        dW_dec, dW_enc = self._buffer("dW_dec", W_dec.shape), self._buffer("dW_enc", W_enc.shape)
        parallel = self._buffer("parallel", (config.n_latents,))
        dlatent_bias = self._buffer("dlatent_bias", (config.n_latents,))
        dx_sums = np.empty((PARTITIONS, d_in), self.dtype)
        kernels.weight_gradients(
            starts, order, sorted_acts, sorted_dz, bounds, tiles, x_tiles, W_enc,
            dW_dec, dW_enc, parallel, dlatent_bias, dx_sums, squares,
        )  # fmt: skip
        dpre_bias = sums.sum(axis=0) - dx_sums.sum(axis=0)
        norm = math.sqrt(max(0.0, float(squares.sum()) + float(np.square(dpre_bias, dtype=np.float64).sum())))
        loss = fvu + config.aux_alpha * aux_loss
        gradients = Gradients(dW_enc, dW_dec, dpre_bias, dlatent_bias, parallel, norm)
        return gradients, StepReport(loss, aux_loss, fvu, len(dead))

    def _aux_k(
        self, x: Array, dead: npt.NDArray[np.int64], tiles: Array, n: int, factor: float
    ) -> tuple[Array, Array, Array, float]:
        """AuxK: activations, indices and dz (n, n_aux) of dead latents, and the loss before its weight.

        ``tiles`` holds factor · (recons − z) in its first n rows, and receives the AuxK gradient after them.
        """
        nothing = self._buffer("no_acts", (n, 0)), self._buffer("no_indices", (n, 0), np.int32)
        if not len(dead) or not self.sae_config.aux_alpha:
            return *nothing, nothing[0], 0.0
        d_in = x.shape[1]
        residual = self._buffer("residual", x.shape)
        untiled = self._buffer("untiled", (n, len(tiles), kernels.TILE))
        np.multiply(tiles[:, :n].transpose(1, 0, 2), self.dtype(-1 / factor), out=untiled)
        residual[:] = untiled.reshape(n, -1)[:, :d_in]
        centred = _tensor(residual) - _tensor(residual).mean(dim=0)
        variance = centred.square_().mean().item()
        if variance == 0:
            return *nothing, nothing[0], 0.0
        acts, indices = self._select_dead(x, dead)
        dz = self._buffer("aux_dz", acts.shape)
        squares, sums = np.empty(PARTITIONS), np.empty((PARTITIONS, d_in), self.dtype)
        aux_factor = self.dtype(self.sae_config.aux_alpha * 2 / (n * d_in * variance))
        no_bias = np.zeros(d_in, self.dtype)
        kernels.decode_rows(
            acts, indices, self.weights["W_dec"], residual, no_bias, aux_factor, n, tiles, dz, squares, sums
        )
        return acts, indices, dz, float(squares.sum()) / (n * d_in * variance)

    def step(
        self, rows: FloatArray, noise: npt.NDArray[np.uint16] | None, learning_rate: float
    ) -> StepReport:
        gradients, report = self.gradients(rows, noise)
        self.adam_steps += 1
        beta1, beta2 = ADAM_BETAS
        clip = min(1.0, self.train_config.clip_norm / (gradients.norm + CLIP_EPSILON))
        rate = learning_rate / (1 - beta1**self.adam_steps)
        correction = 1 / math.sqrt(1 - beta2**self.adam_steps)
        decay = 1 - learning_rate * self.train_config.encoder_decay
        for name in PARAMETER_NAMES:
            settings = np.array(
                [clip, 1 - beta1, beta2, 1 - beta2, rate, correction, ADAM_EPSILON,
                 decay if name == "W_enc" else 1.0],
                self.dtype,
            )  # fmt: skip
            arrays = [
                self.weights[name],
                self.adam_mean[name],
                self.adam_square[name],
                getattr(gradients, name),
            ]
            if arrays[0].ndim == 1:
                arrays = [array.reshape(1, -1) for array in arrays]
            unit = name == "W_dec"
            shadow = (self._W_rounded, self._W_norms) if name == "W_enc" else self._unrounded
            kernels.adam_rows(
                *arrays, gradients.parallel if unit else self._no_parallel, unit, settings, *shadow
            )
        return report

    def encode(self, rows: FloatArray) -> tuple[FloatArray, IndexArray]:
        top_acts = np.empty((len(rows), self.sae_config.k), np.float32)
        top_indices = np.empty((len(rows), self.sae_config.k), np.int32)
        for start in range(0, len(rows), self._batch_size):
            block = slice(start, start + self._batch_size)
            _, x, _ = self._prepare(rows[block], None)
            top_acts[block], top_indices[block] = self._select(x)
        return top_acts, top_indices

    def parameters(self) -> Parameters:
        return Parameters(**{name: array.copy() for name, array in self.weights.items()})

    def state(self) -> State:
        arrays: State = {name: array.copy() for name, array in self.weights.items()}
        arrays |= {f"adam_mean.{name}": array.copy() for name, array in self.adam_mean.items()}
        arrays |= {f"adam_square.{name}": array.copy() for name, array in self.adam_square.items()}
        return arrays | {"adam_steps": np.array(self.adam_steps), "since_active": self.since_active.copy()}

    def restore(self, state: State) -> None:
        for name in PARAMETER_NAMES:
            self.weights[name][...] = state[name]
            self.adam_mean[name][...] = state[f"adam_mean.{name}"]
            self.adam_square[name][...] = state[f"adam_square.{name}"]
        self.adam_steps = int(state["adam_steps"])
        self.since_active[...] = state["since_active"]
        if self.screen:
            kernels.round_rows(self.weights["W_enc"], self._W_rounded, self._W_norms)
