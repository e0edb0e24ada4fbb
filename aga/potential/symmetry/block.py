"""One atom's neighbours, laid out so that the kernels run along them as vectors.

Neighbours of one element lie together, in rows that are padded to whole vector registers: the
lanes beyond the last one hold a neighbour in no direction and beyond every cutoff, which adds
nothing to any sum. Functions on the way index rows of whole arrays instead of taking views:
counting references to views took most of the time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from aga.potential.elementary import cutoff_row, gaussians
from aga.potential.jit import compiled, vectorised
from aga.potential.symmetry.monomials import fill_monomials
from aga.potential.symmetry.plan import QUARTIC, Plan
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Block", "block_width", "fill_block", "make_block"]

LANES = 8
"""The neighbours of each element are padded to a multiple of this."""


class Block(NamedTuple):
    """Work space; W is the largest padded number of neighbours."""

    ends: IntArray
    """(E + 1,) the neighbours of element s are in the lanes ``ends[s]:ends[s + 1]``."""
    unit: FloatArray
    """(3, W) direction to each neighbour."""
    r: FloatArray
    """(W,) distance in Å."""
    cut: FloatArray
    """(C, 2, W) cutoff functions and their slopes."""
    e: FloatArray
    """(R, W) exp(−η (r − R_s)²) of the radial functions."""
    w: FloatArray
    """(H, W) exp(−η (r − R_s)²) f_c(r) of each angular channel."""
    slope: FloatArray
    """(H, W) dw/dr."""
    m: FloatArray
    """(K, W) monomials of the direction; none up to degree 4, which is written out."""
    out: FloatArray
    """(4, W) adjoint of the direction (three rows) and of the distance."""
    D: FloatArray
    """(3, K) coefficients of the gradient of a polynomial of the direction."""


@compiled
def block_width(starts: IntArray, atoms: IntArray) -> int:
    """Give the largest padded number of neighbours of these atoms."""
    most, elements = 0, starts.shape[1] - 1
    for i in atoms:
        most = max(most, starts[i, elements] - starts[i, 0])
    width: int = most + elements * LANES
    return width


@compiled
def make_block(plan: Plan, elements: int, width: int) -> Block:
    """Allocate the work space for up to ``width`` lanes."""
    channels = len(plan.channels)
    monomials = len(plan.weights) if plan.degree > QUARTIC else 0
    return Block(
        np.zeros(elements + 1, dtype=np.int64),
        np.empty((3, width)),
        np.empty(width),
        np.empty((len(plan.cutoffs), 2, width)),
        np.empty((len(plan.gaussians), width)),
        np.empty((channels, width)),
        np.empty((channels, width)),
        np.empty((monomials, width)),
        np.empty((4, width)),
        np.empty((3, len(plan.weights))),
    )


@compiled
def fill_block(plan: Plan, block: Block, vectors: FloatArray, starts: IntArray, i: int) -> None:
    """Fill a block with the neighbours of atom i."""
    _directions(block.unit, block.ends, vectors, starts, i)
    n = block.ends[-1]
    _lengths(block.unit, block.r, n, 2.0 * plan.cutoffs[-1])
    for c in range(len(plan.cutoffs)):
        cutoff_row(block.cut, c, block.r, n, (plan.form, plan.inner, plan.cutoffs[c]))
    gaussians(block.e, block.r, n, plan.gaussians)
    gaussians(block.w, block.r, n, plan.channels)
    _weigh(plan.channels, plan.channel_cutoff, block, n)
    if plan.degree > QUARTIC:
        fill_monomials(block.m, block.unit, plan.powers, plan.lower, n)


@compiled
def _directions(
    unit: FloatArray, ends: IntArray, vectors: FloatArray, starts: IntArray, i: int
) -> None:
    """Write the vectors to the lanes, zeros between."""
    lane = 0
    for s in range(len(ends) - 1):
        start, count = starts[i, s], starts[i, s + 1] - starts[i, s]
        for j in range(count):
            unit[0, lane + j] = vectors[start + j, 0]
            unit[1, lane + j] = vectors[start + j, 1]
            unit[2, lane + j] = vectors[start + j, 2]
        padded = (count + LANES - 1) // LANES * LANES
        for j in range(lane + count, lane + padded):
            unit[0, j] = unit[1, j] = unit[2, j] = 0.0
        lane += padded
        ends[s + 1] = lane


@vectorised
def _lengths(unit: FloatArray, r: FloatArray, n: int, beyond: float) -> None:
    for j in range(n):
        square = unit[0, j] * unit[0, j] + unit[1, j] * unit[1, j] + unit[2, j] * unit[2, j]
        length = math.sqrt(square) if square > 0.0 else beyond
        inverse = 1.0 / length
        r[j] = length
        unit[0, j] *= inverse
        unit[1, j] *= inverse
        unit[2, j] *= inverse


@vectorised
def _weigh(channels: FloatArray, places: IntArray, block: Block, n: int) -> None:
    w, slope, cut, r = block.w, block.slope, block.cut, block.r
    for h in range(len(channels)):
        eta, shift, c = channels[h, 0], channels[h, 1], places[h]
        for j in range(n):
            e = w[h, j]
            slope[h, j] = e * (cut[c, 1, j] - 2.0 * eta * (r[j] - shift) * cut[c, 0, j])
            w[h, j] = e * cut[c, 0, j]
