"""Compiled sums over chosen rows of a matrix, four rows at a time: they come from far, the sums stay near."""

from typing import Any

import numpy as np

from sae.compiled.jit import compiled

Array = np.ndarray[Any, Any]


@compiled
def dots(x: Array, W: Array, indices: Array, count: int, products: Array) -> None:
    """Products of ``x`` (d_in,) with the rows ``indices[:count]`` of W, four at a time, into ``products``.

    The last row fills up the last four, so that each product is summed in the same order wherever its row stands.
    """
    d_in = W.shape[1]
    zero = W.dtype.type(0)
    last = count - 1
    for i in range(0, count, 4):
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        w0, w1, w2, w3 = W[indices[i]], W[indices[i1]], W[indices[i2]], W[indices[i3]]
        d0, d1, d2, d3 = zero, zero, zero, zero
        for c in range(d_in):
            d0 += x[c] * w0[c]
            d1 += x[c] * w1[c]
            d2 += x[c] * w2[c]
            d3 += x[c] * w3[c]
        products[i], products[i1], products[i2], products[i3] = d0, d1, d2, d3


@compiled
def add_rows(W: Array, indices: Array, factors: Array, count: int, sums: Array) -> None:
    """Add factors[i] · W[indices[i]] for the first ``count`` to ``sums`` (d_in,)."""
    d_in = W.shape[1]
    i = 0
    while i + 4 <= count:
        w0, w1, w2, w3 = W[indices[i]], W[indices[i + 1]], W[indices[i + 2]], W[indices[i + 3]]
        a0, a1, a2, a3 = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        for c in range(d_in):
            sums[c] += a0 * w0[c] + a1 * w1[c] + a2 * w2[c] + a3 * w3[c]
        i += 4
    while i < count:
        w0, a0 = W[indices[i]], factors[i]
        for c in range(d_in):
            sums[c] += a0 * w0[c]
        i += 1
