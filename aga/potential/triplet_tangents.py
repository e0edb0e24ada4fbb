"""Directional derivatives of the triplet functions, and the dense Jacobian of small cells."""

from __future__ import annotations

from typing import NamedTuple

from aga.potential.jit import compiled
from aga.potential.lanes import aligned, load8, load32, splat, store, total
from aga.potential.neighbours import PairArrays
from aga.potential.triplet_block import (
    Hood,
    Tile,
    factors,
    fill,
    make_hood,
    make_tile,
    pack,
    terms,
)
from aga.potential.triplet_plan import TripletPlan
from aga.potential.triplets import begin_pull, contract, gradients, make_pull, rows
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["jacobian", "jvp"]


class _Change(NamedTuple):
    """How one atom's neighbours move; W columns."""

    step: FloatArray
    """(5, W) dx, dy, dz, v·dv, v·dv/R²."""
    dw: FloatArray
    """(H, W) change of the weights."""


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
    width = hood.w.shape[1]
    tile = make_tile(plan, width)
    change = _Change(aligned(5, width), aligned(len(plan.eta), width))
    for i in atoms:
        for f in range(len(plan.column)):
            dG[i, plan.column[f]] = 0.0
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        _move(hood, change, steps)
        for q in range(len(plan.pairs)):
            j = 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors(plan, tile, q)
                terms(plan, tile, q)
                _angle_change(hood, change, tile)
                _omega_change(plan, hood, change, tile, q)
                _collect_change(plan, tile, q, dG, i)


@compiled
def _move(hood: Hood, change: _Change, steps: FloatArray) -> None:
    step = change.step
    for k in range(hood.starts[-1]):
        p, along = hood.pair[k], 0.0
        for a in range(3):
            step[a, k] = steps[p, a] if p >= 0 else 0.0
            along += step[a, k] * hood.geometry[a, k]
        step[3, k], step[4, k] = along, along / hood.geometry[3, k]
        for h in range(len(change.dw)):
            change.dw[h, k] = hood.slope[h, k] * along


@compiled
def _angle_change(hood: Hood, change: _Change, tile: Tile) -> None:
    """Write the changes of cos θ and of R_jk² to the rows of ``tile.bar``."""
    near, step, bar = hood.geometry, change.step, tile.bar
    for row in range(tile.used[1]):
        j, begin, place, length, _ = tile.rows[:, row]
        for k in range(0, length, 8):
            dot = splat(load8(near, 0, 0), 0.0)
            for a in range(3):
                dot = dot + near[a, j] * load8(step, a, begin + k)
                dot = dot + step[a, j] * load8(near, a, begin + k)
            shrink = load8(step, 4, begin + k) + step[4, j]
            dc = dot * load8(tile.angle, 2, place + k) - shrink * load8(tile.angle, 1, place + k)
            store(bar, 0, place + k, dc)
            store(bar, 1, place + k, 2.0 * (load8(step, 3, begin + k) + step[3, j] - dot))
    zero = splat(load8(near, 0, 0), 0.0)
    for k in range(tile.used[0], 32 * ((tile.used[0] + 31) // 32), 8):
        store(bar, 0, k, zero)
        store(bar, 1, k, zero)
        for g in range(len(tile.q)):
            store(tile.q, g, k, zero)


@compiled
def _omega_change(plan: TripletPlan, hood: Hood, change: _Change, tile: Tile, q: int) -> None:
    """Write the change of g(R_ij) g(R_ik) to ``tile.q``."""
    w, dw, begin = hood.w, change.dw, plan.pair_groups[q]
    for g in range(plan.pair_groups[q + 1] - begin):
        h = plan.group_weight[begin + g]
        for row in range(tile.used[1]):
            j, first, place, length, skip = tile.rows[:, row]
            for k in range(0, length, 8):
                d = w[h, j] * load8(dw, h, first + k) + dw[h, j] * load8(w, h, first + k)
                if k == 0:
                    d = d * load8(tile.mask, 0, 8 - skip)
                store(tile.q, g, place + k, d)


@compiled
def _collect_change(plan: TripletPlan, tile: Tile, q: int, dG: FloatArray, i: int) -> None:
    for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
        row = g - plan.pair_groups[q]
        for k in range(0, tile.used[0], 32):
            omega, h = load32(tile.omega, row, k), load32(tile.h, row, k)
            turn, stretch = load32(tile.bar, 0, k), load32(tile.bar, 1, k)
            weight = load32(tile.q, row, k) * h + omega * load32(tile.dh, row, k) * stretch
            store(tile.cut, 0, k, weight)
            store(tile.cut, 1, k, omega * h * turn)
        for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
            change, term = splat(load32(tile.cut, 0, 0), 0.0), plan.term[f]
            for k in range(0, tile.used[0], 32):
                change = change + load32(tile.cut, 0, k) * load32(tile.p, term, k)
                change = change + load32(tile.cut, 1, k) * load32(tile.dp, term, k)
            dG[i, plan.column[f]] += plan.factor[f] * total(change)


@compiled
def jacobian(
    plan: TripletPlan, pairs: PairArrays, atoms: IntArray, begin: int, out: FloatArray
) -> None:
    """Add dG/d(R, ε) of the structure whose atoms begin at ``begin`` to ``out`` (n, D, 3n + 6).

    ``atoms`` are those of its atoms that are of the plan's element, counted in the batch. The
    columns of ``out`` are those of :func:`aga.potential.tangents.jacobian`.
    """
    if len(atoms) == 0:
        return
    hood = make_hood(plan, pairs.starts, atoms)
    tile = make_tile(plan, hood.w.shape[1])
    pull = make_pull(plan, len(plan.column), hood.w.shape[1])
    for f in range(len(plan.column)):
        pull.amounts[f, f] = plan.factor[f]
    begin_pull(plan, pull)
    for i in atoms:
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        pull.sums[:], pull.own[:] = 0.0, 0.0
        for q in range(len(plan.pairs)):
            j = 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors(plan, tile, q)
                terms(plan, tile, q)
                for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
                    for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
                        contract(plan, tile, pull, (q, f), (g, g + 1))
                        rows(plan, hood, tile, pull, (q, f), (g, g + 1))
        for f in range(len(plan.column)):
            gradients(plan, hood, pull, f)
            base = f * (5 + len(plan.eta))
            _gather(pull.sums, base, hood, pairs, (i, begin), out[i - begin, plan.column[f]])


@compiled
def _gather(
    sums: FloatArray,
    base: int,
    hood: Hood,
    pairs: PairArrays,
    which: tuple[int, int],
    row: FloatArray,
) -> None:
    i, begin = which
    strain, near = 3 * ((len(row) - 6) // 3), hood.geometry
    for k in range(hood.starts[-1]):
        if hood.pair[k] < 0:
            continue
        second = pairs.second[hood.pair[k]] - begin
        x, y, z = sums[base, k], sums[base + 1, k], sums[base + 2, k]
        for a in range(3):
            f = sums[base + a, k]
            row[3 * (i - begin) + a] -= f
            row[3 * second + a] += f
            row[strain + a] += f * near[a, k]
        row[strain + 3] += 0.5 * (y * near[2, k] + z * near[1, k])
        row[strain + 4] += 0.5 * (x * near[2, k] + z * near[0, k])
        row[strain + 5] += 0.5 * (x * near[1, k] + y * near[0, k])
