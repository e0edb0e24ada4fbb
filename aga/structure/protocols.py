"""What the parts of a search say to each other.

The genetic algorithm, the potential and the reference method know each other through these
types alone, so each can be replaced, and the search runs in tests on a cheap analytic energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np

from aga.structure.candidate import Candidate, FloatArray

__all__ = [
    "Committee",
    "Frame",
    "Label",
    "Oracle",
    "PathPoint",
    "Prediction",
    "RelaxReason",
    "Relaxed",
    "Relaxer",
]

RelaxReason = Literal["converged", "step_limit", "exploded", "untrusted"]
"""Why a relaxation ended; ``untrusted``: the committee's spread passed its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a committee says of one structure.

    ``energy`` eV (mean); ``energies`` (n,) eV, the shares of the atoms, which add up to it;
    ``energy_spread`` eV/atom (standard deviation over members of the energy per atom);
    ``forces`` (n, 3) eV/Å (mean); ``forces_spread`` (n,) eV/Å (of each atom the norm of the
    members' standard deviation) and ``force_spread`` the largest of them; ``stress`` (6,)
    eV/Å³, ASE sign, Voigt.
    """

    energy: float
    energies: FloatArray
    energy_spread: float
    forces: FloatArray
    forces_spread: FloatArray
    force_spread: float
    stress: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """A candidate after relaxation on the committee.

    ``candidate`` has the relaxed positions and cell; ``energy`` is its total energy in eV,
    ``enthalpy`` E + pV in eV, ``energy_spread`` in eV/atom and ``force_spread`` in eV/Å as in
    :class:`Prediction`; ``max_force`` the largest remaining force in eV/Å.
    """

    candidate: Candidate
    energy: float
    enthalpy: float
    energy_spread: float
    force_spread: float
    max_force: float
    steps: int
    reason: RelaxReason

    @property
    def enthalpy_per_atom(self) -> float:
        """Enthalpy in eV/atom: what is ranked."""
        return self.enthalpy / len(self.candidate)

    @property
    def energy_per_atom(self) -> float:
        """Energy in eV/atom."""
        return self.energy / len(self.candidate)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "candidate": self.candidate.to_dict(),
            "energy": self.energy,
            "enthalpy": self.enthalpy,
            "energy_spread": self.energy_spread,
            "force_spread": self.force_spread,
            "max_force": self.max_force,
            "steps": self.steps,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        values = {key: data[key] for key in cls.__dataclass_fields__ if key != "candidate"}
        return cls(candidate=Candidate.from_dict(data["candidate"]), **values)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathPoint:
    """A structure that a relaxation came through, with what the reference method says of it.

    Its atoms are those of the structure that was relaxed, in their order. ``positions`` (n, 3)
    and ``cell`` (3, 3) in Å; ``energy``, ``forces`` and ``stress`` as in :class:`Label`.
    """

    positions: FloatArray
    cell: FloatArray
    energy: float
    forces: FloatArray
    stress: FloatArray | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "positions": self.positions.tolist(),
            "cell": self.cell.tolist(),
            "energy": self.energy,
            "forces": self.forces.tolist(),
            "stress": None if self.stress is None else self.stress.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        arrays = {
            key: np.array(data[key], dtype=np.float64) for key in ("positions", "cell", "forces")
        }
        stress = data.get("stress")
        return cls(
            energy=float(data["energy"]),
            stress=None if stress is None else np.array(stress, dtype=np.float64),
            **arrays,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the reference method says of one structure.

    ``energy`` eV (total); ``forces`` (n, 3) eV/Å; ``stress`` (6,) eV/Å³, ASE sign and Voigt
    order, or None where the method gives none; ``evaluations`` energy+force evaluations spent.
    ``path``: of a relaxation, what it came through, from the start on; each is as good as a
    label (:func:`aga.oracle.path.path_points`), and their evaluations are among those counted.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray | None = None
    evaluations: int = 1
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)
    path: tuple[PathPoint, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "energy": self.energy,
            "forces": self.forces.tolist(),
            "stress": None if self.stress is None else self.stress.tolist(),
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "details": self.details,
            "path": [point.to_dict() for point in self.path],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        stress = data.get("stress")
        return cls(
            energy=float(data["energy"]),
            forces=np.array(data["forces"], dtype=np.float64),
            stress=None if stress is None else np.array(stress, dtype=np.float64),
            evaluations=int(data.get("evaluations", 1)),
            seconds=float(data.get("seconds", 0.0)),
            details=dict(data.get("details", {})),
            path=tuple(PathPoint.from_dict(point) for point in data.get("path", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A labelled structure: what the committee learns from.

    ``forces`` and stress may be missing in frames of a user's own file (None). ``group`` is what
    such a file calls the kind of the structure (bulk, surface, liquid, …), empty without one.
    """

    candidate: Candidate
    energy: float
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    source: str = "reference"
    group: str = ""

    @property
    def name(self) -> str:
        """Name of the structure."""
        return self.candidate.name

    @property
    def energy_per_atom(self) -> float:
        """Energy in eV/atom."""
        return self.energy / len(self.candidate)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "candidate": self.candidate.to_dict(),
            "energy": self.energy,
            "forces": None if self.forces is None else self.forces.tolist(),
            "stress": None if self.stress is None else self.stress.tolist(),
            "source": self.source,
            "group": self.group,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        arrays = {
            key: None if data.get(key) is None else np.array(data[key], dtype=np.float64)
            for key in ("forces", "stress")
        }
        return cls(
            candidate=Candidate.from_dict(data["candidate"]),
            energy=float(data["energy"]),
            source=data.get("source", "reference"),
            group=data.get("group", ""),
            **arrays,
        )


class Committee(Protocol):
    """Several potentials that vote."""

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        """Evaluate the structures as one batch, in their order."""
        ...


class Relaxer(Protocol):
    """Relaxes structures, atoms and cell together."""

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        """Relax the structures as one batch, in their order; never raises for one of them."""
        ...


class Oracle(Protocol):
    """The reference method."""

    name: str

    def label(self, candidate: Candidate, run_dir: Path) -> Label:
        """Compute energy, forces and stress.

        Raises
        ------
        aga.errors.OracleError
            No usable result for this candidate; ``reason`` says why.
        aga.errors.SiteError
            The machine can't run the method at all.
        """
        ...

    def relax(
        self, candidate: Candidate, run_dir: Path, *, pressure: float
    ) -> tuple[Candidate, Label]:
        """Relax atoms and cell at a pressure in eV/Å³; raises like :meth:`label`.

        The label is of the end; its ``path`` may have what was evaluated on the way.
        """
        ...
