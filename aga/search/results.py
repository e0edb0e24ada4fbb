"""The end of a search: whom the reference method relaxes, and the ranking of what comes out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aga.config import SearchSettings
from aga.search.discovery import Census, Discovery, Geometries, Shape, Sighting
from aga.search.duplicates import twin_of
from aga.search.individual import Individual, Known
from aga.search.standard_cell import standard_cell
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.fingerprint import fingerprint
from aga.structure.matching import CloseCalls
from aga.structure.protocols import Label
from aga.structure.prototype_names import PrototypeName, prototype_of
from aga.structure.symmetry import SpaceGroup, space_groups
from aga.units import ev_per_a3_from_gpa

__all__ = ["Finalist", "Result", "discovered", "final_relaxations", "rank"]

DUPLICATE_ENTHALPY = 0.005
"""eV/atom within which relaxed structures can be the same result."""


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

    ``rank`` from 0, the lowest; ``candidate`` as it was relaxed; ``enthalpy_per_atom`` and
    ``energy_per_atom`` in eV/atom by the reference method; the space groups as of
    :class:`aga.search.individual.Individual`; ``symmetrised`` the conventional cell of exact
    symmetry, None where that would cost energy (:func:`aga.search.standard_cell.standard_cell`);
    ``twins`` names of relaxed finalists that ended in the same structure; ``prototype`` the
    structure type, None where it is none of those known; ``found`` tells how the search found it,
    None before :func:`discovered` and where no candidate was it.
    """

    rank: int
    candidate: Candidate
    label: Label
    energy_per_atom: float
    enthalpy_per_atom: float
    space_group: SpaceGroup
    space_group_strict: SpaceGroup
    fingerprint: FloatArray
    symmetrised: Candidate | None = None
    twins: tuple[str, ...] = ()
    prototype: PrototypeName | None = None
    found: Discovery | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entry:
    candidate: Candidate
    enthalpy_per_atom: float
    fingerprint: FloatArray
    basis: Literal["labelled", "predicted"]


def final_relaxations(
    labelled: Sequence[Known], predicted: Sequence[Individual], settings: SearchSettings
) -> list[Finalist]:
    """Choose the best distinct structures for relaxation by the reference method.

    Labelled structures by their reference enthalpy and trusted predictions compete in one list,
    the lowest first; of structures that are one (:func:`aga.search.duplicates.twin_of`) a labelled
    one goes before a predicted one, then the lower. Predictions get at most half of the places
    (rounded down) while labelled structures can fill the others: a label is a fact.

    Returns
    -------
    list of Finalist
        At most ``final_relaxations``, lowest first.
    """
    places, calls = settings.final_relaxations, CloseCalls(settings.fingerprint_tolerance)
    facts = [_entry(one, "labelled") for one in labelled]
    guesses = [
        _entry(one, "predicted")
        for one in predicted
        if one.relaxed.reason in {"converged", "step_limit"}
        and one.fingerprint.size
        and one.energy_spread <= settings.acquisition.spread_max
    ]
    known = _distinct(facts, (), places, calls)
    new = _distinct(guesses, facts, places, calls)
    for_predictions = max(places // 2, places - len(known))
    chosen = sorted([*known, *new[:for_predictions]], key=_order)[:places]
    return [
        Finalist(candidate=e.candidate, enthalpy_per_atom=e.enthalpy_per_atom, basis=e.basis)
        for e in chosen
    ]


def _entry(one: Known | Individual, basis: Literal["labelled", "predicted"]) -> _Entry:
    return _Entry(
        candidate=one.candidate,
        enthalpy_per_atom=one.enthalpy_per_atom,
        fingerprint=one.fingerprint,
        basis=basis,
    )


def _order(entry: _Entry) -> tuple[float, str]:
    return entry.enthalpy_per_atom, entry.candidate.name


def _distinct(
    entries: Sequence[_Entry], others: Sequence[_Entry], most: int, calls: CloseCalls
) -> list[_Entry]:
    """Give the lowest entries, ``most`` of them, that are unlike each other and all others."""
    result: list[_Entry] = []
    for entry in sorted(entries, key=_order):
        if len(result) == most:
            break
        # unrelaxed, or by different methods: their enthalpies say nothing of who is who
        if twin_of(entry, [*others, *result], calls, math.inf) is None:
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
    calls = CloseCalls(settings.fingerprint_tolerance)
    ended = [
        _Ended(
            candidate=candidate,
            enthalpy_per_atom=(label.energy + pressure * candidate.volume) / len(candidate),
            fingerprint=fingerprint(candidate),
            label=label,
        )
        for candidate, label in relaxed
    ]
    distinct: list[_Ended] = []
    twins: list[list[str]] = []
    for one in sorted(ended, key=lambda one: (one.enthalpy_per_atom, one.candidate.name)):
        k = twin_of(one, distinct, calls, DUPLICATE_ENTHALPY)
        if k is None:
            distinct.append(one)
            twins.append([])
        else:
            twins[k].append(one.candidate.name)
    return [
        _result(k, one, tuple(names), settings.symmetry_tolerance)
        for k, (one, names) in enumerate(zip(distinct, twins, strict=True))
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ended:
    candidate: Candidate
    enthalpy_per_atom: float
    fingerprint: FloatArray
    label: Label


def _result(place: int, one: _Ended, twins: tuple[str, ...], tolerance: float) -> Result:
    candidate, groups = one.candidate, space_groups(one.candidate, tolerance)
    lineage = Lineage(
        operator="reference_relaxation",
        parents=(candidate.name,),
        generation=candidate.lineage.generation,
    )
    return Result(
        rank=place,
        candidate=candidate.renamed(f"r{place:03d}-{candidate.name}", lineage),
        label=one.label,
        energy_per_atom=one.label.energy / len(candidate),
        enthalpy_per_atom=one.enthalpy_per_atom,
        space_group=groups.loose,
        space_group_strict=groups.strict,
        fingerprint=one.fingerprint,
        symmetrised=standard_cell(candidate, one.label, tolerance),
        twins=twins,
        prototype=prototype_of(candidate, tolerance),
    )


def discovered(
    results: Sequence[Result],
    parts: Iterable[Sequence[Sighting]],
    geometries: Geometries,
    settings: SearchSettings,
    calls: Mapping[int, int],
) -> list[Result]:
    """Say of each result how the search found it.

    Parameters
    ----------
    results
        See :func:`rank`.
    parts
        All candidates of the search, such as an iteration at a time.
    geometries
        Gives structures of the search by name, finalists too; those that it lacks are left out.
    settings
        Tolerance of fingerprints.
    calls
        Reference calls spent at the end of each iteration.
    """
    ends = [(*one.candidate.lineage.parents, *one.twins) for one in results]
    finalists = geometries([name for names in ends for name in names])
    shapes = [
        [Shape(candidate=one.candidate, fingerprint=one.fingerprint)]
        + [
            Shape(candidate=finalists[name], fingerprint=fingerprint(finalists[name]))
            for name in names
            if name in finalists
        ]
        for one, names in zip(results, ends, strict=True)
    ]
    census = Census(shapes, settings.fingerprint_tolerance)
    for part in parts:
        census.add(part, geometries)
    found = census.discoveries(calls)
    return [replace(one, found=how) for one, how in zip(results, found, strict=True)]
