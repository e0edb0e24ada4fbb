"""Random crystals with the symmetry of a random space group, by PyXtal.

Random structures with symmetry lie far lower in energy, and far more often at the ground
state, than those without (Pickard & Needs, J. Phys.: Condens. Matter 23, 053201 (2011);
Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers

from aga.errors import GenerationError
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.geometry import DistanceLimits, reduced, too_close
from aga.structure.pyxtal_generator import SymmetricRequest, compatible, symmetric_crystal

__all__ = ["CrystalDraw", "draw_crystal", "random_atoms", "random_crystal"]

SYMMETRIC_TRIES = 20
"""Space groups tried before a structure without symmetry is made."""

_VOLUME_STEPS = 8
_POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CrystalDraw:
    """A random crystal and what it took to find it.

    ``space_group`` is the number that was asked of PyXtal (the crystal may have more symmetry),
    or 1 for a structure without; ``tries`` counts attempts, the successful one included.
    """

    candidate: Candidate
    space_group: int
    tries: int


def random_crystal(
    counts: Mapping[str, int],
    rng: np.random.Generator,
    *,
    volume: float,
    limits: DistanceLimits,
    name: str = "random",
) -> Candidate:
    """Give only the candidate of :func:`draw_crystal`."""
    return draw_crystal(counts, rng, volume=volume, limits=limits, name=name).candidate


def draw_crystal(
    counts: Mapping[str, int],
    rng: np.random.Generator,
    *,
    volume: float,
    limits: DistanceLimits,
    name: str = "random",
) -> CrystalDraw:
    """Make a random crystal with a random compatible space group.

    For half of the attempts the counts are those of the primitive cell, for the other half those
    of the conventional cell of a centred group: a large cell often holds several primitive cells
    of the ground state. After :data:`SYMMETRIC_TRIES` failures the atoms are placed without
    symmetry.

    Parameters
    ----------
    counts
        Atoms of each element in the returned cell.
    rng
        The only source of randomness.
    volume
        Of the returned cell, Å³.
    limits
        Shortest distances allowed.
    name
        Of the candidate.

    Raises
    ------
    aga.errors.GenerationError
        Not even without symmetry do the atoms fit (the limits are too long for the volume).
    """
    ordered = {symbol: counts[symbol] for symbol in sorted(counts)}
    for tries in range(1, SYMMETRIC_TRIES + 1):
        request = SymmetricRequest(
            counts=ordered,
            volume=volume,
            group=int(rng.integers(1, 231)),
            conventional=bool(rng.random() < 0.5),
            limits=limits,
        )
        # a stream of its own: PyXtal draws and spawns as often as it likes
        own = np.random.default_rng(int(rng.integers(2**62)))
        if not compatible(request):
            continue
        candidate = symmetric_crystal(request, own, name=name)
        if candidate is not None and not too_close(candidate, limits):
            return CrystalDraw(candidate=reduced(candidate), space_group=request.group, tries=tries)
    candidate = random_atoms(counts, rng, volume=volume, limits=limits, name=name)
    return CrystalDraw(candidate=candidate, space_group=1, tries=SYMMETRIC_TRIES + 1)


def random_atoms(
    counts: Mapping[str, int],
    rng: np.random.Generator,
    *,
    volume: float,
    limits: DistanceLimits,
    name: str = "random",
) -> Candidate:
    """Place atoms one by one in a random cell, without symmetry.

    The cell grows by a tenth whenever the atoms do not fit, at most to about twice the volume
    in Å³ that was asked for.

    Raises
    ------
    aga.errors.GenerationError
        They do not fit into the largest cell either.
    """
    numbers = np.array([atomic_numbers[s] for s in sorted(counts) for _ in range(counts[s])])
    for step in range(_VOLUME_STEPS):
        cell = _random_cell(rng, volume * 1.1**step)
        placed: list[FloatArray] = []
        for k in range(len(numbers)):
            for _ in range(_POINTS):
                trial = Candidate(
                    name=name,
                    numbers=numbers[: k + 1],
                    positions=np.array([*placed, rng.random(3) @ cell]),
                    cell=cell,
                    lineage=Lineage(operator="random"),
                )
                if not too_close(trial, limits):
                    placed.append(trial.positions[-1])
                    break
            else:
                break
        if len(placed) == len(numbers):
            return reduced(trial)
    raise GenerationError(
        f"{name}: {dict(counts)} do not fit into {volume:.1f} Å³ at the shortest distances allowed",
        remedy="lower search.min_distance_factor or raise search.volume_per_atom",
        volume=volume,
    )


def _random_cell(rng: np.random.Generator, volume: float) -> FloatArray:
    """Random lattice vectors of a volume in Å³: no angle below about 50°, no flat cell."""
    while True:
        cell = np.diag(np.exp(rng.normal(0.0, 0.25, 3)))
        cell[1, 0], cell[2, 0], cell[2, 1] = rng.uniform(-0.6, 0.6, 3) * np.diag(cell)[[1, 2, 2]]
        lengths = np.linalg.norm(cell, axis=1)
        if lengths.max() < 2.5 * lengths.min():
            return np.asarray(cell * np.cbrt(volume / np.linalg.det(cell)))
