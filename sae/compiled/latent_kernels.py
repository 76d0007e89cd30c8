"""The compiled parts of a CPU training step that go latent by latent: gradients of the weights, and Adam."""

import math
from typing import Any

import numpy as np

from sae.compiled.bits import bits_of, rounded_bits, widened
from sae.compiled.jit import compiled
from sae.compiled.row_kernels import add_rows

Array = np.ndarray[Any, Any]

LATENT_COST = 6
"""Fixed work of a latent in the sweep over the weights, in units of one active entry."""


@compiled
def sort_by_latent(
    acts: Array,
    indices: Array,
    dz: Array,
    aux_acts: Array,
    aux_indices: Array,
    aux_dz: Array,
    counts: Array,
    starts: Array,
    rows: Array,
    documents: Array,
    sorted_acts: Array,
    sorted_dz: Array,
    bounds: Array,
) -> None:
    """Counting sort of a batch's active entries by latent, the AuxK ones (n, n_aux) after the others.

    ``counts`` (n_latents,) says how many of the others each latent has, and is written over. Latent j owns the entries
    starts[j] … starts[j + 1] of the other arrays: ``rows`` of the output's gradient, where AuxK's n rows follow on the
    n of the reconstruction, and ``documents``, the same modulo n, which without AuxK are ``rows`` and not written.
    ``bounds`` (pieces + 1,) cuts the latents into pieces of equal work.
    """
    n_latents = len(starts) - 1
    n_rows, n_aux = indices.shape[0], aux_indices.shape[1]
    following = counts
    for r in range(len(aux_indices)):
        for e in range(n_aux):
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
                if n_aux > 0:
                    documents[place] = r
                sorted_acts[place] = acts[r, e]
                sorted_dz[place] = dz[r, e]
    for r in range(len(aux_indices)):
        for e in range(n_aux):
            if aux_acts[r, e] > 0:
                place = following[aux_indices[r, e]]
                following[aux_indices[r, e]] = place + 1
                rows[place] = n_rows + r
                documents[place] = r
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
def latent_sums(
    starts: Array,
    rows: Array,
    documents: Array,
    acts: Array,
    dz: Array,
    gradient_norms: Array,
    x_norms: Array,
    parallel: Array,
    dlatent_bias: Array,
) -> float:
    """What the sorted entries say of each latent without reading a row.

    dlatent_bias[j] = Σ dz; parallel[j] = ⟨dW_dec[j], W_dec[j]⟩ = Σ acts · dz, since dz is the output gradient
    times W_dec[j]. Returns a number that the squared norm of the gradients of W_enc, W_dec and latent_bias does
    not exceed: by the triangle inequality a row's norm is at most Σ |factor| · norm of what it multiplies.
    """
    zero = acts.dtype.type(0)
    total = 0.0
    for j in range(len(starts) - 1):
        along, bias, decoder, encoder = zero, zero, zero, zero
        for e in range(starts[j], starts[j + 1]):
            along += acts[e] * dz[e]
            bias += dz[e]
            decoder += acts[e] * gradient_norms[rows[e]]
            encoder += abs(dz[e]) * x_norms[documents[e]]
        parallel[j] = along
        dlatent_bias[j] = bias
        total += bias * bias + decoder * decoder + encoder * encoder
    return total


@compiled
def row_gradient(j: int, starts: Array, rows: Array, factors: Array, vectors: Array, gradient: Array) -> None:
    """gradient = Σ factors · vectors[rows] over the entries of latent j."""
    first, last = starts[j], starts[j + 1]
    gradient[:] = vectors.dtype.type(0)
    add_rows(vectors, rows[first:last], factors[first:last], last - first, gradient)


@compiled
def weight_gradients(
    first: int, last: int, starts: Array, rows: Array, factors: Array, vectors: Array, gradients: Array
) -> float:
    """Squared norm of the gradients of a weight matrix's rows ``first`` … ``last`` − 1.

    They are written into ``gradients`` (n_latents, d_in), unless that has no rows.
    """
    gradient = np.empty(vectors.shape[1], vectors.dtype)
    total = 0.0
    for j in range(first, last):
        row_gradient(j, starts, rows, factors, vectors, gradient)
        squares = vectors.dtype.type(0)
        for c in range(len(gradient)):
            squares += gradient[c] * gradient[c]
        total += squares
        if gradients.shape[0] > 0:
            gradients[j] = gradient
    return total


@compiled
def add_scaled_rows(first: int, last: int, factors: Array, W: Array, sums: Array) -> None:
    """Add Σ factors[j] · W[j] over the rows ``first`` … ``last`` − 1 to ``sums`` (d_in,)."""
    for j in range(first, last):
        w = W[j]
        for c in range(W.shape[1]):
            sums[c] += factors[j] * w[c]


