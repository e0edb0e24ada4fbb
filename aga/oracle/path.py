"""The path of a relaxation as its label tells it: only what is as good as a label."""

from __future__ import annotations

from collections.abc import Iterable

from aga.errors import OracleError
from aga.oracle.validation import Output, check_volume, validate
from aga.structure.candidate import Candidate
from aga.structure.protocols import PathPoint

__all__ = ["path_points"]


def path_points(
    start: Candidate,
    steps: Iterable[tuple[Candidate, Output]],
    *,
    max_force: float,
    source: str,
) -> tuple[PathPoint, ...]:
    """Give the steps of a relaxation that may be learned from, in their order.

    What a relaxation can live with on its way, such as the forces of atoms that nearly touch, is
    nothing to learn from: the same is asked of each step as of a label
    (:func:`aga.oracle.validation.validate`), and those that do not stand it are left out.

    Parameters
    ----------
    start
        What the relaxation began with.
    steps
        Structures of the same atoms in the same cell vectors, each with what was said of it.
    max_force
        eV/Å; a label above is refused.
    source
        Name of the engine.
    """
    found = []
    for candidate, output in steps:
        where = f"{source}: {candidate.name}"
        try:
            check_volume(candidate.volume, start.volume, where=where)
            validate(output, candidate, max_force=max_force, needs_stress=True, source=source)
        except OracleError:
            continue
        assert output.energy is not None  # noqa: S101 - shown by validate, for the type checker
        assert output.forces is not None  # noqa: S101 - shown by validate, for the type checker
        found.append(
            PathPoint(
                positions=candidate.positions,
                cell=candidate.cell,
                energy=float(output.energy),
                forces=output.forces,
                stress=output.stress,
            )
        )
    return tuple(found)
