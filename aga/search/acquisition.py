"""Acquisition: whom to send to the reference method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Literal

import numpy as np

from aga.config import SearchSettings
from aga.search.individual import Individual, Known
from aga.structure.candidate import FloatArray
from aga.structure.fingerprint import cosine_distances
from aga.structure.geometry import DistanceLimits, too_close
from aga.structure.volume import volume_allowed

__all__ = ["Acquisition", "Pick", "Refusal", "acquire"]

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
``spread``: above ``spread_max``; ``energy``: above the energy window; ``known``: labelled
already; ``pending``: like one whose label is under way; ``duplicate``: like one that is picked;
``untrusted_share``: enough untrusted ones are picked; ``number``: the batch is full.
"""

UNTRUSTED_WINDOW = 2.0
"""Energy windows allowed to a relaxation stopped by the committee's disagreement: half way down
a slope its energy is still high, and uncertain."""

SHARE = 1 / 3
"""Largest share of a batch for untrusted structures, and for structures labelled before."""

DIVERSITY = 5.0
"""Distance, in fingerprint tolerances, that the picks of a batch keep while others can be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A candidate for the reference method.

    ``score`` in eV/atom: enthalpy − κ·spread; ``why`` in words, with the numbers.
    """

    name: str
    score: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """The picks, best score first, and how many others were refused for which reason."""

    picks: tuple[Pick, ...]
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suitor:
    one: Individual
    score: float
    untrusted: bool
    again: bool
    why: str


def acquire(
    relaxed: Sequence[Individual],
    labelled: Sequence[Known],
    settings: SearchSettings,
    *,
    calls_left: int,
    pending: Sequence[FloatArray] = (),
) -> Acquisition:
    """Choose the candidates whose labels promise most: low in energy, or unlike what is known.

    Candidates are ordered by the lower confidence bound enthalpy − κ·spread and taken greedily:

    - Refused are exploded relaxations, unphysical geometries, spreads above ``spread_max``, and
      enthalpies more than ``energy_window`` above the lowest predicted one.
    - A relaxation that the committee's disagreement stopped (``untrusted``) is what teaches the
      potential most; it may be :data:`UNTRUSTED_WINDOW` windows above and gets at most a third
      of the batch, more only while trusted candidates can't fill it.
    - A labelled structure (fingerprint within the tolerance) is sent again only where the
      committee still disagrees by more than ``spread_min`` and either by more than the
      convergence tolerance or predicts an enthalpy lower than its label: then the relaxation
      has left the labelled geometry and its end is a question. At most a third of the batch.
    - Picks of one batch differ by :data:`DIVERSITY` fingerprint tolerances, by one where the
      batch would else not be full.
    - The last ``novel_share`` of the batch goes, one after the other, to the candidate that is
      least like anything labelled or picked (farthest-point sampling). A young potential is
      most wrong about bonding that it has never seen, and the committee, whose members share
      that ignorance, does not say so; without these picks a search can settle in the first
      funnel it finds.

    Parameters
    ----------
    relaxed
        Relaxed candidates of the iteration; all predictions by the newest committee.
    labelled
        Everything the reference method has labelled.
    settings
        Of the search.
    calls_left
        Reference calls that the budget still allows.
    pending
        Fingerprints of structures that the reference method has or will have in hand.

    References
    ----------
    The bound: Jørgensen et al., J. Phys. Chem. A 122, 1504 (2018) (GOFEE), lower confidence
    bound.
    """
    size = max(0, min(settings.acquisition.picks_per_iteration, calls_left))
    refused: Counter[str] = Counter()
    tolerance = settings.fingerprint_tolerance
    fresh = [
        one
        for one in relaxed
        if not one.fingerprint.size
        or (cosine_distances(one.fingerprint, pending) >= tolerance).all()
    ]
    refused["pending"] = len(relaxed) - len(fresh)
    suitors = _suitors(fresh, labelled, settings, refused)
    novel = round(settings.acquisition.novel_share * size)
    batch = _Batch(size, trusted=sum(not s.untrusted for s in suitors))
    batch.open = size - novel
    suitors = [s for s in suitors if not batch.take(s, DIVERSITY * tolerance)]
    batch.open = size
    suitors = _take_novel(batch, suitors, labelled, tolerance)
    suitors = [s for s in suitors if not batch.take(s, tolerance)]
    refused.update(batch.objection(s, tolerance) or "number" for s in suitors)
    chosen = sorted(batch.chosen, key=lambda s: (s.score, s.one.name))
    picks = tuple(Pick(name=s.one.name, score=s.score, why=s.why) for s in chosen)
    return Acquisition(picks=picks, refused={why: n for why, n in refused.items() if n})


