"""What counts as a usable result: decided from the output alone, the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aga.errors import OracleError
from aga.structure.candidate import Candidate, FloatArray

__all__ = ["Output", "check_volume", "force_norm", "validate"]

NET_FORCE = 0.02
"""eV/Å per atom: grids leave a small net force, a wrong sum a big one."""

VOLUME_RATIO = 10.0
"""A relaxation that changes the volume by more than this has left physics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What an engine printed, before anybody believes it.

    ``energy`` eV; ``forces`` (n, 3) eV/Å; ``stress`` (6,) eV/Å³, ASE sign, Voigt; each None
    where it is missing. ``converged``: the method says its own iterations have converged.
    """

    energy: float | None
    forces: FloatArray | None
    stress: FloatArray | None
    converged: bool = True


def force_norm(forces: FloatArray) -> float:
    """Give the largest norm over atoms of (n, 3) forces, in their unit."""
    return float(np.linalg.norm(forces, axis=1).max())


def validate(
    output: Output,
    candidate: Candidate,
    *,
    max_force: float | None,
    needs_stress: bool,
    source: str,
) -> None:
    """Refuse a result that must not be learned from.

    Parameters
    ----------
    output
        Energy, forces and stress as they came out.
    candidate
        The structure they belong to.
    max_force
        eV/Å above which the structure counts as exploded; None: no limit.
    needs_stress
        Whether a missing stress makes the output incomplete.
    source
        Name of the engine, for the message.

    Raises
    ------
    aga.errors.OracleError
        With the reason ``not_converged``, ``incomplete``, ``non_finite``, ``exploded`` or
        ``garbage``.
    """
    where = f"{source}: {candidate.name}"
    if not output.converged:
        raise OracleError(f"{where}: not converged", reason="not_converged")
    _complete(output, len(candidate), needs_stress=needs_stress, where=where)
    assert output.energy is not None  # noqa: S101 - shown by _complete, for the type checker
    assert output.forces is not None  # noqa: S101 - shown by _complete, for the type checker
    for key in ("energy", "forces", "stress"):
        value = getattr(output, key)
        if value is not None and not np.isfinite(value).all():
            raise OracleError(f"{where}: {key} not finite", reason="non_finite", quantity=key)
    largest = force_norm(output.forces)
    if max_force is not None and largest > max_force:
        raise OracleError(
            f"{where}: a force of {largest:.1f} eV/Å is above the limit of {max_force:g} eV/Å",
            reason="exploded",
            remedy="raise oracle.max_force to accept such structures",
            force=largest,
        )
    net = float(np.abs(output.forces.sum(axis=0)).max())
    if net > NET_FORCE * len(candidate) + 1e-4 * largest:
        raise OracleError(
            f"{where}: the forces sum to {net:.3f} eV/Å instead of zero",
            reason="garbage",
            net_force=net,
        )


def _complete(output: Output, n: int, *, needs_stress: bool, where: str) -> None:
    found = {
        "energy": None if output.energy is None else np.shape(output.energy),
        "forces": None if output.forces is None else np.shape(output.forces),
        "stress": None if output.stress is None else np.shape(output.stress),
    }
    wanted: dict[str, tuple[int, ...]] = {"energy": (), "forces": (n, 3), "stress": (6,)}
    for key, shape in wanted.items():
        if found[key] is None and key == "stress" and not needs_stress:
            continue
        if found[key] != shape:
            what = "no" if found[key] is None else f"shape {found[key]} of"
            raise OracleError(
                f"{where}: {what} {key} in the output", reason="incomplete", quantity=key
            )


def check_volume(volume: float, start: float, *, where: str) -> None:
    """Refuse a cell that has collapsed or blown up during a relaxation.

    Parameters
    ----------
    volume, start
        Volume now and at the start, Å³.
    where
        Engine and structure, for the message.

    Raises
    ------
    aga.errors.OracleError
        With the reason ``exploded``.
    """
    if not start / VOLUME_RATIO <= volume <= start * VOLUME_RATIO:
        raise OracleError(
            f"{where}: the cell went from {start:.1f} to {volume:.1f} Å³ during the relaxation",
            reason="exploded",
            volume=volume,
            start=start,
        )
