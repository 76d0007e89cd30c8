"""The k largest entries of each row, much faster than sorting: compiled for the CPU.

A row is cut into blocks; only blocks whose maximum passes a threshold, found by bisection so that about k
blocks pass, are looked into; the few candidates found there are settled by quickselect. Ties at the k-th
value go to the lower index, as in ``sae.model.top_k``. Within a row the order is arbitrary.
"""

import math
from typing import Any

import numpy as np

from sae.jit import compiled

Array = np.ndarray[Any, Any]

BLOCK_LENGTHS = (16, 8, 4, 2)
TOLERANCE_DEVIATIONS = 8.0
"""Standard deviations of the rounding error within which the screen keeps candidates."""
SEEN_DEVIATIONS = 5.6
"""A row whose candidates show a larger rounding error than this is not trusted."""
BFLOAT16_ROUNDING = 2.0**-8
"""Largest relative error of rounding a number to bfloat16."""


def block_length(n: int, k: int) -> int:
    """Entries that share a block maximum: the more the better while at least 4k blocks remain."""
    return next((length for length in BLOCK_LENGTHS if n // length >= 4 * k), 1)


@compiled
def kth_largest(values: Array, n: int, k: int) -> Any:
    """k-th largest of ``values[:n]``, which is reordered: quickselect with the median of three."""
    low = 0
    high = n - 1
    target = k - 1
    while low < high:
        first, middle, last = values[low], values[(low + high) >> 1], values[high]
        pivot = max(min(first, middle), min(max(first, middle), last))
        i = low
        j = high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if target <= j:
            high = j
        elif target >= i:
            low = i
        else:
            return values[target]
    return values[target]


@compiled
def passing_threshold(maxima: Array, n: int, k: int) -> Any:
    """A value that at least k, and usually at most 9/8 k, of ``maxima[:n]`` reach: bisection."""
    # Constants of the array's own type: an integer literal would turn float32 into float64.
    zero, half, one = maxima.dtype.type(0), maxima.dtype.type(0.5), maxima.dtype.type(1)
    low = maxima[0]
    high = maxima[0]
    for i in range(n):
        low = min(low, maxima[i])
        high = max(high, maxima[i])
    for _ in range(26):
        threshold = (low + high) * half
        reaching = zero
        for i in range(n):
            reaching += one if maxima[i] >= threshold else zero
        if reaching >= k:
            low = threshold
            if reaching <= k + (k >> 3):
                break
        else:
            high = threshold
    return low


@compiled
def block_maxima(row: Array, length: int, n_blocks: int, maxima: Array) -> None:
    """Maxima of blocks; block i holds the entries i, i + n_blocks, i + 2 n_blocks, … of ``row``."""
    for i in range(n_blocks):
        maxima[i] = row[i]
    for part in range(1, length):
        offset = part * n_blocks
        for i in range(n_blocks):
            maxima[i] = max(maxima[i], row[offset + i])


@compiled
def gather_candidates(
    row: Array, maxima: Array, length: int, n_blocks: int, threshold: Any, values: Array, indices: Array
) -> int:
    """Copy the entries of ``row`` that reach ``threshold``, with their indices; returns how many."""
    count = 0
    for i in range(n_blocks):
        if maxima[i] >= threshold:
            for part in range(length):
                j = part * n_blocks + i
                values[count] = row[j]
                indices[count] = j
                count += row[j] >= threshold
    return count


@compiled
def settle(
    values: Array, indices: Array, scratch: Array, count: int, k: int, top_acts: Array, top_indices: Array
) -> Any:
    """Write the k largest of ``count`` candidates after ReLU; returns the k-th value before it."""
    for i in range(count):
        scratch[i] = values[i]
    kth = kth_largest(scratch, count, k)
    zero = values.dtype.type(0)
    above = 0
    ties = 0
    for i in range(count):
        if values[i] > kth:
            top_indices[above] = indices[i]
            top_acts[above] = max(values[i], zero)
            above += 1
        elif values[i] == kth:
            indices[ties] = indices[i]  # ties <= i: nothing still needed is overwritten
            ties += 1
    if above + ties > k:
        indices[:ties].sort()
    for i in range(k - above):
        top_indices[above + i] = indices[i]
        top_acts[above + i] = max(kth, zero)
    return kth


@compiled
def select_rows(
    pre_act: Array, latent_bias: Array, k: int, length: int, top_acts: Array, top_indices: Array
) -> None:
    """Top-k with ReLU of ``pre_act + latent_bias`` (rows, n) into ``top_acts``, ``top_indices`` (rows, k)."""
    n_rows, n = pre_act.shape
    n_blocks = -(-n // length)
    lowest = pre_act.dtype.type(-3.0e38)  # where n ends; finite, since infinity is not expected
    row = np.full(n_blocks * length, lowest, pre_act.dtype)
    maxima = np.empty(n_blocks, pre_act.dtype)
    values = np.empty(n_blocks * length + 1, pre_act.dtype)
    scratch = np.empty(n_blocks * length + 1, pre_act.dtype)
    indices = np.empty(n_blocks * length + 1, np.int32)
    for r in range(n_rows):
        for j in range(n):
            row[j] = pre_act[r, j] + latent_bias[j]
        block_maxima(row, length, n_blocks, maxima)
        threshold = passing_threshold(maxima, n_blocks, k)
        count = gather_candidates(row, maxima, length, n_blocks, threshold, values, indices)
        settle(values, indices, scratch, count, k, top_acts[r], top_indices[r])


@compiled
def screen_rows(
    screened: Array,
    latent_bias: Array,
    x: Array,
    x_norms: Array,
    W_enc: Array,
    W_norms: Array,
    k: int,
    length: int,
    top_acts: Array,
    top_indices: Array,
    uncertain: Array,
) -> None:
    """Exact top-k from a bfloat16 product: candidates near the k-th value are computed again in float32.

    ``screened`` (rows, n) uint16: bits of the bfloat16 product of the rounded ``x`` (rows, d_in) and W_enc
    (n, d_in). ``x_norms`` (rows, 2): norm of each row and of what rounding took from it; ``W_norms`` (2,):
    the largest such norms over W_enc's rows. A product's rounding error is a sum of d_in errors of either
    sign, so its deviation is about the product of norms over √d_in; candidates are kept within twice
    TOLERANCE_DEVIATIONS of it below the k-th value. ``uncertain`` (rows,) uint8 becomes 0 where the result
    is certified: no left-out entry can reach the k-th value within the tolerance, and no candidate erred by
    nearly as much as the tolerance. The caller repeats the other rows in float32.
    """
    n_rows, n = screened.shape
    d_in = W_enc.shape[1]
    n_blocks = -(-n // length)
    half_bits = np.uint32(16)
    rounding = np.float32(BFLOAT16_ROUNDING)
    largest_bias = np.float32(0)
    for j in range(n):
        largest_bias = max(largest_bias, abs(latent_bias[j]))
    bits = np.full(n_blocks * length, np.uint32(0xFF61B1E6), np.uint32)  # -3e38 where n ends
    row = bits.view(np.float32)
    maxima = np.empty(n_blocks, np.float32)
    values = np.empty(n_blocks * length + 1, np.float32)
    scratch = np.empty(n_blocks * length + 1, np.float32)
    indices = np.empty(n_blocks * length + 1, np.int32)
    for r in range(n_rows):
        for j in range(n):
            bits[j] = np.uint32(screened[r, j]) << half_bits
        for j in range(n):
            row[j] = row[j] + latent_bias[j]
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
        count = gather_candidates(row, maxima, length, n_blocks, threshold - margin, values, indices)
        for i in range(count):
            scratch[i] = values[i]
        cut = kth_largest(scratch, count, k) - margin
        kept = 0
        for i in range(count):
            if values[i] >= cut:
                values[kept] = values[i]
                indices[kept] = indices[i]
                kept += 1
        uncertain[r] = 1
        if kept > k and kept * 4 > n and kept < n:
            continue  # so many candidates cost more here than in one product
        trusted = True
        for i in range(kept):
            weights = W_enc[indices[i]]
            dot = np.float32(0)
            for c in range(d_in):
                dot += x[r, c] * weights[c]
            exact = dot + latent_bias[indices[i]]
            allowed = np.float32(SEEN_DEVIATIONS) * deviation + rounding * max(abs(dot), largest_product)
            trusted = trusted and abs(exact - values[i]) <= allowed
            values[i] = exact
        kth = settle(values, indices, scratch, kept, k, top_acts[r], top_indices[r])
        if trusted and kth >= cut + tolerance:
            uncertain[r] = 0
