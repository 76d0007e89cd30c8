"""Exact top-k from a product in bfloat16, compiled: candidates near the k-th value are computed again in float32.

That is done latent by latent for a few hundred documents at once: their rows stay in the core's cache while each
row of W_enc, which does not fit there, comes from memory once instead of once for each document that names it.
"""

import math
from typing import Any

import numpy as np

from sae.compiled.bits import widened
from sae.compiled.jit import compiled
from sae.compiled.lanes import lane_gather, lane_maxima, lane_thresholds
from sae.compiled.row_kernels import dots
from sae.compiled.topk import LOWEST, kth_largest, settle
from sae.compiled.vectors import WORD, padded

Array = np.ndarray[Any, Any]

TOLERANCE_DEVIATIONS = 8.0
"""Standard deviations of the rounding error that the screen allows for."""
KEPT_TOLERANCES = 1.5
"""Tolerances below the k-th value within which candidates are kept: one for what they may be worth more, the rest for
what the k-th value may be worth less, which is .48 where most (12,000 real abstracts); then the row is done again."""
SEEN_DEVIATIONS = 5.6
"""A row whose candidates show a larger rounding error than this is not trusted."""
BFLOAT16_ROUNDING = 2.0**-8
"""Largest relative error of rounding a number to bfloat16."""
ROW_PADDING = 16
"""Room behind each row of scratch, so that rows do not compete for the same places of the cache."""
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

    ``screened`` (n, groups, 64) uint16: bits of the bfloat16 product of W_enc (n, d_in) and the rounded x (rows, d_in),
    whose rows are the first of the columns; those behind them may hold any numbers. ``x_norms`` (rows, 2): norm of each
    row and of what rounding took from it; ``W_norms`` (2,): the largest such norms over W_enc's rows. A product's
    rounding error is a sum of d_in errors of either sign, so its deviation is about the product of norms over √d_in.
    TOLERANCE_DEVIATIONS of it are allowed for, and candidates kept within KEPT_TOLERANCES of that below the k-th value.
    Row r owns the entries starts[r] … starts[r + 1], none where it has more than ``most``: ``values`` and ``indices``
    have room for ``most`` a row, and one row more. ``limits`` (rows, 3) is what ``settle_candidates`` needs to know.
    Blocks of ``length`` entries share a maximum.
    """
    n, n_rows = screened.shape[0], len(x_norms)
    rounding, kept_tolerances = np.float32(BFLOAT16_ROUNDING), np.float32(KEPT_TOLERANCES)
    largest_bias = np.float32(0)
    for j in range(n):
        largest_bias = max(largest_bias, abs(latent_bias[j]))
    maxima = np.empty((-(-n // length), WORD), np.float32)
    thresholds, lowest = np.empty(WORD, np.float32), np.empty(WORD, np.float32)
    latents, masks, counts = np.empty(n + 1, np.int32), np.empty(n + 1, np.uint64), np.empty(WORD, np.int64)
    capacity = 2 * most
    width = padded(capacity) + ROW_PADDING
    near, places = np.empty((WORD, width), np.float32), np.empty((WORD, width), np.int32)
    at = 0
    for first in range(0, n_rows, WORD):
        group, lanes = first // WORD, min(WORD, n_rows - first)
        lane_maxima(screened, group, latent_bias, length, maxima)
        lane_thresholds(maxima, k, thresholds)
        lowest[:] = np.float32(-LOWEST)  # what nothing in a lane without a row reaches
        for lane in range(lanes):
            r = first + lane
            from_x = x_norms[r, 1] * W_norms[0]
            from_W = x_norms[r, 0] * W_norms[1]
            deviation = np.float32(math.sqrt((from_x * from_x + from_W * from_W) / np.float32(d_in)))
            largest_product = abs(thresholds[lane]) + largest_bias  # of any entry near the threshold
            if largest_bias > abs(thresholds[lane]):
                largest_product = np.float32(0)
                for j in range(n):
                    largest_product = max(largest_product, abs(widened(screened[j, group, lane])))
            tolerance = np.float32(TOLERANCE_DEVIATIONS) * deviation + rounding * largest_product
            limits[r, DEVIATION], limits[r, PRODUCT], limits[r, LEAST] = deviation, largest_product, tolerance
            lowest[lane] = thresholds[lane] - kept_tolerances * tolerance
        lane_gather(screened, group, latent_bias, lowest, latents, masks, counts, near, places)
        for lane in range(lanes):
            r = first + lane
            starts[r] = at
            value, place, count = near[lane], places[lane], counts[lane]
            if count > capacity:
                continue
            tolerance = limits[r, LEAST]
            cut = kth_largest(value, count, k) - kept_tolerances * tolerance
            limits[r, LEAST] = cut + tolerance
            kept = 0
            # What is written needlessly is written over; copying slices would take longer.
            for i in range(count):
                values[at + kept] = value[i]
                indices[at + kept] = place[i]
                kept += value[i] >= cut
            if kept <= most:
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
def compute_rows(x: Array, W_enc: Array, rows: Array, pre_act: Array) -> None:
    """x[rows] (m, d_in) times every row of W_enc (n, d_in) into ``pre_act`` (m, n), summed as candidates are, bit by
    bit."""
    products = np.empty(len(rows), x.dtype)
    for j in range(W_enc.shape[0]):
        dots(W_enc[j], x, rows, len(rows), products)
        for i in range(len(rows)):
            pre_act[i, j] = products[i]


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
    largest = 0
    for r in range(len(starts) - 1):
        largest = max(largest, starts[r + 1] - starts[r])
    row = np.empty(padded(largest), np.float32)
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
        for e in range(first, last):
            row[e - first] = exact[e]
        kth = settle(row, indices[first:last], last - first, k, top_acts[r], top_indices[r])
        if trusted and kth >= limits[r, LEAST]:
            uncertain[r] = 0


@compiled
def select_candidates(
    screened: Array,
    x: Array,
    x_norms: Array,
    W_enc: Array,
    W_norms: Array,
    latent_bias: Array,
    k: int,
    length: int,
    most: int,
    starts: Array,
    values: Array,
    exact: Array,
    products: Array,
    indices: Array,
    entries: Array,
    rows: Array,
    first_of: Array,
    limits: Array,
    top_acts: Array,
    top_indices: Array,
    uncertain: Array,
) -> int:
    """The three kernels above in one; returns how many rows are uncertain."""
    find_candidates(
        screened, latent_bias, x_norms, W_norms, x.shape[1], k, length, most, starts, values, indices, limits
    )
    compute_candidates(x, W_enc, latent_bias, starts, indices, first_of, entries, rows, products, exact)
    settle_candidates(
        starts, values, exact, indices, latent_bias, limits, k, top_acts, top_indices, uncertain
    )
    left = 0
    for r in range(len(uncertain)):
        left += uncertain[r]
    return left