@compiled
def adam(w: Any, m: Any, v: Any, gradient: Any, settings: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """One number's step of Adam (Kingma & Ba 2015) with clipping and decay: the new ``w``, ``m`` and ``v``.

    ``settings``, in the number's type: clip factor, 1 − β1, β2, 1 − β2, learning rate / (1 − β1ᵗ), 1 / √(1 − β2ᵗ),
    epsilon, decay factor, and the size below which ``m`` and ``v`` are taken for 0. Without that the momentum of a
    latent that is never active shrinks until it has no full precision and stays there: processors take such numbers
    one by one, and a row takes 2.5 to 4.6 times as long.
    """
    clip, keep_mean, beta2, keep_square, rate, correction, epsilon, decay, least = settings
    zero = least - least
    step = gradient * clip
    m += (step - m) * keep_mean
    m = m if abs(m) >= least else zero
    v = v * beta2 + step * step * keep_square
    v = v if v >= least else zero
    w = w * decay - rate * m / (math.sqrt(v) * correction + epsilon)
    return w, m, v


@compiled
def adam_row(w: Array, m: Array, v: Array, gradient: Array, along: Any, settings: tuple[Any, ...]) -> Any:
    """``adam`` for one row ``w``, with ``along`` · w taken off the gradient first; returns its new squared norm."""
    squares = w.dtype.type(0)
    for c in range(len(w)):
        w[c], m[c], v[c] = adam(w[c], m[c], v[c], gradient[c] - along * w[c], settings)
        squares += w[c] * w[c]
    return squares


@compiled
def adam_encoder_row(
    w: Array, m: Array, v: Array, gradient: Array, bias: Any, dx_sums: Array, settings: tuple[Any, ...]
) -> Any:
    """``adam`` for one row ``w``, with ``bias`` · w before it added to ``dx_sums``; returns its new squared norm."""
    squares = w.dtype.type(0)
    for c in range(len(w)):
        dx_sums[c] += bias * w[c]
        w[c], m[c], v[c] = adam(w[c], m[c], v[c], gradient[c], settings)
        squares += w[c] * w[c]
    return squares


@compiled
def adam_rounded_row(
    w: Array,
    m: Array,
    v: Array,
    gradient: Array,
    bias: Any,
    dx_sums: Array,
    settings: tuple[Any, ...],
    rounded: Array,
) -> tuple[Any, Any]:
    """``adam_encoder_row`` that also writes the bits of ``w`` in bfloat16; returns its squared norm, and that of what
    rounding took away. All in one loop: another over the same numbers costs as much as a fifth of this one."""
    squares, lost = np.float32(0), np.float32(0)
    for c in range(len(w)):
        dx_sums[c] += bias * w[c]
        number, m[c], v[c] = adam(w[c], m[c], v[c], gradient[c], settings)
        upper = rounded_bits(bits_of(number))
        difference = number - widened(upper)
        w[c], rounded[c] = number, upper
        squares += number * number
        lost += difference * difference
    return squares, lost


@compiled
def update_decoder(
    first: int,
    last: int,
    starts: Array,
    rows: Array,
    acts: Array,
    output_gradient: Array,
    W: Array,
    adam_mean: Array,
    adam_square: Array,
    parallel: Array,
    settings: tuple[Any, ...],
) -> None:
    """Gradient, projection, clipping, Adam and renormalisation of W_dec's rows ``first`` … ``last`` − 1.

    dW_dec[j] = Σ acts · output_gradient lives only in cache. ``settings`` as in ``adam``.
    """
    gradient = np.empty(W.shape[1], W.dtype)
    one = W.dtype.type(1)
    for j in range(first, last):
        row_gradient(j, starts, rows, acts, output_gradient, gradient)
        w = W[j]
        squares = adam_row(w, adam_mean[j], adam_square[j], gradient, parallel[j], settings)
        shrink = one / math.sqrt(squares)
        for c in range(len(w)):
            w[c] *= shrink


@compiled
def update_encoder(
    first: int,
    last: int,
    starts: Array,
    documents: Array,
    dz: Array,
    x: Array,
    W: Array,
    adam_mean: Array,
    adam_square: Array,
    dlatent_bias: Array,
    settings: tuple[Any, ...],
    rounded: Array,
    norms: Array,
    dx_sums: Array,
) -> None:
    """Gradient, clipping, Adam, decay and bfloat16 shadow of W_enc's rows ``first`` … ``last`` − 1.

    dW_enc[j] = Σ dz · x. Σ_j dlatent_bias[j] · W_enc[j] before the update, the encoder's share of −dpre_bias,
    is added to ``dx_sums`` (d_in,). ``norms`` (n, 2) and ``rounded`` (n, d_in) uint16 are kept as by
    ``round_rows``; ``rounded`` may have shape (0, 0).
    """
    gradient = np.empty(W.shape[1], W.dtype)
    for j in range(first, last):
        row_gradient(j, starts, documents, dz, x, gradient)
        row = W[j], adam_mean[j], adam_square[j]
        if rounded.shape[0] > 0:
            squares, lost = adam_rounded_row(*row, gradient, dlatent_bias[j], dx_sums, settings, rounded[j])
            norms[j, 1] = math.sqrt(lost)
        else:
            squares = adam_encoder_row(*row, gradient, dlatent_bias[j], dx_sums, settings)
        norms[j, 0] = math.sqrt(squares)
