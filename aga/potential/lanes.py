"""Vectors of doubles as values inside compiled functions: explicit data parallelism.

The compiler's own vectoriser gives up on loops that write several arrays, or leaves a scalar
remainder; with these values the loop over neighbours is written in steps of a whole vector. A
vector of 8 is one AVX-512 register, of 32 four of them: four independent chains of arithmetic,
enough to hide the latency of a polynomial. On other processors LLVM splits them as needed.

``load8(array, row, k)`` and ``load32`` read ``array[row, k:k + width]`` of a C-ordered matrix
without any check of bounds, ``store`` writes. ``+ − * /`` work between vectors and with floats;
a product and a sum may be contracted to one fused multiply-add.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_jitable, register_model

from aga.potential.jit import compiled
from aga.structure.candidate import FloatArray

__all__ = [
    "Lanes",
    "Vector",
    "aligned",
    "floor",
    "load8",
    "load32",
    "maximum",
    "root",
    "splat",
    "store",
    "total",
]

Vector = Any
"""What a vector is to the type checker; numba knows better."""

_DOUBLE = ir.DoubleType()

F = TypeVar("F", bound=Callable[..., object])


def inlined(function: F) -> F:
    """Compile a function of vectors as part of its callers.

    Not on disk by itself: what is stored there must not depend on the type of vectors.
    """
    return cast("F", register_jitable(error_model="numpy")(function))


class Lanes(types.Type):  # type: ignore[misc] # numba is untyped
    """The type of a vector of doubles."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"lanes{width}")


@register_model(Lanes)
class _Model(models.PrimitiveModel):  # type: ignore[misc] # numba is untyped
    def __init__(self, manager: Any, lanes: Lanes) -> None:  # noqa: ANN401 - numba is untyped
        super().__init__(manager, lanes, ir.VectorType(_DOUBLE, lanes.width))


def spread_value(builder: Any, width: int, value: Any) -> Any:  # noqa: ANN401 - llvmlite is untyped
    """Repeat a value of LLVM in all lanes of a vector."""
    index = ir.IntType(32)
    blank = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    first = builder.insert_element(blank, value, ir.Constant(index, 0))
    places = ir.Constant(ir.VectorType(index, width), [0] * width)
    return builder.shuffle_vector(first, blank, places)


def _address(context: Any, builder: Any, signature: Any, args: Any, width: int) -> Any:  # noqa: ANN401 - llvmlite is untyped
    array = context.make_array(signature.args[0])(context, builder, args[0])
    columns = builder.extract_value(array.shape, 1)
    place = builder.add(builder.mul(args[1], columns), args[2])
    pointer = builder.gep(array.data, [place])
    return builder.bitcast(pointer, ir.VectorType(_DOUBLE, width).as_pointer())


def _loader(width: int) -> Any:  # noqa: ANN401 - numba is untyped
    def load(_: Any, array: Any, row: Any, k: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
            return builder.load(_address(context, builder, signature, args, width), align=8)

        return Lanes(width)(array, types.intp, types.intp), code

    return intrinsic(load)


load8 = _loader(8)
load32 = _loader(32)


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def store(_: Any, array: Any, row: Any, k: Any, value: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
    """Write a vector to ``array[row, k:k + width]``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
        pointer = _address(context, builder, signature, args, value.width)
        builder.store(args[3], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), code


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def splat(_: Any, like: Any, value: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
    """Give a vector as wide as ``like`` with one value in every lane."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
        return spread_value(builder, like.width, args[1])

    return like(like, types.float64), code


def _binary(name: str, *symbols: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba is untyped
    def apply(_: Any, a: Any, b: Any) -> Any:  # noqa: ANN401 - numba's form
        lanes = a if isinstance(a, Lanes) else b
        given = [t if isinstance(t, Lanes) else types.float64 for t in (a, b)]

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
            whole = [
                arg if isinstance(t, Lanes) else spread_value(builder, lanes.width, arg)
                for arg, t in zip(args, given, strict=True)
            ]
            if name == "max":
                return builder.select(builder.fcmp_ordered(">", *whole), *whole)
            return getattr(builder, name)(*whole, flags=("contract",))

        return lanes(*given), code

    call = intrinsic(apply)

    def choose(a: Any, b: Any) -> Any:  # noqa: ANN401 - numba's form
        if isinstance(a, Lanes) or isinstance(b, Lanes):
            return lambda a, b: call(a, b)  # noqa: PLW0108 - numba compiles a function
        return None

    for symbol in symbols:
        overload(symbol, strict=False)(choose)  # strict would compare annotations too
    return call


_binary("fadd", operator.add, operator.iadd)
_binary("fsub", operator.sub, operator.isub)
_binary("fmul", operator.mul, operator.imul)
_binary("fdiv", operator.truediv)


def maximum(a: Vector, b: Vector) -> Vector:
    """Give the larger one of each lane."""
    raise NotImplementedError("only inside compiled functions")


_binary("max", maximum)


def _unary(name: str, *, reduce: bool) -> Any:  # noqa: ANN401 - numba is untyped
    def apply(_: Any, a: Any) -> Any:  # noqa: ANN401 - numba's form
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
            vector = ir.VectorType(_DOUBLE, a.width)
            given = [_DOUBLE, vector] if reduce else [vector]
            kind = ir.FunctionType(_DOUBLE if reduce else vector, given)
            function = cgutils.get_or_insert_function(
                builder.module, kind, f"llvm.{name}.v{a.width}f64"
            )
            start = [ir.Constant(_DOUBLE, 0.0)] if reduce else []
            flags = ("reassoc",) if reduce else ()
            return builder.call(function, [*start, *args], fastmath=flags)

        return (types.float64 if reduce else a)(a), code

    return intrinsic(apply)


floor = _unary("floor", reduce=False)
root = _unary("sqrt", reduce=False)
total = _unary("vector.reduce.fadd", reduce=True)


@compiled
def aligned(rows: int, columns: int) -> FloatArray:
    """Allocate a matrix whose rows begin at a cache line; columns are a multiple of 8."""
    room = np.empty(rows * columns + 8)
    begin = (-(room.ctypes.data // 8)) % 8
    return room[begin : begin + rows * columns].reshape((rows, columns))
