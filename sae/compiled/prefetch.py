"""A request to a core's cache, for kernels that know early which far part of memory they will read."""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """What numba writes for ``prefetch`` below."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        place = builder.bitcast(builder.gep(held.data, [arguments[1]]), byte)
        builder.call(function, [place, number(0), number(3), number(1)])  # read, keep in every cache, data
        return context.get_dummy_value()

    return types.none(array, types.intp), generate


prefetch: Any = intrinsic(_prefetch)
"""``prefetch(array, index)`` in a kernel starts to load the 64 bytes that hold ``array[index]``, without waiting for
them. A place outside of the array is no error."""
