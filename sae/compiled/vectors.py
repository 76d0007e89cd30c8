"""Comparison of many numbers at once, for kernels: the compiler does not find it by itself."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.cpython.unsafe import numbers
from numba.extending import intrinsic

from sae.compiled.jit import compiled

Array = np.ndarray[Any, Any]

_trailing_zeros: Any = numbers.trailing_zeros
WORD = 64
"""Numbers compared at once; as many bits has what tells of them."""


@compiled
def padded(size: int) -> int:
    """``size`` filled up to whole words."""
    return -(-size // WORD) * WORD


def _reaching(typing_context: Any, numbers: Any, start: Any, threshold: Any) -> Any:
    """What numba writes for ``reaching`` below."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        number = context.get_value_type(signature.args[2])
        vector = ir.VectorType(number, WORD)
        place = builder.bitcast(builder.gep(held.data, [arguments[1]]), vector.as_pointer())
        found = builder.load(place, align=signature.args[0].dtype.bitwidth // 8)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[2], ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), WORD), None)
        bits = builder.fcmp_ordered(">=", found, builder.shuffle_vector(one, one, lanes))
        return builder.bitcast(bits, ir.IntType(WORD))

    return types.uint64(numbers, types.intp, numbers.dtype), generate


reaching: Any = intrinsic(_reaching)
"""``reaching(numbers, start, threshold)`` in a kernel: bit i of the result says whether ``numbers[start + i]``, which
must be there, is at least ``threshold``."""


def _ones(typing_context: Any, bits: Any) -> Any:
    """What numba writes for ``ones`` below."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


ones: Any = intrinsic(_ones)
"""``ones(bits)`` in a kernel: how many bits of a uint64 are 1."""


@compiled
def count_reaching(row: Array, size: int, threshold: Any) -> Any:
    """How many of ``row[:size]``, whole words, reach ``threshold``."""
    count = np.uint64(0)
    for start in range(0, size, WORD):
        count += ones(reaching(row, start, threshold))
    return np.int64(count)


@compiled
def gather_reaching(row: Array, threshold: Any, values: Array, indices: Array) -> int:
    """Copy the entries of ``row``, whole words, that reach ``threshold``, with their indices; returns how many."""
    count = 0
    for start in range(0, len(row), WORD):
        bits = reaching(row, start, threshold)
        while bits != np.uint64(0):
            j = start + np.int64(_trailing_zeros(bits))
            values[count] = row[j]
            indices[count] = j
            count += 1
            bits &= bits - np.uint64(1)
    return count
