"""How much arithmetic an evaluation is: what remains if everything but arithmetic were free.

Counted in the kernels as they are written, for functions with ζ ≤ 4 and one cutoff, in units
that keep a floating-point unit busy for one slot: a multiplication, an addition, or both fused.
docs/explanation/performance.md says where each number comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aga.bench.cases import HIDDEN, Form
from aga.potential.functions import FunctionSet
from aga.potential.network import parameter_count

__all__ = ["Work", "count_work"]

FILL = 40
"""A pair made ready: distance, direction, cutoff function and slope by polynomials."""

WEIGHT, SLOPE = 5, 6
"""Cutoff times exponential and its slope, for each width; adjoint of a radial function."""

MOMENTS, PULL = 57, 81
"""25 moments of degree 3 and 4 with their monomials; their gradient; for each width."""

CARTESIAN = 35
"""Adjoints of a pair turned to Cartesian ones, scattered, and their virial."""

TRIPLET, TRIPLET_WEIGHT = 32, 17
"""Cosine, third side, its cutoff function; its exponential and their product, for each width."""

TERM = 5
"""(1 + λ cos θ)^ζ of a triplet."""

TRIPLET_PULL, TRIPLET_PULL_WEIGHT = 14, 18
"""Adjoints of a triplet summed at its pairs; the polynomial in cos θ of each width."""


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


def count_work(functions: FunctionSet, form: Form, pairs: float, triplets: float) -> Work:
    """Count the arithmetic of one atom with so many pairs and triplets."""
    gaussians = len({(f.eta, f.shift) for f in functions.radial})
    widths = len({(f.eta, f.shift) for f in functions.angular})
    kinds = len({(f.zeta, f.lambda_) for f in functions.angular})
    networks = 2.0 * parameter_count(functions.size, HIDDEN)
    pair = 2.0 * FILL + gaussians * (1 + SLOPE) + CARTESIAN
    if form == "wide":
        pair += widths * (2 * WEIGHT + MOMENTS + PULL)
        return Work(2.0 * pairs * (gaussians + widths), networks + pairs * pair)
    triplet = 2.0 * (TRIPLET + widths * TRIPLET_WEIGHT) + TRIPLET_PULL
    triplet += widths * (TRIPLET_PULL_WEIGHT + 1 + kinds) + kinds * TERM
    return Work(2.0 * pairs * gaussians, networks + pairs * pair + triplets * triplet)
