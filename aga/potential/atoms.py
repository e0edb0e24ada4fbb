"""ASE structures of any periodicity for potentials: crystals, slabs, chains, clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from ase import Atoms

from aga.errors import StructureError
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Committee, Prediction

__all__ = ["VACUUM", "enclosed", "own_stress", "predict_atoms", "predict_many"]

VACUUM = 40.0
"""Å left empty where a structure is not periodic: more than the cutoff of any potential."""

FLAT = 1e-12
"""Squared volume spanned by the unit vectors of a cell, below which it is flat."""

_CHUNK = 4096
"""Atoms evaluated together; more would only take more memory."""


def enclosed(atoms: Atoms, name: str) -> Candidate:
    """Put a structure of any periodicity into a cell in which only its own images meet it.

    Lattice vectors of periodic directions stay. The others, missing or not, are replaced by
    vectors perpendicular to them, longer than the structure by :data:`VACUUM`; so the energy and
    its derivatives are those of the slab, chain or cluster.

    Parameters
    ----------
    atoms
        A structure; vectors of directions that are not periodic may be missing.
    name
        For messages.

    Raises
    ------
    aga.errors.StructureError
        No atom, a position or lattice vector that is not finite, or periodic lattice vectors
        that are missing or span nothing.
    """
    _check(atoms, name)
    cell, positions = np.array(atoms.cell, dtype=np.float64), atoms.get_positions()
    if not atoms.pbc.all():
        cell = _completed(cell, atoms.pbc, positions)
    return Candidate(name=name, numbers=atoms.numbers, positions=positions, cell=cell)


def _check(atoms: Atoms, name: str) -> None:
    if not len(atoms):
        raise StructureError(f"{name}: has no atoms", structure=name)
    finite = np.isfinite(atoms.positions).all(axis=1)
    if not finite.all():
        atom = int(np.argmin(finite))
        raise StructureError(
            f"{name}: the position of atom {atom} ({atoms.symbols[atom]}) is not finite",
            structure=name,
            atom=atom,
        )
    cell, pbc = np.array(atoms.cell, dtype=np.float64), atoms.pbc
    if not np.isfinite(cell).all():
        raise StructureError(f"{name}: the cell is not finite", structure=name)
    lengths = np.linalg.norm(cell, axis=1)
    for axis in np.flatnonzero(pbc & (lengths == 0)):
        raise StructureError(
            f"{name}: is periodic along {'abc'[axis]}, but this lattice vector is missing",
            remedy="set the cell, or pbc=False for this direction",
            structure=name,
        )
    unit = cell[pbc] / lengths[pbc, None]
    if np.linalg.det(unit @ unit.T) < FLAT:
        raise StructureError(f"{name}: the cell has no volume", structure=name)


def _completed(cell: FloatArray, pbc: npt.NDArray[np.bool_], positions: FloatArray) -> FloatArray:
    """Replace the vectors of directions that are not periodic."""
    # The last rows of V span what is perpendicular to the periodic vectors.
    free = np.linalg.svd(cell[pbc], full_matrices=True)[2][pbc.sum() :] if pbc.any() else np.eye(3)
    completed = cell.copy()
    extent = np.ptp(positions @ free.T, axis=0)
    completed[~pbc] = free * (extent + VACUUM)[:, None]
    return completed


def predict_atoms(
    committee: Committee, images: Sequence[Atoms], names: Sequence[str] | None = None
) -> list[Prediction]:
    """Predict structures of any periodicity, in their order.

    Parameters
    ----------
    committee
        Anything that predicts.
    images
        Structures.
    names
        For messages; the formulas where None.

    Returns
    -------
    list of Prediction
        ``stress`` refers to the volume of the structure's own cell, also of a slab or cluster
        that has one (as other ASE calculators do), and is NaN where there is none.

    Raises
    ------
    aga.errors.StructureError
        Nothing can be computed for a structure; names it.
    aga.errors.ModelError
        An element without a network.
    """
    titles = [image.get_chemical_formula() for image in images] if names is None else names
    inside = [enclosed(image, name) for image, name in zip(images, titles, strict=True)]
    said = predict_many(committee, inside)
    return [
        replace(one, stress=own_stress(one.stress, candidate, image))
        for one, candidate, image in zip(said, inside, images, strict=True)
    ]


def predict_many(committee: Committee, candidates: Sequence[Candidate]) -> list[Prediction]:
    """Predict any number of crystals, in their order, in batches of moderate size.

    Raises
    ------
    aga.errors.StructureError
        Nothing can be computed for one; ``facts["index"]`` is its place among all.
    aga.errors.ModelError
        An element without a network.
    """
    said: list[Prediction] = []
    for part in _parts(candidates):
        try:
            said += committee.predict(part)
        except StructureError as error:
            if "index" in error.facts:
                error.facts["index"] += len(said)
            raise
    return said


def _parts(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Give the candidates in groups of about :data:`_CHUNK` atoms."""
    part: list[Candidate] = []
    for candidate in candidates:
        if part and sum(map(len, part)) + len(candidate) > _CHUNK:
            yield part
            part = []
        part.append(candidate)
    if part:
        yield part


def own_stress(stress: FloatArray, inside: Candidate, image: Atoms) -> FloatArray:
    """Refer the stress of an enclosed structure to its own cell; NaN where that has no volume."""
    own = abs(float(np.linalg.det(np.array(image.cell))))
    if own < 1e-6:
        return np.full(6, np.nan)
    return stress if image.pbc.all() else stress * (inside.volume / own)
