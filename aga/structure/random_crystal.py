"""Random crystals with the symmetry of a random space group.

Random structures with symmetry lie far lower in energy, and far more often at the ground
state, than those without (Pickard & Needs, J. Phys.: Condens. Matter 23, 053201 (2011);
Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021)). Wyckoff positions are PyXtal's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from ase.data import atomic_numbers

from aga.config import SearchSettings
from aga.errors import GenerationError
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.cell_limits import CellLimits
from aga.structure.geometry import DistanceLimits, reduced, too_close
from aga.structure.lattices import FLATTEST, random_lattice
from aga.structure.occupation import Setting, compatible_settings
from aga.structure.placement import placed
from aga.structure.wyckoff import centring, lattice_points

__all__ = ["CrystalDraw", "DrawOptions", "draw_crystal", "random_atoms", "random_crystal"]

SYMMETRIC_TRIES = 20
"""Space groups tried before a structure without symmetry is made."""

GROUP_TRIES = 4
"""Lattices tried in a space group before it is left."""

_VOLUME_STEPS = 8
_CELLS = 4
_COMPACT = 2.0
"""Longest edge in shortest ones of the most compact cells; atoms that need room find it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """What else a search says of its random crystals.

    ``symmetric_share`` of them get the symmetry of a space group; ``shape`` limits their cells.
    """

    symmetric_share: float = 1.0
    shape: CellLimits = field(default_factory=CellLimits)

    @classmethod
    def from_settings(cls, settings: SearchSettings) -> Self:
        """Take the options of a search."""
        shape = CellLimits.from_settings(settings)
        return cls(symmetric_share=settings.symmetric_share, shape=shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrystalDraw:
    """A random crystal and what it took to find it.

    ``space_group`` is the number that was asked for (the crystal may have more symmetry), or 1
    for a structure without; ``tries`` counts the space groups tried, the last one included;
    ``failed`` attempts by reason: ``sites`` (atoms found no place), ``too_close``, ``cell``.
    """

    candidate: Candidate
    space_group: int
    tries: int
    failed: Mapping[str, int] = field(default_factory=dict)


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
    options: DrawOptions | None = None,
) -> CrystalDraw:
    """Make a random crystal with a random space group that can hold the atoms.

    Drawn from those alone (:func:`~aga.structure.occupation.compatible_settings`): with the
    counts as those of the primitive cell, or of the conventional cell of a centred group, for a
    large cell often holds several primitive cells of the ground state. A group that gives
    nothing in :data:`GROUP_TRIES` lattices is left; after :data:`SYMMETRIC_TRIES` groups the
    atoms are placed without symmetry.

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
    options
        Share of symmetric crystals and limits of the cell; all symmetric and any cell where None.

    Raises
    ------
    aga.errors.GenerationError
        Not even without symmetry do the atoms fit (the limits are too long for the volume).
    """
    options = options or DrawOptions()
    ordered = {symbol: counts[symbol] for symbol in sorted(counts)}
    failed: Counter[str] = Counter()
    tries = 0
    if options.symmetric_share >= 1.0 or rng.random() < options.symmetric_share:
        settings = compatible_settings(tuple(ordered.values()))
        table = limits.matrix(np.array([atomic_numbers[symbol] for symbol in ordered]))
        for tries in range(1, SYMMETRIC_TRIES + 1):
            group, cells = setting = settings[int(rng.integers(len(settings)))]
            for _ in range(GROUP_TRIES):
                lattice = random_lattice(group, volume / cells * len(lattice_points(group)), rng)
                candidate = _symmetric(ordered, setting, rng, lattice=lattice, table=table)
                objection = _objection(candidate, limits, options.shape)
                if candidate is not None and objection is None:
                    return CrystalDraw(
                        candidate=reduced(candidate).renamed(name),
                        space_group=group,
                        tries=tries,
                        failed=dict(failed),
                    )
                failed[str(objection)] += 1
    candidate = random_atoms(
        ordered, rng, volume=volume, limits=limits, name=name, shape=options.shape
    )
    return CrystalDraw(candidate=candidate, space_group=1, tries=tries + 1, failed=dict(failed))


def _objection(
    candidate: Candidate | None, limits: DistanceLimits, shape: CellLimits
) -> str | None:
    if candidate is None:
        return "sites"
    if too_close(candidate, limits):
        return "too_close"
    return None if shape.allows(candidate) else "cell"


def _symmetric(
    counts: Mapping[str, int],
    setting: Setting,
    rng: np.random.Generator,
    *,
    lattice: FloatArray,
    table: FloatArray,
) -> Candidate | None:
    """Make one attempt at a crystal of a space group; None where the atoms find no place.

    ``lattice`` (3, 3) holds the conventional vectors in Å; ``table`` (e, e) the shortest
    distances in Å of the elements in their order.
    """
    group, cells = setting
    cell = centring(group) @ lattice
    atoms = {int(atomic_numbers[symbol]): n // cells for symbol, n in counts.items()}
    found = placed(group, atoms, cell, table, rng)
    if found is None:
        return None
    numbers, scaled = found
    positions = scaled @ cell
    if cells > 1:
        positions = (positions[:, None] + lattice_points(group) @ lattice).reshape(-1, 3)
        numbers, cell = np.repeat(numbers, cells), lattice
    return Candidate(
        name="random",
        numbers=numbers,
        positions=positions,
        cell=cell,
        lineage=Lineage(operator="random"),
    )


def random_atoms(
    counts: Mapping[str, int],
    rng: np.random.Generator,
    *,
    volume: float,
    limits: DistanceLimits,
    name: str = "random",
    shape: CellLimits | None = None,
) -> Candidate:
    """Place atoms one by one in a random cell, without symmetry.

    The cell grows by a tenth whenever the atoms do not fit, and becomes more compact, at most to
    about twice the volume in Å³ that was asked for.

    Raises
    ------
    aga.errors.GenerationError
        They do not fit into the largest cell either.
    """
    shape = shape or CellLimits()
    atoms = {int(atomic_numbers[symbol]): counts[symbol] for symbol in sorted(counts)}
    table = limits.matrix(np.array(list(atoms)))
    for step in range(_VOLUME_STEPS):
        for _ in range(_CELLS):
            flattest = max(_COMPACT, FLATTEST * 0.7**step)
            cell = random_lattice(1, volume * 1.1**step, rng, flattest=flattest)
            found = placed(1, atoms, cell, table, rng, tight=True)
            if found is None:
                continue
            candidate = Candidate(
                name=name,
                numbers=found[0],
                positions=found[1] @ cell,
                cell=cell,
                lineage=Lineage(operator="random"),
            )
            if _objection(candidate, limits, shape) is None:
                return reduced(candidate)
    raise GenerationError(
        f"{name}: {dict(counts)} do not fit into {volume:.1f} Å³ at the shortest distances "
        "and the cells allowed",
        remedy="lower search.min_distance_factor, raise search.volume_per_atom, or widen "
        "search.cell_lengths and search.cell_angles",
        volume=volume,
    )
