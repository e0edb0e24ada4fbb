"""Whether two structures are one: fingerprints first, a comparison atom by atom for close calls.

Fingerprints tell most pairs apart in microseconds, but not all: silicon's polytypes 4H and 6H are
0.0008 apart, less than diamond from itself stretched by half a per cent. What they leave open is
decided by pymatgen's ``StructureMatcher`` (Ong et al., Comput. Mater. Sci. 68, 314, 2013).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from aga.structure.candidate import Candidate
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.geometry import reduced
from aga.structure.symmetry import primitive

__all__ = ["FAR", "NEAR", "CloseCalls", "atoms_match", "same_structure"]

NEAR = 0.0025
"""Tolerances below which fingerprints alone say *the same*.

Measured with the usual tolerance of 0.02: copies of one minimum, relaxed to 0.02 eV/Å from random
crystals, are less than 3·10⁻⁵ apart (Si₄, Si₈ by Tersoff, Ti₂O₄ by Matsui and Akaogi); the nearest
of the known polytypes, 6H and 15R, 10⁻⁴.
"""

FAR = 3.0
"""Tolerances from which on fingerprints alone say *another*."""

PRIMITIVE_TOLERANCE = 0.1
"""Å within which atoms of a supercell repeat each other."""

LENGTH_TOLERANCE, ANGLE_TOLERANCE = 0.1, 5.0
"""Of lattice vectors, as a share, and of their angles, in degrees, once volumes are equal."""

SITE_TOLERANCE = 0.07
"""Root mean square distance of matched atoms, in the edge of the cube that one atom has.

0.2 Å in silicon. Copies of one minimum were below 0.005, neighbouring minima of Ti₂O₄ that differ
by 8 meV/atom at 0.08.
"""

MOST_CALLS = 40
"""Close calls that one merge may have decided atom by atom (about 10 ms each)."""


class _Key(NamedTuple):
    """A structure as bytes: what has been compared once is not compared again."""

    numbers: bytes
    positions: bytes
    cell: bytes

    @classmethod
    def of(cls, candidate: Candidate) -> _Key:
        """Take the exact geometry."""
        arrays = (candidate.numbers, candidate.positions, candidate.cell)
        return cls(*(array.tobytes() for array in arrays))


def same_structure(
    first: Candidate, second: Candidate, tolerance: float, apart: float | None = None
) -> bool:
    """Tell whether two cells describe one crystal.

    Supercells, other choices of the lattice, rotations, mirror images, another origin and another
    order of the atoms make no difference, nor do volumes (compare energies beside it). The rule:

    - another composition: another structure;
    - fingerprints less than :data:`NEAR` tolerances apart: the same;
    - :data:`FAR` tolerances or more: another;
    - in between, the same if the atoms match (:func:`atoms_match`).

    Parameters
    ----------
    first, second
        Structures.
    tolerance
        Cosine distance of fingerprints.
    apart
        The cosine distance where it is known already.
    """
    if not _same_composition(first, second):
        return False
    if apart is None:
        apart = cosine_distance(fingerprint(first), fingerprint(second))
    if apart < NEAR * tolerance:
        return True
    return apart < FAR * tolerance and atoms_match(first, second)


def _same_composition(first: Candidate, second: Candidate) -> bool:
    kinds, counts = np.unique(first.numbers, return_counts=True)
    others, numbers = np.unique(second.numbers, return_counts=True)
    same_kinds = np.array_equal(kinds, others)
    return same_kinds and np.array_equal(counts * len(second), numbers * len(first))


def atoms_match(first: Candidate, second: Candidate) -> bool:
    """Tell whether the atoms of two crystals can be laid onto each other.

    Both are reduced to primitive cells of one volume; elements have to fit, and the root mean
    square distance of the atoms has to stay below :data:`SITE_TOLERANCE`. Where only one is
    reducible, because noise hides the repetition in the other, its supercells are tried.
    """
    one, other = _Key.of(first), _Key.of(second)
    return _match(*sorted((one, other)))


@lru_cache(maxsize=8192)
def _match(one: _Key, other: _Key) -> bool:
    first, second = _prepared(one), _prepared(other)
    sizes = sorted((len(first), len(second)))
    if sizes[1] % sizes[0]:
        return False
    matcher = _matcher(supercell=sizes[0] != sizes[1])
    return bool(matcher.fit(first, second, skip_structure_reduction=True))


@lru_cache(maxsize=2048)
def _prepared(key: _Key) -> Any:  # noqa: ANN401 - a Structure of pymatgen, which is untyped here
    """Give the primitive cell as pymatgen knows it."""
    candidate = Candidate(
        name="",
        numbers=np.frombuffer(key.numbers, dtype=np.int64),
        positions=np.frombuffer(key.positions).reshape(-1, 3),
        cell=np.frombuffer(key.cell).reshape(3, 3),
    )
    return reduced(primitive(candidate, PRIMITIVE_TOLERANCE, idealise=False)).to_pymatgen()


@lru_cache(maxsize=2)
def _matcher(*, supercell: bool) -> Any:  # noqa: ANN401 - pymatgen is untyped here
    # pymatgen takes a second to import, and many searches have no close call
    from pymatgen.analysis.structure_matcher import StructureMatcher  # noqa: PLC0415

    return StructureMatcher(
        ltol=LENGTH_TOLERANCE,
        stol=SITE_TOLERANCE,
        angle_tol=ANGLE_TOLERANCE,
        primitive_cell=False,  # done by spglib, as Niggli's cell: much faster, keeps distortions
        scale=True,
        attempt_supercell=supercell,
    )


class CloseCalls:
    """Decides whether structures are one, a bounded number of times atom by atom.

    After ``most`` close calls fingerprints decide alone, at the tolerance. What is asked, and in
    which order, decides alone what is answered: calls count whether or not their answer is known
    from before.

    Parameters
    ----------
    tolerance
        Cosine distance of fingerprints.
    most
        Close calls at most.
    """

    def __init__(self, tolerance: float, most: int = MOST_CALLS) -> None:
        self.tolerance = tolerance
        self.most = most
        self.made = 0

    @property
    def reach(self) -> float:
        """Cosine distance from which on two structures are never one."""
        return FAR * self.tolerance

    def same(self, first: Candidate, second: Candidate, apart: float) -> bool:
        """Tell whether two structures, whose fingerprints are ``apart``, are one."""
        close = NEAR * self.tolerance <= apart < self.reach
        if close and self.made >= self.most:
            return apart < self.tolerance
        self.made += close
        return same_structure(first, second, self.tolerance, apart)
