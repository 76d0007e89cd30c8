"""Thresholds and large entries of 64 rows at once, one in each lane of the processor's vectors.

The product is handed over with latents as rows and documents as columns, ``screened`` (n_latents, groups, 64) uint16
bits of bfloat16 numbers. So PyTorch writes it faster, and every comparison is one of 64 numbers that lie together.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.cpython.unsafe import numbers
from numba.extending import intrinsic

from sae.compiled.bits import widened
from sae.compiled.jit import compiled
from sae.compiled.prefetch import prefetch
from sae.compiled.topk import LOWEST
from sae.compiled.vectors import WORD

Array = np.ndarray[Any, Any]

_trailing_zeros: Any = numbers.trailing_zeros
AHEAD = 32
"""Latents by which a product is asked for before it is read: they lie too far apart for the processor to see it by
itself."""
HALVINGS = 26
"""Steps of a bisection after which float32 bounds are as near as they get."""


def _reaching_each(typing_context: Any, row: Any, thresholds: Any) -> Any:
    """What numba writes for ``reaching_each`` below."""
    vector = ir.VectorType(ir.FloatType(), WORD)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = []
        for kind, argument in zip(signature.args, arguments, strict=True):
            start = context.make_array(kind)(context, builder, argument).data
            loaded.append(builder.load(builder.bitcast(start, vector.as_pointer()), align=4))
        return builder.bitcast(builder.fcmp_ordered(">=", *loaded), ir.IntType(WORD))

    return types.uint64(row, thresholds), generate


reaching_each: Any = intrinsic(_reaching_each)
"""``reaching_each(row, thresholds)`` in a kernel: bit i of the result says whether ``row[i] >= thresholds[i]``; both
are float32 and hold WORD numbers."""


@compiled
def lane_maxima(screened: Array, group: int, latent_bias: Array, length: int, maxima: Array) -> None:
    """Largest of ``screened[:, group] + latent_bias`` in each block of ``length`` latents, into ``maxima``
    (blocks, 64)."""
    n_latents = screened.shape[0]
    for block in range(maxima.shape[0]):
        largest = maxima[block]
        largest[:] = np.float32(LOWEST)
        j = block * length
        end = min(n_latents, j + length)
        while j + 2 <= end:
            ahead = min(j + AHEAD, n_latents - 2)
            for row in range(ahead, ahead + 2):
                prefetch(screened[row, group], 0)
                prefetch(screened[row, group], WORD // 2)
            first, second = screened[j, group], screened[j + 1, group]
            bias, next_bias = latent_bias[j], latent_bias[j + 1]
            for lane in range(WORD):
                larger = max(widened(first[lane]) + bias, widened(second[lane]) + next_bias)
                largest[lane] = max(largest[lane], larger)
            j += 2
        if j < end:
            first, bias = screened[j, group], latent_bias[j]
            for lane in range(WORD):
                largest[lane] = max(largest[lane], widened(first[lane]) + bias)


@compiled
def lane_thresholds(maxima: Array, k: int, thresholds: Array) -> None:
    """For each lane a value that at least k, and usually at most 9/8 k, of its ``maxima`` (blocks, 64) reach.

    The bisection of ``topk.passing_threshold``; a lane that has its value waits, with equal bounds, for the others.
    """
    n_blocks = maxima.shape[0]
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    least, enough = np.float32(k), np.float32(k + (k >> 3))
    low, high = thresholds, np.empty(WORD, np.float32)
    middle, reaching = np.empty(WORD, np.float32), np.empty(WORD, np.float32)
    low[:] = maxima[0]
    high[:] = maxima[0]
    for block in range(1, n_blocks):
        largest = maxima[block]
        for lane in range(WORD):
            low[lane] = min(low[lane], largest[lane])
            high[lane] = max(high[lane], largest[lane])
    for _ in range(HALVINGS):
        for lane in range(WORD):
            middle[lane] = (low[lane] + high[lane]) * half
            reaching[lane] = zero
        block = 0
        while block + 4 <= n_blocks:
            m0, m1, m2, m3 = maxima[block], maxima[block + 1], maxima[block + 2], maxima[block + 3]
            for lane in range(WORD):
                t = middle[lane]
                pair = (one if m0[lane] >= t else zero) + (one if m1[lane] >= t else zero)
                other = (one if m2[lane] >= t else zero) + (one if m3[lane] >= t else zero)
                reaching[lane] += pair + other
            block += 4
        while block < n_blocks:
            m0 = maxima[block]
            for lane in range(WORD):
                reaching[lane] += one if m0[lane] >= middle[lane] else zero
            block += 1
        searching = zero
        for lane in range(WORD):
            passed = reaching[lane] >= least
            found = passed and reaching[lane] <= enough
            low[lane] = middle[lane] if passed else low[lane]
            high[lane] = middle[lane] if found or not passed else high[lane]
            searching += zero if low[lane] >= high[lane] else one
        if searching == zero:
            break


@compiled
def lane_gather(
    screened: Array,
    group: int,
    latent_bias: Array,
    thresholds: Array,
    latents: Array,
    masks: Array,
    counts: Array,
    values: Array,
    indices: Array,
) -> None:
    """Copy what reaches its lane's threshold into ``values``, ``indices`` (64, capacity), by rising index.

    ``counts`` (64,) says how many reach it, also beyond the capacity, from where on each is written over the one
    before. ``latents``, ``masks`` (n_latents + 1,) are scratch.
    """
    last = values.shape[1] - 1
    row = np.empty(WORD, np.float32)
    some = 0
    for j in range(screened.shape[0]):
        entries, bias = screened[j, group], latent_bias[j]
        for lane in range(WORD):
            row[lane] = widened(entries[lane]) + bias
        bits = reaching_each(row, thresholds)
        latents[some] = j
        masks[some] = bits
        some += bits != np.uint64(0)
    counts[:] = 0
    masks[some] = np.uint64(0)
    i = 0
    bits = masks[0]
    while i < some:  # one step an entry, with no other branch to mispredict
        owner = np.int64(_trailing_zeros(bits))
        latent, place = latents[i], min(int(counts[owner]), last)
        counts[owner] += 1
        values[owner, place] = widened(screened[latent, group, owner]) + latent_bias[latent]
        indices[owner, place] = latent
        bits &= bits - np.uint64(1)
        through = bits == np.uint64(0)
        i += through
        bits = masks[i] if through else bits
