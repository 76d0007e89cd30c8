"""Exact top-k from a product in bfloat16, compiled: candidates near the k-th value are computed again in float32.

That is done latent by latent for a few hundred documents at once: their rows stay in the core's cache while each
row of W_enc, which does not fit there, comes from memory once instead of once for each document that names it.
"""

import math
from typing import Any

import numpy as np

from sae.compiled.bits import widened
from sae.compiled.jit import compiled
from sae.compiled.row_kernels import dots
from sae.compiled.topk import LOWEST, block_maxima, kth_largest, passing_threshold, settle
from sae.compiled.vectors import gather_reaching, padded

Array = np.ndarray[Any, Any]

TOLERANCE_DEVIATIONS = 8.0
"""Standard deviations of the rounding error within which the screen keeps candidates."""
SEEN_DEVIATIONS = 5.6
"""A row whose candidates show a larger rounding error than this is not trusted."""
BFLOAT16_ROUNDING = 2.0**-8
"""Largest relative error of rounding a number to bfloat16."""
DEVIATION, PRODUCT, LEAST = range(3)
"""Columns of a row's ``limits``: the rounding error's deviation, the largest product near the k-th value, and what
the k-th value must reach to be certain."""


def most_candidates(n: int, k: int) -> int:
    """Candidates of a row beyond which one product is cheaper."""
    return max(k, n // 4)


@compiled
def find_candidates(
    screened: Array,
    latent_bias: Array,
    x_norms: Array,
    W_norms: Array,
    d_in: int,
    k: int,
    length: int,
    most: int,
    starts: Array,
    values: Array,
    indices: Array,
    limits: Array,
) -> None:
    """Entries of each row that may be among its k largest, row after row, into ``values`` and ``indices``.

    ``screened`` (rows, n) uint16: bits of the bfloat16 product of the rounded x (rows, d_in) and W_enc (n, d_in).
    ``x_norms`` (rows, 2): norm of each row and of what rounding took from it; ``W_norms`` (2,): the largest such
    norms over W_enc's rows. A product's rounding error is a sum of d_in errors of either sign, so its deviation is
    about the product of norms over √d_in; candidates are kept within twice TOLERANCE_DEVIATIONS of it below the
    k-th value. Row r owns the entries starts[r] … starts[r + 1], none where it has more than ``most``; ``limits``
    (rows, 3) is what ``settle_candidates`` needs to know.
    """
    n_rows, n = screened.shape
    n_blocks = -(-n // length)
    rounding = np.float32(BFLOAT16_ROUNDING)
    largest_bias = np.float32(0)
    for j in range(n):
        largest_bias = max(largest_bias, abs(latent_bias[j]))
    row = np.full(padded(n_blocks * length), np.float32(LOWEST), np.float32)
    maxima = np.empty(len(row), np.float32)
    near = np.empty(len(row), np.float32)
    places = np.empty(len(row), np.int32)
    at = 0
    for r in range(n_rows):
        starts[r] = at
        for j in range(n):
            row[j] = widened(screened[r, j]) + latent_bias[j]
        block_maxima(row, length, n_blocks, maxima)
        threshold = passing_threshold(maxima, n_blocks, k)
        from_x = x_norms[r, 1] * W_norms[0]
        from_W = x_norms[r, 0] * W_norms[1]
        deviation = np.float32(math.sqrt((from_x * from_x + from_W * from_W) / np.float32(d_in)))
        largest_product = abs(threshold) + largest_bias  # of any entry near the threshold
        if largest_bias > abs(threshold):
            largest_product = np.float32(0)
            for j in range(n):
                largest_product = max(largest_product, abs(row[j] - latent_bias[j]))
        tolerance = np.float32(TOLERANCE_DEVIATIONS) * deviation + rounding * largest_product
        margin = tolerance + tolerance
        count = gather_reaching(row, threshold - margin, near, places)
        cut = kth_largest(near, count, k) - margin
        kept = 0
        for i in range(count):
            near[kept] = near[i]
            places[kept] = places[i]
            kept += near[i] >= cut
        limits[r, DEVIATION] = deviation
        limits[r, PRODUCT] = largest_product
        limits[r, LEAST] = cut + tolerance
        if kept <= most:
            values[at : at + kept] = near[:kept]
            indices[at : at + kept] = places[:kept]
            at += kept
    starts[n_rows] = at


@compiled
def compute_candidates(
    x: Array,
    W_enc: Array,
    latent_bias: Array,
    starts: Array,
    indices: Array,
    first_of: Array,
    entries: Array,
    rows: Array,
    products: Array,
    exact: Array,
) -> None:
    """x (rows, d_in) times W_enc's row plus bias for each candidate into ``exact``, in the candidates' order.

    ``first_of`` (n + 1,), ``entries``, ``rows`` and ``products`` (as many as candidates) are scratch.
    """
    n_rows, n = x.shape[0], W_enc.shape[0]
    first_of[:] = 0
    for e in range(starts[n_rows]):
        first_of[indices[e]] += 1
    total = 0
    for j in range(n):
        count = first_of[j]
        first_of[j] = total
        total += count
    for r in range(n_rows):
        for e in range(starts[r], starts[r + 1]):
            place = first_of[indices[e]]
            first_of[indices[e]] = place + 1
            entries[place] = e
            rows[place] = r
    first = 0
    for j in range(n):
        last = first_of[j]  # where the next latent's begin, now that all are placed
        if last > first:
            dots(W_enc[j], x, rows[first:last], last - first, products[first:last])
            for place in range(first, last):
                exact[entries[place]] = products[place] + latent_bias[j]
        first = last


@compiled
def settle_candidates(
    starts: Array,
    values: Array,
    exact: Array,
    indices: Array,
    latent_bias: Array,
    limits: Array,
    k: int,
    top_acts: Array,
    top_indices: Array,
    uncertain: Array,
) -> None:
    """The k largest of each row's ``exact`` candidates; ``values`` are what the screen took them for.

    ``uncertain`` (rows,) uint8 becomes 0 where the result is certified: no left-out entry can reach the k-th value
    within the tolerance, and no candidate erred by nearly as much as the tolerance. The caller repeats the other
    rows in float32. ``indices`` are reordered.
    """
    seen, rounding = np.float32(SEEN_DEVIATIONS), np.float32(BFLOAT16_ROUNDING)
    for r in range(len(starts) - 1):
        first, last = starts[r], starts[r + 1]
        uncertain[r] = 1
        if last == first:
            continue
        near = limits[r, PRODUCT]
        excess = np.float32(-1)  # of the largest error above what is allowed for rounding the product itself
        for e in range(first, last):
            product = abs(exact[e] - latent_bias[indices[e]])
            excess = max(excess, abs(exact[e] - values[e]) - rounding * max(product, near))
        trusted = excess <= seen * limits[r, DEVIATION]
        kth = settle(exact[first:last], indices[first:last], last - first, k, top_acts[r], top_indices[r])
        if trusted and kth >= limits[r, LEAST]:
            uncertain[r] = 0
