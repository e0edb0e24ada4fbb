"""Directional derivatives of the triplet functions, and the dense Jacobian of small cells."""

from __future__ import annotations

from typing import NamedTuple

from aga.potential.jit import compiled
from aga.potential.lanes import aligned, load8, load32, splat, store, total
from aga.potential.neighbours import PairArrays
from aga.potential.symmetry.records import take8
from aga.potential.symmetry.triplet_block import Hood, Tile, fill, make_hood, make_tile, pack
from aga.potential.symmetry.triplet_factors import factors_and_slopes, terms_and_slopes
from aga.potential.symmetry.triplet_plan import TripletPlan
from aga.potential.symmetry.triplet_pull import begin_pull, contract, gradients, make_pull, spread
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["jacobian", "jvp"]


class _Change(NamedTuple):
    """How one atom's neighbours move, and what that does to a tile."""

    record: FloatArray
    """(W, 8 n) dx, dy, dz, v·dv, v·dv/R², and d ln g of each weight."""
    angle: FloatArray
    """(2, L) change of cos θ and of R_jk²."""
    omega: FloatArray
    """(8 n − 5, L) d ln (g(R_ij) g(R_ik))."""


@compiled
def jvp(
    plan: TripletPlan, pairs: PairArrays, atoms: IntArray, steps: FloatArray, dG: FloatArray
) -> None:
    """Write the change of the plan's columns of G for a change ``steps`` (P, 3) of the vectors.

    ``dG`` is (N, D); ``atoms`` are central atoms, all of the plan's element.
    """
    if len(atoms) == 0:
        return
    hood = make_hood(plan, pairs.starts, atoms)
    tile = make_tile(plan, hood)
    weights, columns = tile.omega.shape
    change = _Change(
        aligned(len(hood.pair), weights + 5), aligned(2, columns), aligned(weights, columns)
    )
    for i in atoms:
        for f in range(len(plan.column)):
            dG[i, plan.column[f]] = 0.0
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        _move(hood, change.record, steps)
        for q in range(len(plan.pairs)):
            j = 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors_and_slopes(plan, tile, q)
                terms_and_slopes(plan, tile, q)
                _change_angles(tile, change)
                _collect_change(plan, tile, change, q, dG[i])


@compiled
def _move(hood: Hood, record: FloatArray, steps: FloatArray) -> None:
    for k in range(hood.starts[-1]):
        p, along = hood.pair[k], 0.0
        for a in range(3):
            record[k, a] = steps[p, a] if p >= 0 else 0.0
            along += record[k, a] * hood.geometry[a, k]
        record[k, 3], record[k, 4] = along, along / hood.geometry[3, k]
        for h in range(len(hood.rate)):
            record[k, 5 + h] = hood.rate[h, k] * along


@compiled
def _change_angles(tile: Tile, change: _Change) -> None:
    angle, record, omega = tile.angle, change.record, change.omega
    for n in range(0, 32 * ((tile.used[0] + 31) // 32), 8):
        a, b = take8(record, tile.first, n, 0), take8(record, tile.second, n, 0)
        dot = a[0] * load8(angle, 6, n) + a[1] * load8(angle, 7, n) + a[2] * load8(angle, 8, n)
        dot = dot + b[0] * load8(angle, 3, n) + b[1] * load8(angle, 4, n)
        dot = dot + b[2] * load8(angle, 5, n)
        turn = dot * load8(angle, 2, n) - (a[4] + b[4]) * load8(angle, 1, n)
        store(change.angle, 0, n, turn)
        store(change.angle, 1, n, 2.0 * (a[3] + b[3] - dot))
        store(omega, 0, n, a[5] + b[5])
        store(omega, 1, n, a[6] + b[6])
        store(omega, 2, n, a[7] + b[7])
        for h in range(3, len(omega), 8):
            a, b = take8(record, tile.first, n, h + 5), take8(record, tile.second, n, h + 5)
            store(omega, h, n, a[0] + b[0])
            store(omega, h + 1, n, a[1] + b[1])
            store(omega, h + 2, n, a[2] + b[2])
            store(omega, h + 3, n, a[3] + b[3])
            store(omega, h + 4, n, a[4] + b[4])
            store(omega, h + 5, n, a[5] + b[5])
            store(omega, h + 6, n, a[6] + b[6])
            store(omega, h + 7, n, a[7] + b[7])


@compiled
def _collect_change(plan: TripletPlan, tile: Tile, change: _Change, q: int, dG: FloatArray) -> None:
    for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
        row, h = g - plan.pair_groups[q], plan.group_weight[g]
        for k in range(0, tile.used[0], 32):
            omega, factor = load32(tile.omega, h, k), load32(tile.h, row, k)
            stretch = load32(tile.dh, row, k) * load32(change.angle, 1, k)
            store(tile.cut, 0, k, omega * (factor * load32(change.omega, h, k) + stretch))
            store(tile.cut, 1, k, omega * factor * load32(change.angle, 0, k))
        for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
            result, term = splat(load32(tile.cut, 0, 0), 0.0), plan.term[f]
            for k in range(0, tile.used[0], 32):
                result = result + load32(tile.cut, 0, k) * load32(tile.p, term, k)
                result = result + load32(tile.cut, 1, k) * load32(tile.dp, term, k)
            dG[plan.column[f]] += plan.factor[f] * total(result)


@compiled
def jacobian(
    plan: TripletPlan, pairs: PairArrays, atoms: IntArray, begin: int, out: FloatArray
) -> None:
    """Add dG/d(R, ε) of the structure whose atoms begin at ``begin`` to ``out`` (n, D, 3n + 6).

    ``atoms`` are those of its atoms that are of the plan's element, counted in the batch. The
    columns of ``out`` are those of :func:`aga.potential.symmetry.tangents.jacobian`.
    """
    if len(atoms) == 0:
        return
    hood = make_hood(plan, pairs.starts, atoms)
    tile = make_tile(plan, hood)
    pull = make_pull(plan, len(plan.column), hood)
    for f in range(len(plan.column)):
        pull.amounts[f, f] = 1.0
    begin_pull(plan, pull)
    for i in atoms:
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        for q in range(len(plan.pairs)):
            j = 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors_and_slopes(plan, tile, q)
                if plan.pair_direct[q]:
                    terms_and_slopes(plan, tile, q)
                for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
                    for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
                        contract(plan, tile, pull, (q, f), (g, g + 1))
                        spread(tile, pull, f)
        for f in range(len(plan.column)):
            gradients(hood, pull, f)
            _gather(pull.forces, hood, pairs, (i, begin), out[i - begin, plan.column[f]])


@compiled
def _gather(
    forces: FloatArray, hood: Hood, pairs: PairArrays, which: tuple[int, int], row: FloatArray
) -> None:
    i, begin = which
    strain, near = 3 * ((len(row) - 6) // 3), hood.geometry
    for k in range(hood.starts[-1]):
        if hood.pair[k] < 0:
            continue
        second = pairs.second[hood.pair[k]] - begin
        x, y, z = forces[0, k], forces[1, k], forces[2, k]
        for a in range(3):
            f = forces[a, k]
            row[3 * (i - begin) + a] -= f
            row[3 * second + a] += f
            row[strain + a] += f * near[a, k]
        row[strain + 3] += 0.5 * (y * near[2, k] + z * near[1, k])
        row[strain + 4] += 0.5 * (x * near[2, k] + z * near[0, k])
        row[strain + 5] += 0.5 * (x * near[1, k] + y * near[0, k])
