"""The structure type of a crystal, such as rutile or diamond.

Types and their geometries: :mod:`aga.structure.structure_types`.
"""

from __future__ import annotations

from functools import lru_cache

from aga.errors import SiteError
from aga.structure.candidate import Candidate
from aga.structure.structure_types import (
    MIRRORED,
    PrototypeName,
    StructureType,
    own_types,
    structure_types,
)
from aga.structure.symmetry import primitive, space_groups

__all__ = ["PrototypeName", "prototype_of"]


def prototype_of(candidate: Candidate, tolerance: float) -> PrototypeName | None:
    """Recognise the structure type of a crystal; None where it is none of those known.

    It has the prototype's space group, at the tolerance or at the strict one, as many atoms in
    its primitive cell, and can be laid onto it with any elements in its places; of several types
    the nearest.

    Parameters
    ----------
    candidate
        Any cell.
    tolerance
        Å, for the space group.
    """
    groups = space_groups(candidate, tolerance)
    numbers = {MIRRORED.get(one.number, one.number) for one in (groups.loose, groups.strict)}
    small = primitive(candidate, tolerance)
    possible = [
        one
        for one in _library()
        if one.name.space_group in numbers and one.name.primitive_atoms == len(small)
    ]
    if not possible:
        return None
    from pymatgen.analysis.structure_matcher import StructureMatcher  # noqa: PLC0415 - slow

    matcher, own = StructureMatcher(), small.to_pymatgen()
    found = []
    for k, one in enumerate(possible):
        distance, _ = matcher.get_rms_anonymous(one.crystal().to_pymatgen(), own)
        if distance is not None:
            found.append((float(distance), k, one.name))
    return min(found)[2] if found else None


@lru_cache(maxsize=1)
def _library() -> tuple[StructureType, ...]:
    try:
        return structure_types()
    except SiteError:  # a name is no result: it must not stop a search at its end
        return own_types()
