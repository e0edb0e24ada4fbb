"""Symmetrising mutation: towards the symmetry that is nearly there, or to one that is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.cells import arranged, clearances, spacing
from aga.search.operators.context import OperatorContext
from aga.search.operators.groups import Group, draw_group
from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.geometry import fractional, reduced
from aga.structure.symmetry_operations import symmetrised

__all__ = ["symmetrise"]

TOLERANCES = (0.05, 0.4)
"""In (volume per atom)^⅓: how far atoms may be from the symmetry that spglib is to find."""

NEARLY = 0.3
"""How often the symmetry that is nearly there is tried first."""

SMALLEST_MOVE = 1e-3
"""Å; a structure that moves less has that symmetry already."""

DRAWS = 10
"""Groups and origins drawn until one fits the composition."""

_SAME = 1e-4


def symmetrise(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Give a crystal more symmetry.

    Either atoms and lattice are moved onto the symmetry that spglib finds at a wide, drawn
    tolerance; or a part of the crystal is repeated by the operations of a space group that is
    drawn among those of its lattice, with the origin on an atom, between two atoms or anywhere.
    Atoms close to a symmetry element move onto it; atoms whose images would be too close to what
    is there are left out, until the composition is complete.

    Parameters
    ----------
    parents
        One.
    rng
        Random stream of this offspring.
    context
        Composition and shortest distances.

    Raises
    ------
    aga.errors.GenerationError
        No group drawn gives exactly the composition.

    References
    ----------
    The opposite of the symmetry-breaking operators, for landscapes whose low minima are
    symmetric: Pauling's fifth rule as used by Lyakhov, Oganov, Stokes & Zhu, Comput. Phys.
    Commun. 184, 1172 (2013); Pickard & Needs, J. Phys.: Condens. Matter 23, 053201 (2011).
    """
    (parent,) = parents
    if rng.random() < NEARLY:
        child, _ = symmetrised(parent, rng.uniform(*TOLERANCES) * spacing(parent))
        if np.linalg.norm(child.positions - parent.positions, axis=1).max() > SMALLEST_MOVE:
            return reduced(child)
    for _ in range(DRAWS):
        group = draw_group(parent.cell, rng)
        built = None if group is None else _repeated(parent, group, rng, context)
        if built is not None:
            return built
        context.failed["symmetrise: group" if group is None else "symmetrise: composition"] += 1
    raise GenerationError(f"{parent.name}: no group drawn gives its composition")


def _repeated(
    parent: Candidate, group: Group, rng: np.random.Generator, context: OperatorContext
) -> Candidate | None:
    """Collect orbits of the parent's atoms, in random order, until the composition is complete."""
    scaled = fractional(parent)
    first, second = (scaled[int(k)] for k in rng.integers(len(scaled), size=2))
    origin = (first, 0.5 * (first + second), rng.random(3))[int(rng.integers(3))]
    cell = group.lattice(parent.cell)
    table = context.limits.matrix(parent.numbers)
    sites, sizes = _sites(scaled - origin, group, cell, np.diag(table))
    missing = Counter(parent.numbers.tolist())
    # of every atom taken so far: its place, and the parent's atom that it is an image of
    places, sources = np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
    for k in rng.permutation(len(parent)):
        number = int(parent.numbers[k])
        if not 0 < sizes[k] <= missing[number]:
            continue
        if (clearances(sites[k : k + 1], places, cell)[0] < table[k, sources]).any():
            continue
        missing[number] -= int(sizes[k])
        places = np.vstack([places, _distinct(group.images(sites[k : k + 1])[0], cell)])
        sources = np.append(sources, np.full(sizes[k], k))
        if not missing.total():
            return arranged(parent, parent.numbers[sources], places, cell, context)
    return None


def _sites(
    scaled: FloatArray, group: Group, cell: FloatArray, limits: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Move atoms onto the symmetry elements they are close to, and count the images there.

    Parameters
    ----------
    scaled, cell
        (n, 3) fractional positions, from the group's origin; (3, 3) lattice vectors in Å.
    limits
        (n,) shortest distances in Å of an atom from its images.

    Returns
    -------
    sites, sizes
        (n, 3) positions and (n,) numbers of different images; 0 where images are too close.
    """
    sites = np.array(scaled)
    for _ in range(2):
        near, apart = _from_images(sites, group, cell)
        close = (apart < limits[:, None])[:, :, None]
        sites += (near * close).sum(axis=1) / close.sum(axis=1)
    _, apart = _from_images(sites, group, cell)
    same = apart < _SAME
    clear = (same | (apart >= limits[:, None])).all(axis=1)
    return sites, np.where(clear, len(group) // same.sum(axis=1), 0)


def _from_images(
    sites: FloatArray, group: Group, cell: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give the shortest vectors (n, m, 3) from sites to their images, fractional, and in Å."""
    apart = group.images(sites) - sites[:, None, :]
    apart -= np.rint(apart)
    return apart, np.linalg.norm(apart @ cell, axis=2)


def _distinct(images: FloatArray, cell: FloatArray) -> FloatArray:
    """Give each of equal images once."""
    first = (clearances(images, images, cell) < _SAME).argmax(axis=1)
    return np.asarray(images[first == np.arange(len(images))])
