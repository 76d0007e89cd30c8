"""The compiled parts of a CPU training step that go latent by latent: gradients of the weights, and Adam."""

import math
from typing import Any

import numpy as np

from sae.jit import compiled
from sae.kernels import TILE, round_row

Array = np.ndarray[Any, Any]

LATENT_COST = 6
"""Fixed work of a latent in the gradient kernel, in units of one active entry."""


@compiled
def sort_by_latent(
    acts: Array,
    indices: Array,
    dz: Array,
    aux_acts: Array,
    aux_indices: Array,
    aux_dz: Array,
    starts: Array,
    rows: Array,
    sorted_acts: Array,
    sorted_dz: Array,
    bounds: Array,
) -> None:
    """Counting sort of a batch's active entries by latent, the AuxK ones (n, n_aux) as rows n … 2n − 1.

    Latent j owns the entries starts[j] … starts[j + 1] of ``rows``, ``sorted_acts``, ``sorted_dz``.
    ``bounds`` (pieces + 1,) cuts the latents into pieces of equal work.
    """
    n_latents = len(starts) - 1
    n_rows = indices.shape[0]
    following = np.zeros(n_latents, np.int64)
    for r in range(n_rows):
        for e in range(indices.shape[1]):
            following[indices[r, e]] += acts[r, e] > 0
        for e in range(aux_indices.shape[1]):
            following[aux_indices[r, e]] += aux_acts[r, e] > 0
    entries = 0
    for j in range(n_latents):
        starts[j] = entries
        entries += following[j]
        following[j] = starts[j]
    starts[n_latents] = entries
    for r in range(n_rows):
        for e in range(indices.shape[1]):
            if acts[r, e] > 0:
                place = following[indices[r, e]]
                following[indices[r, e]] = place + 1
                rows[place] = r
                sorted_acts[place] = acts[r, e]
                sorted_dz[place] = dz[r, e]
    for r in range(n_rows):
        for e in range(aux_indices.shape[1]):
            if aux_acts[r, e] > 0:
                place = following[aux_indices[r, e]]
                following[aux_indices[r, e]] = place + 1
                rows[place] = n_rows + r
                sorted_acts[place] = aux_acts[r, e]
                sorted_dz[place] = aux_dz[r, e]
    work = entries + LATENT_COST * n_latents
    pieces = len(bounds) - 1
    piece = 0
    for j in range(n_latents):
        while piece < pieces and (starts[j] + LATENT_COST * j) * pieces >= piece * work:
            bounds[piece] = j
            piece += 1
    for rest in range(piece, pieces + 1):
        bounds[rest] = n_latents


@compiled
def _input_row(row: int, n_rows: int) -> int:
    """The document of an entry: AuxK's entries are counted on after the n_rows documents."""
    return row - n_rows if row >= n_rows else row


