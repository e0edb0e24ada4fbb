"""Relaxations in rounds: what a round is asked, what it went through, and whether to believe that.

Within a round plane waves and k-points belong to the cell that it started from. So each ends with
a fresh single point, and that also tells what the energies on the way are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aga.oracle.validation import Output, force_norm
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Label

__all__ = [
    "End",
    "Round",
    "Step",
    "Walk",
    "best_end",
    "best_step",
    "borne_out",
    "steps_before",
    "walked",
]

SAME_PLACE = 1e-4
"""Å; programs print positions and cells with more digits than that."""

ENERGY_AGREES, FORCE_AGREES, VIRIAL_AGREES = 0.002, 0.02, 0.01
"""eV/atom, eV/Å and eV/atom that a step may be off a fresh single point: a fifth of the errors
that weigh the same in a training (0.01, 0.1 and 0.05)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round of a relaxation: ``pressure`` in eV/Å³, ``steps`` it may take at most."""

    pressure: float
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One structure of a relaxation with what the program says of it."""

    candidate: Candidate
    output: Output

    def enthalpy(self, pressure: float) -> float:
        """Give E + pV in eV, for a pressure in eV/Å³; infinite where there is no energy."""
        energy = self.output.energy
        return np.inf if energy is None else energy + pressure * self.candidate.volume

    def complete(self) -> bool:
        """Whether energy, forces and stress are there and finite."""
        parts = (self.output.energy, self.output.forces, self.output.stress)
        return all(part is not None and bool(np.isfinite(part).all()) for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How a round went, in the cell vectors of the structure that it was given.

    ``best`` is the structure to go on from, ``evaluations`` what was spent, ``steps`` all that
    the round came through with energy, forces and stress, ``best`` among them.
    """

    best: Candidate
    evaluations: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a round ended: the structure, its fresh single point, and how far it is from rest.

    ``enthalpy`` in eV; ``residual`` the largest force on an atom, or on the cell per atom, in
    eV/Å or eV.
    """

    candidate: Candidate
    label: Label
    enthalpy: float
    residual: float

    @classmethod
    def of(cls, candidate: Candidate, label: Label, pressure: float) -> End:
        """Judge a structure by its single point at a pressure in eV/Å³."""
        stress: FloatArray = label.stress if label.stress is not None else np.zeros(6)
        excess = stress + pressure * np.array([1, 1, 1, 0, 0, 0])
        on_cell = float(np.abs(excess).max()) * candidate.volume / len(candidate)
        return cls(
            candidate=candidate,
            label=label,
            enthalpy=label.energy + pressure * candidate.volume,
            residual=max(force_norm(label.forces), on_cell),
        )


def best_end(ends: Sequence[End]) -> End:
    """Give the end nearest to rest among those whose enthalpies can't be told from the lowest.

    Cells of different rounds have different plane waves and k-points, so that an end may seem
    lower by as much as these are worth without being nearer to a minimum.
    """
    lowest = min(end.enthalpy for end in ends)
    alike = [end for end in ends if end.enthalpy - lowest <= ENERGY_AGREES * len(end.candidate)]
    return min(alike, key=lambda end: end.residual)


def best_step(history: Sequence[Step], pressure: float, *, arrived: bool) -> Step:
    """Give the last step of a finished relaxation, of another the one of lowest enthalpy."""
    if arrived:
        return history[-1]
    return min(history, key=lambda step: step.enthalpy(pressure))


def walked(
    start: Candidate,
    operation: FloatArray,
    history: Sequence[Step],
    best: Step,
    evaluations: int,
) -> Walk:
    """Bring a round that was walked in the reduced cell back to the one it was given.

    ``operation`` (3, 3) as :func:`aga.oracle.lattice.reduced_cell` gives it; nothing is turned,
    so that forces and stresses stay as they are.
    """
    back = np.linalg.inv(operation)

    def in_given_cell(candidate: Candidate) -> Candidate:
        return start.moved(candidate.positions, back @ candidate.cell)

    return Walk(
        best=in_given_cell(best.candidate),
        evaluations=evaluations,
        steps=tuple(
            Step(candidate=in_given_cell(step.candidate), output=step.output) for step in history
        ),
    )


def borne_out(walk: Walk, fresh: Label) -> bool:
    """Tell whether the numbers of a round can stand beside single points.

    The fresh single point of the best structure has the basis and the k-points of its own cell.
    Where it says what the round said there, the steps before are as good: their cells had
    changed less. Where it does not, energies of another basis would stand among the others as if
    they were physics.
    """
    there = [step for step in walk.steps if _same_place(step.candidate, walk.best)]
    return bool(there) and all(_agrees(step, fresh) for step in there)


def steps_before(walk: Walk) -> tuple[Step, ...]:
    """Give the steps of a round but those at its best structure."""
    return tuple(step for step in walk.steps if not _same_place(step.candidate, walk.best))


def _same_place(one: Candidate, other: Candidate) -> bool:
    return bool(
        np.abs(one.positions - other.positions).max() < SAME_PLACE
        and np.abs(one.cell - other.cell).max() < SAME_PLACE
    )


def _agrees(step: Step, fresh: Label) -> bool:
    said, n = step.output, len(step.candidate)
    if said.energy is None or said.forces is None or said.stress is None or fresh.stress is None:
        return False
    virial = float(np.abs(said.stress - fresh.stress).max()) * step.candidate.volume / n
    return (
        abs(said.energy - fresh.energy) / n <= ENERGY_AGREES
        and force_norm(said.forces - fresh.forces) <= FORCE_AGREES
        and virial <= VIRIAL_AGREES
    )
