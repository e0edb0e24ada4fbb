"""Who may be sent to the reference method, and who is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np

from aga.config import SearchSettings
from aga.search.individual import Individual, Known
from aga.structure.fingerprint import cosine_distances
from aga.structure.geometry import DistanceLimits, too_close
from aga.structure.volume import volume_allowed

__all__ = ["Refusal", "Suitor", "suitors_of", "trusted"]

Refusal = Literal[
    "exploded",
    "unphysical",
    "spread",
    "energy",
    "known",
    "pending",
    "duplicate",
    "untrusted_share",
    "number",
]
"""Why a candidate was not picked.

``exploded``: the relaxation failed; ``unphysical``: atoms too close or volume out of range;
``spread``: above ``spread_max`` or ``force_spread_max``; ``energy``: above the energy window;
``known``: labelled already; ``pending``: like one whose label is under way; ``duplicate``: like
one that is picked; ``untrusted_share``: enough untrusted ones are picked; ``number``: the batch
is full.
"""

UNTRUSTED_WINDOW = 2.0
"""Energy windows allowed to a relaxation stopped by the committee's disagreement: half way down
a slope its energy is still high, and uncertain."""

MOVED = 0.025
"""Distance, in fingerprint tolerances, to the nearest label of a structure that has moved: about
1 meV/atom up the slope."""

LEADING = 1e-4
"""eV/atom within which relaxations to the same minimum agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitor:
    """A candidate that may be sent.

    ``bound`` is enthalpy − κ·spread in eV/atom; ``again``: a structure like it is labelled;
    ``why`` it would be sent, in words.
    """

    one: Individual
    bound: float
    untrusted: bool
    again: bool
    why: str


def suitors_of(
    relaxed: Sequence[Individual],
    labelled: Sequence[Known],
    settings: SearchSettings,
    refused: Counter[str],
) -> list[Suitor]:
    """Keep those that may be sent at all, lowest bound first.

    Parameters
    ----------
    relaxed
        Relaxed candidates.
    labelled
        Everything the reference method has labelled.
    settings
        Of the search.
    refused
        Counts the others, by the reason.
    """
    physical: list[Individual] = []
    for one in relaxed:
        objection = _objection(one, settings)
        if objection is None:
            physical.append(one)
        else:
            refused[objection] += 1
    lowest = _Lowest.of(physical, labelled)
    suitors: list[Suitor] = []
    for one in physical:
        verdict = _judge(one, labelled, settings, lowest)
        if isinstance(verdict, str):
            refused[verdict] += 1
        else:
            suitors.append(verdict)
    return sorted(suitors, key=lambda s: (s.bound, s.one.name))


def trusted(relaxed: Sequence[Individual], settings: SearchSettings) -> bool:
    """Tell whether the committee can be trusted with a single one of these relaxations."""
    return any(
        one.relaxed.reason != "untrusted" and _objection(one, settings) is None for one in relaxed
    )


def _objection(one: Individual, settings: SearchSettings) -> Refusal | None:
    """Say why a candidate is no sensible structure, if it is none."""
    if one.relaxed.reason == "exploded" or one.fingerprint.size == 0:
        return "exploded"
    limits = DistanceLimits.from_settings(settings)
    if not volume_allowed(one.candidate, settings) or too_close(one.candidate, limits):
        return "unphysical"
    rule = settings.acquisition
    most = inf if rule.force_spread_max is None else rule.force_spread_max
    if one.energy_spread > rule.spread_max or one.relaxed.force_spread > most:
        return "spread"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lowest:
    """Lowest enthalpies in eV/atom: by a trusted prediction, and by a label.

    Untrusted predictions are no measure: a hole in the potential would shut out everything.
    """

    predicted: float
    labelled: float

    @classmethod
    def of(cls, physical: Sequence[Individual], labelled: Sequence[Known]) -> _Lowest:
        trusted = [one.enthalpy_per_atom for one in physical if one.relaxed.reason != "untrusted"]
        labels = [one.enthalpy_per_atom for one in labelled]
        return cls(predicted=min(trusted, default=inf), labelled=min(labels, default=inf))


def _judge(
    one: Individual, labelled: Sequence[Known], settings: SearchSettings, lowest: _Lowest
) -> Suitor | Refusal:
    rule = settings.acquisition
    untrusted = one.relaxed.reason == "untrusted"
    above = one.enthalpy_per_atom - min(lowest.predicted, lowest.labelled)
    if above > rule.energy_window * (UNTRUSTED_WINDOW if untrusted else 1.0):
        return "energy"
    apart = cosine_distances(one.fingerprint, [k.fingerprint for k in labelled])
    twins = [labelled[int(i)] for i in np.flatnonzero(apart < settings.fingerprint_tolerance)]
    moved = apart.min(initial=inf) > MOVED * settings.fingerprint_tolerance
    if twins and not (
        _worth_again(one, twins, settings) or (moved and _leads(one, twins, lowest, settings))
    ):
        return "known"
    spread = f"{one.energy_spread * 1000:.1f} meV/atom committee spread"
    words = [f"{one.enthalpy_per_atom:.4f} eV/atom predicted", spread]
    if untrusted:
        words.append("relaxation stopped where the committee disagreed")
    if twins:
        words.append(f"again: like {twins[0].name}, labelled {twins[0].enthalpy_per_atom:.4f}")
    return Suitor(
        one=one,
        bound=one.enthalpy_per_atom - rule.kappa * one.energy_spread,
        untrusted=untrusted,
        again=bool(twins),
        why=", ".join(words),
    )


def _worth_again(one: Individual, twins: Sequence[Known], settings: SearchSettings) -> bool:
    """Tell whether a labelled structure still has something to say."""
    if one.energy_spread <= settings.acquisition.spread_min:
        return False
    label = min(twin.enthalpy_per_atom for twin in twins)
    tolerance = settings.convergence.energy_tolerance
    return (
        one.energy_spread > settings.convergence.spread_tolerance
        or one.enthalpy_per_atom < label - tolerance
    )


def _leads(
    one: Individual, twins: Sequence[Known], lowest: _Lowest, settings: SearchSettings
) -> bool:
    """Tell whether nothing lower is predicted, and nothing unlike it is labelled lower.

    The label of what is like it counts as its own: committees that misfit their lowest label by
    10 meV/atom are common while labels are few, and then most need another one there.
    """
    own = min(one.enthalpy_per_atom, *(twin.enthalpy_per_atom for twin in twins))
    return (
        one.enthalpy_per_atom <= lowest.predicted + LEADING
        and own <= lowest.labelled + settings.convergence.energy_tolerance
    )
