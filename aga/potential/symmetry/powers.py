"""Powers with any exponent, for whole vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from aga.potential.lanes import Vector, floor, inlined, maximum, splat

__all__ = ["power"]

_ROOT_HALF = int(np.float64(math.sqrt(0.5)).view(np.int64))
_LOG = np.array([[2.0 / ((2 * n + 1) * math.log(2.0)) for n in range(12)]])
"""log2 m = s Σ c_n s^2n with s = (m − 1)/(m + 1); the next term is below 1e−18."""
_EXP = np.array([[math.log(2.0) ** n / math.factorial(n) for n in range(15)]])
"""2^f by power of f; the next term is below 1e−18."""


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def _parts(_: Any, a: Any) -> Any:  # noqa: ANN401 - numba's form
    """Give e and m of a = m 2^e, √½ ≤ m < √2, for positive normal numbers."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
        longs = ir.VectorType(ir.IntType(64), a.width)

        def many(value: int) -> Any:  # noqa: ANN401 - llvmlite is untyped
            return ir.Constant(longs, [value] * a.width)

        bits = builder.bitcast(args[0], longs)
        above = builder.sub(bits, many(_ROOT_HALF))
        exponent = builder.sitofp(builder.ashr(above, many(52)), args[0].type)
        mantissa = builder.sub(bits, builder.and_(above, many(-(1 << 52))))
        both = [exponent, builder.bitcast(mantissa, args[0].type)]
        return context.make_tuple(builder, signature.return_type, both)

    return types.UniTuple(a, 2)(a), code


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def _scaled(_: Any, a: Any, k: Any) -> Any:  # noqa: ANN401 - numba's form
    """Give a 2^k for whole numbers k; the result must be a normal number."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
        longs = ir.VectorType(ir.IntType(64), a.width)
        steps = builder.shl(builder.fptosi(args[1], longs), ir.Constant(longs, [52] * a.width))
        bits = builder.add(builder.bitcast(args[0], longs), steps)
        return builder.bitcast(bits, args[0].type)

    return a(a, k), code


@inlined
def power(base: Vector, exponent: float) -> Vector:
    """Give base^exponent for an exponent from 0 to 1, to 1e−14; a base is at least 1e−300."""
    e, m = _parts(maximum(base, 1e-300))
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    log = splat(s, _LOG[0, 11])
    for n in range(10, -1, -1):
        log = log * square + _LOG[0, n]
    y = exponent * (e + s * log)
    k = floor(y + 0.5)
    f = y - k
    result = splat(f, _EXP[0, 14])
    for n in range(13, -1, -1):
        result = result * f + _EXP[0, n]
    return _scaled(result, k)
