"""Numbers and their bits in kernels: bfloat16 is the upper half of float32."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from sae.compiled.jit import compiled


def _number_of(typing_context: Any, bits: Any) -> Any:
    """What numba writes for ``number_of`` below."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


number_of: Any = intrinsic(_number_of)
"""``number_of(bits)`` in a kernel: the float32 number with these uint32 bits."""


def _bits_of(typing_context: Any, number: Any) -> Any:
    """What numba writes for ``bits_of`` below."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


bits_of: Any = intrinsic(_bits_of)
"""``bits_of(number)`` in a kernel: the uint32 bits of a float32 number."""


@compiled
def rounded_bits(bits: Any) -> Any:
    """Bits of the bfloat16 number nearest to the float32 number with ``bits``; ties to even."""
    upper = np.uint32(16)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> upper) & np.uint32(1))) >> upper)


@compiled
def widened(bits: Any) -> Any:
    """The float32 number that is the bfloat16 number with ``bits``."""
    return number_of(np.uint32(bits) << np.uint32(16))
