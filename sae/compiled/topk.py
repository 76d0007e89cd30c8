"""The k largest entries of each row, much faster than sorting: compiled for the CPU.

A row is cut into blocks, and a threshold is found by bisection that about k of their maxima reach; the few entries
that reach it are settled by another bisection. Ties at the k-th
value go to the lower index, as in ``sae.model.top_k``. Within a row the order is arbitrary.
"""

from typing import Any

import numpy as np

from sae.compiled.jit import compiled
from sae.compiled.vectors import count_reaching, gather_reaching, padded

Array = np.ndarray[Any, Any]

BLOCK_LENGTHS = (16, 8, 4, 2)
LOWEST = -3.0e38
"""What fills a row up to whole blocks; finite, since infinity is not expected."""


def block_length(n: int, k: int) -> int:
    """Entries that share a block maximum: the more the better while at least 4k blocks remain."""
    return next((length for length in BLOCK_LENGTHS if n // length >= 4 * k), 1)


@compiled
def kth_largest(values: Array, n: int, k: int) -> Any:
    """k-th largest of ``values[:n]`` by bisection; what follows, up to whole words, is written over.

    Counting is done a word at a time and has no branch to mispredict: for a hundred values a small part of
    quickselect's time. It ends once exactly k values reach the middle, or no number is left between the bounds (ties).
    """
    half, lowest = values.dtype.type(0.5), values.dtype.type(LOWEST)
    size = padded(n)
    low = values[0]
    high = values[0]
    for i in range(n):
        low = min(low, values[i])
        high = max(high, values[i])
    for i in range(n, size):
        values[i] = lowest
    if count_reaching(values, size, high) >= k:
        return high
    largest = high
    while True:
        middle = (low + high) * half
        if middle <= low or middle >= high:
            return low
        reaching = count_reaching(values, size, middle)
        if reaching == k:
            least = largest
            for i in range(n):
                least = min(least, values[i] if values[i] >= middle else largest)
            return least
        if reaching > k:
            low = middle
        else:
            high = middle


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
    """Maxima of blocks into ``maxima[:n_blocks]``; block i holds the entries i, i + n_blocks, i + 2 n_blocks, … of
    ``row`` (at least length · n_blocks). ``maxima`` is as long as half of them: the row is folded in two until the
    blocks are left, in few long loops."""
    if length == 1:
        maxima[:n_blocks] = row[:n_blocks]
        return
    half = length // 2 * n_blocks
    for i in range(half):
        maxima[i] = max(row[i], row[half + i])
    while half > n_blocks:
        half //= 2
        for i in range(half):
            maxima[i] = max(maxima[i], maxima[half + i])


@compiled
def settle(values: Array, indices: Array, count: int, k: int, top_acts: Array, top_indices: Array) -> Any:
    """Write the k largest of ``count`` candidates after ReLU; returns the k-th value before it.

    ``indices`` is reordered; ``values`` are followed by room up to whole words, which is written over.
    """
    kth = kth_largest(values, count, k)
    zero = values.dtype.type(0)
    above = 0
    ties = 0
    for i in range(count):  # no branch to mispredict; what is written needlessly is written over
        index, value = indices[i], values[i]
        top_indices[above] = index
        top_acts[above] = max(value, zero)
        above += value > kth
        indices[ties] = index  # ties <= i: nothing still needed is overwritten
        ties += value == kth
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
    row = np.full(padded(n_blocks * length), pre_act.dtype.type(LOWEST), pre_act.dtype)
    maxima = np.empty(len(row), pre_act.dtype)
    values = np.empty(len(row), pre_act.dtype)
    indices = np.empty(len(row), np.int32)
    for r in range(n_rows):
        for j in range(n):
            row[j] = pre_act[r, j] + latent_bias[j]
        block_maxima(row, length, n_blocks, maxima)
        threshold = passing_threshold(maxima, n_blocks, k)
        count = gather_reaching(row, threshold, values, indices)
        settle(values, indices, count, k, top_acts[r], top_indices[r])


@compiled
def order_rows(top_acts: Array, top_indices: Array) -> None:
    """Sort each row of ``top_acts``, ``top_indices`` (rows, k) from large to small, equal ones by index."""
    for r in range(top_acts.shape[0]):
        acts, indices = top_acts[r], top_indices[r]
        for e in range(1, len(acts)):
            act, index = acts[e], indices[e]
            at = e
            while at > 0 and (acts[at - 1] < act or (acts[at - 1] == act and indices[at - 1] > index)):
                acts[at], indices[at] = acts[at - 1], indices[at - 1]
                at -= 1
            acts[at], indices[at] = act, index