def _take_novel(
    batch: _Batch, suitors: list[_Suitor], labelled: Sequence[Known], tolerance: float
) -> list[_Suitor]:
    """Fill the batch with those least alike anything seen; give those that are left."""
    seen = [k.fingerprint for k in labelled]
    left = list(suitors)
    while len(batch.chosen) < batch.open:
        others = [*seen, *(s.one.fingerprint for s in batch.chosen)]
        fresh = [s for s in left if batch.objection(s, DIVERSITY * tolerance) is None]
        if not fresh:
            break
        apart = [float(cosine_distances(s.one.fingerprint, others).min(initial=2)) for s in fresh]
        farthest = fresh[int(np.argmax(apart))]
        batch.take(farthest, DIVERSITY * tolerance)
        left = [s for s in left if s is not farthest]
    return left


class _Batch:
    """The picks so far, and what may still join them."""

    def __init__(self, size: int, trusted: int) -> None:
        self.open = size
        """Places that may be taken now."""
        self.chosen: list[_Suitor] = []
        self.most_again = ceil(SHARE * size)
        self.most_untrusted = max(self.most_again, size - trusted)

    def take(self, suitor: _Suitor, apart: float) -> bool:
        """Let the suitor join where nothing speaks against it."""
        welcome = self.objection(suitor, apart) is None
        if welcome:
            self.chosen.append(suitor)
        return welcome

    def objection(self, suitor: _Suitor, apart: float) -> Refusal | None:
        """Say what speaks against the suitor at this least fingerprint distance."""
        distances = cosine_distances(
            suitor.one.fingerprint, [s.one.fingerprint for s in self.chosen]
        )
        if distances.size and distances.min() < apart:
            return "duplicate"
        if suitor.untrusted and sum(s.untrusted for s in self.chosen) >= self.most_untrusted:
            return "untrusted_share"
        if suitor.again and sum(s.again for s in self.chosen) >= self.most_again:
            return "known"
        return "number" if len(self.chosen) >= self.open else None


def _suitors(
    relaxed: Sequence[Individual],
    labelled: Sequence[Known],
    settings: SearchSettings,
    refused: Counter[str],
) -> list[_Suitor]:
    """Keep those that may be sent at all, best score first; count the others."""
    limits = DistanceLimits.from_settings(settings)
    physical: list[Individual] = []
    for one in relaxed:
        if one.relaxed.reason == "exploded" or one.fingerprint.size == 0:
            refused["exploded"] += 1
        elif not volume_allowed(one.candidate, settings) or too_close(one.candidate, limits):
            refused["unphysical"] += 1
        elif one.energy_spread > settings.acquisition.spread_max:
            refused["spread"] += 1
        else:
            physical.append(one)
    lowest = _lowest(physical, labelled)
    suitors: list[_Suitor] = []
    for one in physical:
        verdict = _judge(one, labelled, settings, lowest)
        if isinstance(verdict, str):
            refused[verdict] += 1
        else:
            suitors.append(verdict)
    return sorted(suitors, key=lambda s: (s.score, s.one.name))


def _lowest(physical: Sequence[Individual], labelled: Sequence[Known]) -> float:
    """Lowest enthalpy per atom that the window is measured from.

    Untrusted predictions are no measure: a hole in the potential would shut out everything.
    """
    trusted = [one.enthalpy_per_atom for one in physical if one.relaxed.reason != "untrusted"]
    return min([*trusted, *(k.enthalpy_per_atom for k in labelled)], default=inf)


def _judge(
    one: Individual, labelled: Sequence[Known], settings: SearchSettings, lowest: float
) -> _Suitor | Refusal:
    rule = settings.acquisition
    untrusted = one.relaxed.reason == "untrusted"
    above = one.enthalpy_per_atom - lowest
    if above > rule.energy_window * (UNTRUSTED_WINDOW if untrusted else 1.0):
        return "energy"
    apart = cosine_distances(one.fingerprint, [k.fingerprint for k in labelled])
    twins = [labelled[int(i)] for i in np.flatnonzero(apart < settings.fingerprint_tolerance)]
    if twins and not _worth_again(one, twins, settings):
        return "known"
    spread = f"{one.energy_spread * 1000:.1f} meV/atom committee spread"
    words = [f"{one.enthalpy_per_atom:.4f} eV/atom predicted", spread]
    if untrusted:
        words.append("relaxation stopped where the committee disagreed")
    if twins:
        words.append(f"again: like {twins[0].name}, labelled {twins[0].enthalpy_per_atom:.4f}")
    return _Suitor(
        one=one,
        score=one.enthalpy_per_atom - rule.kappa * one.energy_spread,
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
