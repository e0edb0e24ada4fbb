"""DScribe's ACSF: the values of the same functions, without derivatives.

L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020); J. Chem. Phys. 158, 234802 (2023).
An optional dependency, ``pip install aga[bench]``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np

from aga.potential.symmetry.functions import Angular, FunctionSet
from aga.structure.candidate import Candidate, FloatArray

__all__ = ["dscribe_columns", "dscribe_values", "installed"]


def installed() -> bool:
    """Tell whether DScribe can be imported."""
    return importlib.util.find_spec("dscribe") is not None


def dscribe_values(
    functions: FunctionSet, candidates: Sequence[Candidate], threads: int = 1
) -> Callable[[], list[FloatArray]]:
    """Give a call that computes the descriptors of the candidates.

    Parameters
    ----------
    functions
        Cosine cutoff, unshifted, all angular functions wide or all narrow, in the order of
        :func:`aga.potential.symmetry.presets.preset`. DScribe computes the same functions for
        its own order of elements (by atomic number).
    candidates
        The structures.
    threads
        Processes that share several structures.

    Returns
    -------
    callable
        Gives one array (n, D) per structure, in DScribe's order of columns.
    """
    from dscribe.descriptors import ACSF  # noqa: PLC0415 - optional, and only to measure

    radial = list(dict.fromkeys((f.eta, f.shift) for f in functions.radial))
    angular = list(dict.fromkeys((f.eta, f.zeta, f.lambda_) for f in functions.angular))
    narrow = any(f.narrow for f in functions.angular)
    acsf = ACSF(
        species=list(functions.elements),
        r_cut=functions.cutoff,
        g2_params=[list(entry) for entry in radial],
        **{"g4_params" if narrow else "g5_params": [list(entry) for entry in angular]},
        periodic=True,
    )
    systems = [candidate.to_ase() for candidate in candidates]
    jobs = min(threads, len(systems))

    def values() -> list[FloatArray]:
        if len(systems) == 1:
            return [np.asarray(acsf.create(systems[0]))]
        return [np.asarray(found) for found in acsf.create(systems, n_jobs=jobs)]

    return values


def dscribe_columns(functions: FunctionSet) -> list[int]:
    """Give the column in DScribe's arrays of each function of the set.

    DScribe puts a sum of cutoff functions (G1) before the radial functions of each element, and
    the pairs of elements in the order of a lower triangle.
    """
    charge = dict(zip(functions.elements, functions.numbers, strict=True))
    place = {el: k for k, el in enumerate(sorted(functions.elements, key=charge.__getitem__))}
    kinds: dict[int, list[int]] = {}
    for number, f in enumerate(functions.every):
        if isinstance(f, Angular):
            a, b = sorted(place[symbol] for symbol in f.elements)
            kinds.setdefault(len(place) + b * (b + 1) // 2 + a, []).append(number)
        else:
            kinds.setdefault(place[f.element], []).append(number)
    columns, column = [0] * len(functions.every), 0
    for kind in sorted(kinds):
        column += kind < len(place)
        for number in kinds[kind]:
            columns[number] = column
            column += 1
    return columns
