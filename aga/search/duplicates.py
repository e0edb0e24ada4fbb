"""Finding the twin of a structure among others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aga.structure.candidate import Candidate, FloatArray
from aga.structure.fingerprint import cosine_distances
from aga.structure.matching import CloseCalls

__all__ = ["CLOSE_ENTHALPY", "Form", "twin_of"]

CLOSE_ENTHALPY = 0.002
"""eV/atom within which structures are compared although their fingerprints differ.

A minimum is flat: copies that are relaxed so badly that their fingerprints differ still agree in
energy to second order.
"""


class Form(Protocol):
    """A structure with what tells it from others; ``enthalpy_per_atom`` in eV/atom."""

    @property
    def candidate(self) -> Candidate: ...  # noqa: D102 - the class says what it is
    @property
    def fingerprint(self) -> FloatArray: ...  # noqa: D102 - the class says what it is
    @property
    def enthalpy_per_atom(self) -> float: ...  # noqa: D102 - the class says what it is


def twin_of(
    one: Form,
    others: Sequence[Form],
    calls: CloseCalls,
    window: float,
    apart: FloatArray | None = None,
) -> int | None:
    """Give the index of the structure among others that is the same one, None without.

    Parameters
    ----------
    one, others
        All by the same method.
    calls
        Compares; the nearest fingerprints come first.
    window
        eV/atom; structures whose enthalpies differ by more are never one. Those with fingerprints
        beyond the tolerance have to agree within :data:`CLOSE_ENTHALPY`.
    apart
        Cosine distances of its fingerprint to theirs, (m,), where they are known already.
    """
    if apart is None:
        apart = cosine_distances(one.fingerprint, [other.fingerprint for other in others])
    for k in np.argsort(apart, kind="stable").tolist():
        if apart[k] >= calls.reach:
            break
        allowed = window if apart[k] < calls.tolerance else min(window, CLOSE_ENTHALPY)
        if abs(one.enthalpy_per_atom - others[k].enthalpy_per_atom) > allowed:
            continue
        if calls.same(one.candidate, others[k].candidate, float(apart[k])):
            return int(k)
    return None
