"""How much arithmetic an evaluation is: what remains if everything but arithmetic were free.

Counted in the kernels as they are written, for functions with ζ ≤ 4 and one cutoff, in units
that keep a floating-point unit busy for one slot: a multiplication, an addition, or both fused.
docs/explanation/performance.md says where each number comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from aga.bench.cases import HIDDEN, Form
from aga.potential.neighbours import Pairs
from aga.potential.network import parameter_count
from aga.potential.symmetry.functions import FunctionSet

__all__ = ["Counts", "Work", "count", "count_work"]

FILL = 40
"""A pair made ready: distance, direction, cutoff function and slope by polynomials."""

WEIGHT, SLOPE = 5, 6
"""Cutoff times exponential and its slope, for each width; adjoint of a radial function."""

MOMENTS, PULL = 57, 81
"""25 moments of degree 3 and 4 with their monomials; their gradient; for each width."""

CARTESIAN = 35
"""Adjoints of a pair turned to Cartesian ones, scattered, and their virial."""

CANDIDATE = 12
"""Two neighbours of an atom: is the third side within the cutoff? Once for the values, once for
the derivatives."""

TRIPLET, TRIPLET_WIDTH = 65, 50
"""Cosine, third side, its cutoff function and slope, sums at the pairs; for each width the
exponential and its slope, the polynomial in cos θ that the adjoints make, and its slope."""

TERM = 4
"""(1 + λ cos θ)^ζ of a triplet."""


class Counts(NamedTuple):
    """Of one atom: neighbours, pairs of them, and those pairs closer than the cutoff."""

    pairs: float
    candidates: float
    triplets: float


@dataclass(frozen=True, slots=True)
class Work:
    """Exponentials and multiply-adds for one atom: energy, forces and stress of one member."""

    exponentials: float
    multiply_adds: float

    def floor(self, peaks: Mapping[str, float]) -> float:
        """Give the µs they take at the peaks of one core."""
        return 1e6 * (
            self.exponentials / peaks["exponentials_per_s"]
            + self.multiply_adds / peaks["multiply_adds_per_s"]
        )


def count_work(functions: FunctionSet, form: Form, counts: Counts) -> Work:
    """Count the arithmetic of one atom."""
    gaussians = len({(f.eta, f.shift) for f in functions.radial})
    widths = len({(f.eta, f.shift) for f in functions.angular})
    kinds = len({(f.zeta, f.lambda_) for f in functions.angular})
    networks = 2.0 * parameter_count(functions.size, HIDDEN)
    pair = 2.0 * FILL + gaussians * (1 + SLOPE) + CARTESIAN
    if form == "wide":
        pair += widths * (2 * WEIGHT + MOMENTS + PULL)
        return Work(2.0 * counts.pairs * (gaussians + widths), networks + counts.pairs * pair)
    triplet = TRIPLET + widths * (TRIPLET_WIDTH + kinds) + kinds * TERM
    total = counts.pairs * pair + counts.candidates * CANDIDATE + counts.triplets * triplet
    return Work(2.0 * counts.pairs * gaussians, networks + total)


def count(pairs: Pairs) -> Counts:
    """Count what surrounds an atom, in the mean."""
    atoms, triplets, candidates = len(pairs.starts), 0, 0
    for first, last in zip(pairs.starts[:, 0], pairs.starts[:, -1], strict=True):
        v = pairs.vectors[first:last]
        squares = (v * v).sum(1)
        third = squares[:, None] + squares[None, :] - 2.0 * v @ v.T
        inside = int((third < pairs.cutoff**2).sum())
        triplets += (inside - len(v)) // 2
        candidates += len(v) * (len(v) - 1) // 2
    return Counts(len(pairs) / atoms, candidates / atoms, triplets / atoms)
