"""Encode and decode embeddings with a trained autoencoder: NumPy alone, so that pages need no torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int32]

BLOCK_ROWS = 1024
"""Documents encoded at once; two arrays of BLOCK_ROWS × n_latents float32 are held, and their marks in bytes."""

_ROWS_ALONE = 2  # rows that are not worth threads
_ENTRIES_ALONE = 1 << 16  # entries of a matrix whose product with one row is not spread over threads


@dataclass(frozen=True)
class Weights:
    """A trained sparse autoencoder with the standardisation of its corpus.

    z = (x − mean) / scale;  latents_pre_act = W_enc (z − pre_bias) + latent_bias;
    latents = ReLU(top-k(latents_pre_act));  recons = (W_decᵀ latents + pre_bias) · scale + mean
    (O'Neill et al. 2024, section 3; Gao et al. 2024). With a ``threshold`` above 0, what is below it among
    the top k is not active (BatchTopK: Bussmann et al. 2024).
    """

    W_enc: FloatArray
    """(n_latents, d_in) float32, one row a latent."""
    W_dec: FloatArray
    """(n_latents, d_in) float32, unit rows: decoder directions."""
    pre_bias: FloatArray
    """(d_in,) float32, in standardised units."""
    latent_bias: FloatArray
    """(n_latents,) float32."""
    mean: FloatArray
    """(d_in,) float32: mean embedding of the training documents."""
    scale: float
    """Root mean square of the centred training embeddings over all their entries."""
    k: int
    """Number of active latents for a document, the largest number with a threshold."""
    threshold: float = 0.0
    """Least activation that counts."""

    @property
    def n_latents(self) -> int:
        return int(self.W_enc.shape[0])

    @property
    def d_in(self) -> int:
        return int(self.W_enc.shape[1])


def activate(pre_act: FloatArray, weights: Weights) -> tuple[FloatArray, IndexArray]:
    """``top_acts`` and ``top_indices`` (rows, k) of pre-activations (rows, n_latents): what ``weights`` keep."""
    top_acts, top_indices = top_k(pre_act, weights.k)
    if weights.threshold > 0:
        top_acts[top_acts < np.float32(weights.threshold)] = 0
    return top_acts, top_indices


def top_k(pre_act: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
    """The k largest entries of each row after ReLU, largest first; ties go to the lower index.

    ``pre_act`` (rows, n) → values (rows, k) float32 ≥ 0 and indices (rows, k) int32.
    """
    n_rows, n = pre_act.shape
    if k < n:
        kth = np.partition(pre_act, n - k, axis=1)[:, n - k, None]
        chosen = pre_act >= kth
        surplus = chosen.sum(axis=1) - k
        for row in np.flatnonzero(surplus):
            ties = np.flatnonzero(pre_act[row] == kth[row])
            chosen[row, ties[-surplus[row] :]] = False
        indices = np.nonzero(chosen)[1].reshape(n_rows, k)
    else:
        indices = np.broadcast_to(np.arange(n), (n_rows, n))
    values = np.maximum(np.take_along_axis(pre_act, indices, axis=1), 0)
    order = np.argsort(-values, axis=1, kind="stable")
    return (
        np.take_along_axis(values, order, axis=1).astype(np.float32),
        np.take_along_axis(indices, order, axis=1).astype(np.int32),
    )


def encode(x: npt.ArrayLike, weights: Weights) -> tuple[FloatArray, IndexArray]:
    """Latents of raw embeddings ``x`` (n, d_in), block by block.

    Returns ``top_acts`` (n, k) float32, sorted from large to small, and ``top_indices`` (n, k) int32;
    equal activations are ordered by index. A latent with activation 0 is not active.
    """
    rows = np.asarray(x)
    if rows.ndim != 2 or rows.shape[1] != weights.d_in:
        raise ValueError(f"x has shape {rows.shape}, expected (n, {weights.d_in})")
    top_acts = np.empty((len(rows), weights.k), np.float32)
    top_indices = np.empty((len(rows), weights.k), np.int32)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        # In a function, so that nothing of a block is held while the next one is encoded.
        top_acts[block], top_indices[block] = _encode_block(rows[block], weights)
    return top_acts, top_indices


def _encode_block(rows: npt.NDArray[Any], weights: Weights) -> tuple[FloatArray, IndexArray]:
    z = (rows.astype(np.float32) - weights.mean) / np.float32(weights.scale)
    pre_act = _products(z - weights.pre_bias, weights.W_enc)
    pre_act += weights.latent_bias
    return activate(pre_act.astype(np.float32, copy=False), weights)


def _products(rows: FloatArray, directions: FloatArray) -> FloatArray:
    """``rows @ directions.T``: (n, n_latents). A query alone is taken through the directions in pieces.

    A whole product of one row is spread over threads, which then spin for tens of milliseconds on the processor that
    the reader's browser, or the next reader, would have used.
    """
    if len(rows) > _ROWS_ALONE:
        return rows @ directions.T
    found = np.empty((len(rows), len(directions)), np.float32)
    size = max(1, _ENTRIES_ALONE // directions.shape[1])
    for start in range(0, len(directions), size):
        for row, into in zip(rows, found, strict=True):
            np.dot(directions[start : start + size], row, out=into[start : start + size])
    return found


def decode(top_acts: FloatArray, top_indices: IndexArray, weights: Weights) -> FloatArray:
    """Reconstructions (n, d_in) float32 in embedding space of latents (n, k), times scale plus mean."""
    recons = np.empty((len(top_acts), weights.d_in), np.float32)
    block_rows = max(1, 2**22 // (max(1, top_acts.shape[1]) * weights.d_in))
    for start in range(0, len(recons), block_rows):
        block = slice(start, start + block_rows)
        directions = weights.W_dec[top_indices[block]]
        recons[block] = np.einsum("nk,nkd->nd", top_acts[block], directions)
    recons += weights.pre_bias
    recons *= np.float32(weights.scale)
    recons += weights.mean
    return recons
