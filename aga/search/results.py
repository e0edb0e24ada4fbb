"""The end of a search: whom the reference method relaxes, and the ranking of what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aga.config import SearchSettings
from aga.search.individual import Individual, Known
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.fingerprint import cosine_distances, fingerprint
from aga.structure.protocols import Label
from aga.structure.symmetry import SpaceGroup, space_group
from aga.units import ev_per_a3_from_gpa

__all__ = ["Finalist", "Result", "final_relaxations", "rank"]

DUPLICATE_ENTHALPY = 0.005
"""eV/atom within which relaxed structures of one fingerprint are the same result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A structure to be relaxed by the reference method.

    ``enthalpy_per_atom`` in eV/atom by the reference method (``labelled``) or the committee
    (``predicted``).
    """

    candidate: Candidate
    enthalpy_per_atom: float
    basis: Literal["labelled", "predicted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One structure found, relaxed by the reference method.

    ``rank`` from 0, the lowest; ``enthalpy_per_atom`` and ``energy_per_atom`` in eV/atom by the
    reference method; ``twins`` names of relaxed finalists that ended in the same structure.
    """

    rank: int
    candidate: Candidate
    label: Label
    energy_per_atom: float
    enthalpy_per_atom: float
    space_group: SpaceGroup
    fingerprint: FloatArray
    twins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    finalist: Finalist
    fingerprint: FloatArray


def final_relaxations(
    labelled: Sequence[Known], predicted: Sequence[Individual], settings: SearchSettings
) -> list[Finalist]:
    """Choose the best distinct structures for relaxation by the reference method.

    Labelled structures by their reference enthalpy and trusted predictions compete in one list,
    the lowest first; of structures with one fingerprint a labelled one goes before a predicted
    one, then the lower. Predictions get at most half of the places (rounded down) while labelled
    structures can fill the others: a label is a fact.

    Returns
    -------
    list of Finalist
        At most ``final_relaxations``, lowest first.
    """
    entries = [
        _Entry(
            Finalist(
                candidate=k.candidate, enthalpy_per_atom=k.enthalpy_per_atom, basis="labelled"
            ),
            k.fingerprint,
        )
        for k in labelled
    ]
    entries = _distinct(entries, settings.fingerprint_tolerance)
    trusted = [
        _Entry(
            Finalist(
                candidate=p.candidate, enthalpy_per_atom=p.enthalpy_per_atom, basis="predicted"
            ),
            p.fingerprint,
        )
        for p in predicted
        if p.relaxed.reason in {"converged", "step_limit"}
        and p.fingerprint.size
        and p.energy_spread <= settings.acquisition.spread_max
    ]
    merged = _distinct(trusted, settings.fingerprint_tolerance, entries)
    places = settings.final_relaxations
    for_predictions = max(places // 2, places - len(entries))
    chosen: list[Finalist] = []
    for entry in sorted(merged, key=_order):
        guess = entry.finalist.basis == "predicted"
        if guess and sum(f.basis == "predicted" for f in chosen) >= for_predictions:
            continue
        chosen.append(entry.finalist)
    return chosen[:places]


def _order(entry: _Entry) -> tuple[float, str]:
    return entry.finalist.enthalpy_per_atom, entry.finalist.candidate.name


def _distinct(
    entries: Sequence[_Entry], tolerance: float, kept: Sequence[_Entry] = ()
) -> list[_Entry]:
    """Add to the kept ones, the lowest first, those unlike all others."""
    result = list(kept)
    for entry in sorted(entries, key=_order):
        apart = cosine_distances(entry.fingerprint, [k.fingerprint for k in result])
        if (apart >= tolerance).all():
            result.append(entry)
    return result


def rank(relaxed: Sequence[tuple[Candidate, Label]], settings: SearchSettings) -> list[Result]:
    """Rank structures relaxed by the reference method and merge those that became one.

    Parameters
    ----------
    relaxed
        Relaxed finalists with their labels, under the finalists' names.
    settings
        Pressure and tolerances.

    Returns
    -------
    list of Result
        Lowest enthalpy first; the candidates are named ``r000-NAME`` with the finalist as their
        parent and ``reference_relaxation`` as operator.
    """
    pressure = ev_per_a3_from_gpa(settings.pressure)
    order = sorted(relaxed, key=lambda one: (_enthalpy(one[0], one[1], pressure), one[0].name))
    groups: list[tuple[Candidate, Label, FloatArray, list[str]]] = []
    for candidate, label in order:
        own = fingerprint(candidate)
        apart = cosine_distances(own, [g[2] for g in groups])
        for k in np.flatnonzero(apart < settings.fingerprint_tolerance):
            other, its_label, _, twins = groups[int(k)]
            gap = _enthalpy(candidate, label, pressure) - _enthalpy(other, its_label, pressure)
            if gap < DUPLICATE_ENTHALPY:
                twins.append(candidate.name)
                break
        else:
            groups.append((candidate, label, own, []))
    return [
        Result(
            rank=k,
            candidate=candidate.renamed(
                f"r{k:03d}-{candidate.name}",
                Lineage(
                    operator="reference_relaxation",
                    parents=(candidate.name,),
                    generation=candidate.lineage.generation,
                ),
            ),
            label=label,
            energy_per_atom=label.energy / len(candidate),
            enthalpy_per_atom=_enthalpy(candidate, label, pressure),
            space_group=space_group(candidate, settings.symmetry_tolerance),
            fingerprint=own,
            twins=tuple(twins),
        )
        for k, (candidate, label, own, twins) in enumerate(groups)
    ]


def _enthalpy(candidate: Candidate, label: Label, pressure: float) -> float:
    """Give (E + pV)/n in eV/atom, the pressure in eV/Å³."""
    return (label.energy + pressure * candidate.volume) / len(candidate)