@compiled
def weight_gradients(
    first: int,
    last: int,
    starts: Array,
    rows: Array,
    acts: Array,
    dz: Array,
    gradient_tiles: Array,
    x_tiles: Array,
    W_enc: Array,
    dW_dec: Array,
    dW_enc: Array,
    parallel: Array,
    dlatent_bias: Array,
    dx_sums: Array,
) -> float:
    """Gradients of the rows ``first`` … ``last`` − 1 of both weight matrices.

    dW_dec[j] = Σ acts · output gradient;  dW_enc[j] = Σ dz · x;  dlatent_bias[j] = Σ dz;
    parallel[j] = ⟨dW_dec[j], W_dec[j]⟩ = Σ acts · dz, since dz is the output gradient times W_dec[j].
    Σ_j dlatent_bias[j] · W_enc[j], the encoder's share of −dpre_bias, is added to ``dx_sums`` (d_in,).
    Returns the squared norm of these gradients once ``parallel`` is projected out.
    """
    n_rows = x_tiles.shape[1]
    d_in = W_enc.shape[1]
    zero = W_enc.dtype.type(0)
    decoder = np.empty(TILE, W_enc.dtype)
    encoder = np.empty(TILE, W_enc.dtype)
    sums = np.empty(TILE, W_enc.dtype)
    total = 0.0
    for j in range(first, last):
        along = zero
        bias = zero
        for e in range(starts[j], starts[j + 1]):
            along += acts[e] * dz[e]
            bias += dz[e]
        parallel[j] = along
        dlatent_bias[j] = bias
        total += bias * bias - along * along
    for tile in range(x_tiles.shape[0]):
        start = tile * TILE
        width = min(TILE, d_in - start)
        outputs, inputs = gradient_tiles[tile], x_tiles[tile]
        sums[:] = zero
        for j in range(first, last):
            e = starts[j]
            end = starts[j + 1]
            decoder[:] = zero
            encoder[:] = zero
            while e + 4 <= end:  # four at once: the sums are loaded and stored a quarter as often
                g0, g1, g2, g3 = (
                    outputs[rows[e]],
                    outputs[rows[e + 1]],
                    outputs[rows[e + 2]],
                    outputs[rows[e + 3]],
                )
                x0, x1, x2, x3 = (
                    inputs[_input_row(rows[e], n_rows)],
                    inputs[_input_row(rows[e + 1], n_rows)],
                    inputs[_input_row(rows[e + 2], n_rows)],
                    inputs[_input_row(rows[e + 3], n_rows)],
                )
                a0, a1, a2, a3 = acts[e], acts[e + 1], acts[e + 2], acts[e + 3]
                b0, b1, b2, b3 = dz[e], dz[e + 1], dz[e + 2], dz[e + 3]
                for c in range(TILE):
                    decoder[c] += a0 * g0[c] + a1 * g1[c] + a2 * g2[c] + a3 * g3[c]
                for c in range(TILE):
                    encoder[c] += b0 * x0[c] + b1 * x1[c] + b2 * x2[c] + b3 * x3[c]
                e += 4
            while e < end:
                g0, x0, a0, b0 = outputs[rows[e]], inputs[_input_row(rows[e], n_rows)], acts[e], dz[e]
                for c in range(TILE):
                    decoder[c] += a0 * g0[c]
                for c in range(TILE):
                    encoder[c] += b0 * x0[c]
                e += 1
            norm = zero
            for c in range(TILE):
                norm += decoder[c] * decoder[c] + encoder[c] * encoder[c]
            total += norm
            out_dec, out_enc, weights = dW_dec[j], dW_enc[j], W_enc[j]
            for c in range(width):
                out_dec[start + c] = decoder[c]
                out_enc[start + c] = encoder[c]
            bias = dlatent_bias[j]
            if bias != zero:
                for c in range(width):
                    sums[c] += bias * weights[start + c]
        for c in range(width):
            dx_sums[start + c] += sums[c]
    return total


@compiled
def adam_rows(
    first: int,
    last: int,
    W: Array,
    adam_mean: Array,
    adam_square: Array,
    gradient: Array,
    parallel: Array,
    unit: bool,
    settings: Array,
    rounded: Array,
    norms: Array,
) -> None:
    """Clip, project, Adam (Kingma & Ba 2015), decay and renormalise rows ``first`` … ``last`` − 1 of W.

    One sweep of memory. ``settings`` holds, in W's type: clip factor, 1 − β1, β2, 1 − β2,
    learning rate / (1 − β1ᵗ), 1 / √(1 − β2ᵗ), epsilon, decay factor. With ``unit`` the component
    ``parallel`` of each row's gradient along the row is removed first and the row has norm 1 afterwards.
    ``rounded`` (n, d_in) uint16 and ``norms`` (n, 2) are kept as by ``round_rows``, or have shape (0, 0).
    """
    d_in = W.shape[1]
    clip, keep_mean, beta2, keep_square = settings[0], settings[1], settings[2], settings[3]
    rate, correction, epsilon, decay = settings[4], settings[5], settings[6], settings[7]
    one = W.dtype.type(1)
    for j in range(first, last):
        w, m, v, g = W[j], adam_mean[j], adam_square[j], gradient[j]
        along = parallel[j] if unit else W.dtype.type(0)
        norm = W.dtype.type(0)
        for c in range(d_in):
            step = (g[c] - along * w[c]) * clip
            m[c] += (step - m[c]) * keep_mean
            v[c] = v[c] * beta2 + step * step * keep_square
            w[c] = w[c] * decay - rate * m[c] / (math.sqrt(v[c]) * correction + epsilon)
            norm += w[c] * w[c]
        if unit:
            shrink = one / math.sqrt(norm)
            for c in range(d_in):
                w[c] *= shrink
        if rounded.shape[0] > 0:
            squares, lost = round_row(w, w.view(np.uint32), rounded[j])
            norms[j, 0] = math.sqrt(squares)
            norms[j, 1] = math.sqrt(lost)
