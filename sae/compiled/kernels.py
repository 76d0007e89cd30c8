"""The compiled parts of a CPU training step that go document by document."""

import math
from typing import Any

import numpy as np

from sae.compiled.bits import bits_of, rounded_bits, widened
from sae.compiled.jit import compiled
from sae.compiled.row_kernels import add_rows, dots

Array = np.ndarray[Any, Any]


@compiled
def round_rows(x: Array, rounded: Array, norms: Array) -> None:
    """bfloat16 bits of float32 ``x`` (rows, d_in) into ``rounded`` (rows, d_in) uint16, and into ``norms``
    (rows, 2) each row's norm and the norm of its rounding error."""
    for r in range(x.shape[0]):
        row, out = x[r], rounded[r]
        squares, lost = np.float32(0), np.float32(0)
        for c in range(len(row)):
            upper = rounded_bits(bits_of(row[c]))
            out[c] = upper
            difference = row[c] - widened(upper)
            squares += row[c] * row[c]
            lost += difference * difference
        norms[r, 0] = math.sqrt(squares)
        norms[r, 1] = math.sqrt(lost)


@compiled
def largest_norms(norms: Array, largest: Array) -> None:
    """Column maxima of ``norms`` (n, 2), none negative, into ``largest`` (2,)."""
    first, second = norms.dtype.type(0), norms.dtype.type(0)
    for j in range(norms.shape[0]):
        first = max(first, norms[j, 0])
        second = max(second, norms[j, 1])
    largest[0], largest[1] = first, second


@compiled
def prepare_rows(
    rows: Array,
    mean: Array,
    inverse_scale: Any,
    codes: Array,
    quantiles: Array,
    noise: Any,
    pre_bias: Array,
    z: Array,
    x: Array,
    x_norms: Array,
    rounded: Array,
    norms: Array,
) -> None:
    """Standardise ``rows`` (n, d_in) into the target z, and add noise and take pre_bias off into x.

    z = (rows − mean) · inverse_scale;  x = z + noise · quantiles[codes] − pre_bias. ``codes`` (n, d_in)
    uint16, or (0, 0) for no noise. ``x_norms`` (n,) receives the norms of x's rows; ``rounded`` (n, d_in) and
    ``norms`` (n, 2) what ``round_rows`` says of x, unless ``rounded`` is empty.
    """
    n_rows, d_in = rows.shape
    noisy = codes.shape[0] > 0
    for r in range(n_rows):
        row, target, entering = rows[r], z[r], x[r]
        for c in range(d_in):
            target[c] = (row[c] - mean[c]) * inverse_scale
            entering[c] = target[c] - pre_bias[c]
        if noisy:
            code = codes[r]
            for c in range(d_in):
                entering[c] += noise * quantiles[code[c]]
        if rounded.shape[0] > 0:
            round_rows(x[r : r + 1], rounded[r : r + 1], norms[r : r + 1])
            x_norms[r] = norms[r, 0]
        else:
            squares = x.dtype.type(0)
            for c in range(d_in):
                squares += entering[c] * entering[c]
            x_norms[r] = math.sqrt(squares)


@compiled
def decode_rows(
    acts: Array,
    indices: Array,
    W_dec: Array,
    target: Array,
    bias: Array,
    factor: Any,
    gradient: Array,
    gradient_norms: Array,
    dz: Array,
    column_sums: Array,
) -> float:
    """Decode each row, and take the gradient of its output and of its latents, in one pass.

    error = Σ acts · W_dec[indices] + bias − target, (n, d_in); the output's ``gradient`` is factor · error,
    its rows' norms go into ``gradient_norms`` (n,); ``dz`` (n, k) is its product with each active decoder
    row while those rows are still in cache, 0 where the activation is 0. The output's gradient is added to
    ``column_sums`` (d_in,). Returns the sum of error².
    """
    n_rows, k = indices.shape
    d_in = W_dec.shape[1]
    zero = W_dec.dtype.type(0)
    active = np.empty(k + 1, np.int32)
    act = np.empty(k + 1, W_dec.dtype)
    products = np.empty(k + 1, W_dec.dtype)
    total = 0.0
    for r in range(n_rows):
        wanted, error = target[r], gradient[r]
        for c in range(d_in):
            error[c] = bias[c] - wanted[c]
        count = 0
        for e in range(k):
            active[count] = indices[r, e]
            act[count] = acts[r, e]
            count += acts[r, e] > zero
        add_rows(W_dec, active, act, count, error)
        squares = zero
        for c in range(d_in):
            squares += error[c] * error[c]
        total += squares
        gradient_norms[r] = math.sqrt(squares) * factor
        for c in range(d_in):
            error[c] *= factor
            column_sums[c] += error[c]
        dots(error, W_dec, active, count, products)
        at = 0
        for e in range(k):
            dz[r, e] = products[at] if acts[r, e] > zero else zero
            at += acts[r, e] > zero
    return total


@compiled
def decode_chunks(
    rows: tuple[int, int],
    length: int,
    acts: Array,
    indices: Array,
    W_dec: Array,
    target: Array,
    bias: Array,
    factor: Any,
    gradient: Array,
    gradient_norms: Array,
    dz: Array,
    column_sums: Array,
    squares: Array,
) -> None:
    """``decode_rows`` for the ``rows`` first … last − 1 of a batch, whose first begins a chunk of ``length`` rows.

    Each chunk has its own ``column_sums`` (chunks, d_in) and sum of ``squares`` (chunks,), so that they do not depend
    on which rows are decoded together.
    """
    for start in range(rows[0], rows[1], length):
        end, chunk = min(rows[1], start + length), start // length
        squares[chunk] = decode_rows(
            acts[start:end], indices[start:end], W_dec, target[start:end], bias, factor,
            gradient[start:end], gradient_norms[start:end], dz[start:end], column_sums[chunk],
        )  # fmt: skip


@compiled
def scale_rows(rows: Array, factor: Any, scaled: Array, column_sums: Array) -> float:
    """Write factor · ``rows`` (n, d_in) into ``scaled``, and add them to ``column_sums`` (d_in,).

    Returns the sum of their squares.
    """
    n_rows, d_in = rows.shape
    total = 0.0
    for r in range(n_rows):
        row, out = rows[r], scaled[r]
        squares = rows.dtype.type(0)
        for c in range(d_in):
            out[c] = row[c] * factor
            squares += out[c] * out[c]
            column_sums[c] += out[c]
        total += squares
    return total


@compiled
def centred_squares(rows: Array, mean: Array) -> float:
    """Sum of (rows − mean)² over all entries of ``rows`` (n, d_in)."""
    total = 0.0
    for r in range(rows.shape[0]):
        row = rows[r]
        squares = rows.dtype.type(0)
        for c in range(rows.shape[1]):
            difference = row[c] - mean[c]
            squares += difference * difference
        total += squares
    return total


@compiled
def count_active(acts: Array, indices: Array, counts: Array, since_active: Array, dead_after: int) -> int:
    """How often each latent is active in this batch, into ``counts`` (n_latents,) int64.

    Adds its documents to ``since_active`` (n_latents,) int64, or sets it to 0 where a latent is active. Returns how
    many latents have not been active for ``dead_after`` documents.
    """
    n_rows, k = indices.shape
    counts[:] = 0
    for r in range(n_rows):
        for e in range(k):
            counts[indices[r, e]] += acts[r, e] > 0
    dead = 0
    for j in range(len(counts)):
        since_active[j] = 0 if counts[j] > 0 else since_active[j] + n_rows
        dead += since_active[j] >= dead_after
    return dead
