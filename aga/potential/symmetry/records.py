"""Lists of pairs made eight at a time, and records of eight doubles read and added to likewise.

What belongs to one neighbour lies in one cache line, a row of a C-ordered matrix. Eight rows
wherever they are become eight vectors, one per field, by a transposition in registers, which is
several times cheaper than gathering each field. Compiled functions only; no checks of bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from aga.potential.lanes import Lanes, spread_value

__all__ = ["PLACES", "add8", "append8", "put8", "take8"]

PLACES = np.array(
    [
        sum(lane << 8 * n for n, lane in enumerate(lane for lane in range(8) if bits >> lane & 1))
        for bits in range(256)
    ],
    dtype=np.uint64,
)
"""(256,) the set bits of a byte, in order, one per byte."""

_VECTOR = ir.VectorType(ir.DoubleType(), 8)
_EIGHT = types.UniTuple(Lanes(8), 8)


def _transposed(builder: Any, vectors: list[Any]) -> list[Any]:  # noqa: ANN401 - llvmlite is untyped
    """Transpose eight vectors: swap ever larger blocks off the diagonal."""
    vectors = list(vectors)
    for s in (1, 2, 4):
        low = [8 + lane - s if lane & s else lane for lane in range(8)]
        high = [8 + lane if lane & s else lane + s for lane in range(8)]
        for i in range(8):
            if not i & s:
                a, b = vectors[i], vectors[i + s]
                vectors[i], vectors[i + s] = (
                    builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), 8), m))
                    for m in (low, high)
                )
    return vectors


class _Table:
    """Addresses in a matrix."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:  # noqa: ANN401 - numba is untyped
        self.builder = builder
        array = context.make_array(kind)(context, builder, value)
        self.data, self.columns = array.data, builder.extract_value(array.shape, 1)

    def at(self, row: Any, field: Any) -> Any:  # noqa: ANN401 - llvmlite is untyped
        place = self.builder.add(self.builder.mul(row, self.columns), field)
        return self.builder.bitcast(self.builder.gep(self.data, [place]), _VECTOR.as_pointer())


def _rows(context: Any, builder: Any, kind: Any, index: Any, n: Any) -> list[Any]:  # noqa: ANN401 - numba is untyped
    """Read eight row numbers from ``index[n:n + 8]``."""
    array = context.make_array(kind)(context, builder, index)
    places = [builder.add(n, ir.Constant(n.type, lane)) for lane in range(8)]
    found = [builder.load(builder.gep(array.data, [place])) for place in places]
    return [builder.sext(one, n.type) if one.type != n.type else one for one in found]


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def append8(
    _: Any,  # noqa: ANN401 - numba's form
    first: Any,  # noqa: ANN401 - numba's form
    second: Any,  # noqa: ANN401 - numba's form
    where: Any,  # noqa: ANN401, ARG001 - numba's form
    values: Any,  # noqa: ANN401 - numba's form
    limit: Any,  # noqa: ANN401, ARG001 - numba's form
    places: Any,  # noqa: ANN401 - numba's form
) -> Any:  # noqa: ANN401 - numba's form
    """Append (own, k + lane) to two lists for each lane whose value is below a limit.

    ``where`` is (found, own, k, skip): the length so far, which is returned anew, and the number
    of lanes at the start that do not count. ``places`` is :data:`PLACES`, the lists are int32.
    Eight places are written whatever their number.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
        byte, long = ir.IntType(8), ir.IntType(64)
        eight = ir.VectorType(ir.IntType(32), 8)
        found, own, k, skip = (builder.extract_value(args[2], i) for i in range(4))
        below = builder.fcmp_ordered("<", args[3], spread_value(builder, 8, args[4]))
        counted = builder.shl(ir.Constant(byte, 255), builder.trunc(skip, byte))
        bits = builder.zext(builder.and_(builder.bitcast(below, byte), counted), long)
        table = context.make_array(signature.args[5])(context, builder, args[5])
        lanes = builder.load(builder.gep(table.data, [bits]))
        lanes = builder.zext(builder.bitcast(lanes, ir.VectorType(byte, 8)), eight)
        columns = [spread_value(builder, 8, builder.trunc(one, ir.IntType(32))) for one in (own, k)]
        for kind, array, value in (
            (signature.args[0], args[0], columns[0]),
            (signature.args[1], args[1], builder.add(lanes, columns[1])),
        ):
            data = context.make_array(kind)(context, builder, array).data
            pointer = builder.bitcast(builder.gep(data, [found]), eight.as_pointer())
            builder.store(value, pointer, align=4)
        return builder.add(found, builder.ctpop(bits))

    four = types.UniTuple(types.intp, 4)
    return types.intp(first, second, four, values, types.float64, places), code


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def take8(_: Any, table: Any, index: Any, n: Any, field: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
    """Give eight vectors, the fields from ``field`` on of the rows ``index[n:n + 8]``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
        records = _Table(context, builder, signature.args[0], args[0])
        rows = _rows(context, builder, signature.args[1], args[1], args[2])
        loaded = [builder.load(records.at(row, args[3]), align=8) for row in rows]
        return context.make_tuple(builder, _EIGHT, _transposed(builder, loaded))

    return _EIGHT(table, index, types.intp, types.intp), code


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def add8(_: Any, table: Any, bases: Any, index: Any, place: Any, values: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
    """Add eight vectors to the fields from ``place[1]`` on of the rows ``index[n:n + 8]``.

    ``place`` is (n, field). Even lanes go to row ``bases[0] + index``, odd ones to
    ``bases[1] + index``: two copies halve the wait where neighbouring lanes have the same row.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
        records = _Table(context, builder, signature.args[0], args[0])
        n, field = (builder.extract_value(args[3], i) for i in range(2))
        rows = _rows(context, builder, signature.args[2], args[2], n)
        vectors = [builder.extract_value(args[4], i) for i in range(8)]
        for lane, vector in enumerate(_transposed(builder, vectors)):
            base = builder.extract_value(args[1], lane % 2)
            pointer = records.at(builder.add(base, rows[lane]), field)
            old = builder.load(pointer, align=8)
            builder.store(builder.fadd(old, vector), pointer, align=8)
        return context.get_dummy_value()

    two = types.UniTuple(types.intp, 2)
    return types.void(table, two, index, two, _EIGHT), code


@intrinsic  # type: ignore[untyped-decorator] # numba is untyped
def put8(_: Any, table: Any, row: Any, field: Any, values: Any) -> Any:  # noqa: ANN401, ARG001 - numba's form
    """Write eight vectors to the fields from ``field`` on of the rows ``row`` to ``row + 7``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401 - numba's form
        records = _Table(context, builder, signature.args[0], args[0])
        vectors = [builder.extract_value(args[3], i) for i in range(8)]
        for lane, vector in enumerate(_transposed(builder, vectors)):
            own = builder.add(args[1], ir.Constant(args[1].type, lane))
            builder.store(vector, records.at(own, args[2]), align=8)
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp, _EIGHT), code
