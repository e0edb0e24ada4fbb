"""Soft-mode mutation: along a direction in which the energy rises least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.cells import spacing
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import reduced, too_close

__all__ = ["soft_mode"]

SOFTEST = 3.0
"""Mean rank of the drawn mode: the k-th softest is drawn in proportion to exp(−k/3)."""

AMPLITUDES = (0.2, 0.35, 0.5, 0.7, 0.9, 1.1)
"""Displacements of the atom that moves most, in (volume per atom)^⅓, tried in this order."""

SHARE = 0.5
"""Smallest drawn amplitude, as fraction of the largest that leaves the distances long enough."""

DRAWS = 4
"""Modes drawn until one can be followed."""


def soft_mode(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Displace the atoms along a soft mode of the committee at Γ, up or down.

    Barriers are lowest along directions of low curvature, so behind them lie other low minima.
    The mode is drawn among the softest (negative curvatures first), the amplitude between half
    of and all of the largest that leaves no two atoms too close.

    Parameters
    ----------
    parents
        One, of two atoms at least.
    rng
        Random stream of this offspring.
    context
        Shortest distances, and the vibrations of parents.

    Raises
    ------
    aga.errors.GenerationError
        No committee gives forces, or atoms get too close along every mode drawn.

    References
    ----------
    Lyakhov, Oganov & Valle, Comput. Phys. Commun. 181, 1623 (2010); there the Hessian
    is made of bond hardnesses, here it is the committee's.
    """
    (parent,) = parents
    if context.vibrations is None:
        raise GenerationError(f"{parent.name}: soft modes need the forces of a committee")
    vectors = context.vibrations.of(parent).vectors
    for _ in range(DRAWS):
        rank = min(int(rng.exponential(SOFTEST)), len(vectors) - 1)
        mode = vectors[rank] * rng.choice([-1.0, 1.0])
        mode /= np.linalg.norm(mode, axis=1).max()
        most = _farthest(parent, mode, context)
        if most > 0:
            step = rng.uniform(SHARE, 1.0) * most * mode
            return reduced(parent.moved(parent.positions + step))
        context.failed["soft_mode: blocked"] += 1
    raise GenerationError(f"{parent.name}: atoms too close along every mode")


def _farthest(parent: Candidate, mode: FloatArray, context: OperatorContext) -> float:
    """Give the largest amplitude in Å along a mode that leaves the distances allowed, or 0."""
    farthest = 0.0
    for amplitude in np.array(AMPLITUDES) * spacing(parent):
        if too_close(parent.moved(parent.positions + amplitude * mode), context.limits):
            break
        farthest = float(amplitude)
    return farthest
