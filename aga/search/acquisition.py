"""Acquisition: whom to send to the reference method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf

import numpy as np

from aga.config import SearchSettings
from aga.search.individual import Individual, Known
from aga.search.suitors import Refusal, Suitor, suitors_of, trusted
from aga.structure.candidate import FloatArray
from aga.structure.fingerprint import cosine_distances

__all__ = ["Acquisition", "Pick", "acquire"]

SHARE = 1 / 3
"""Largest share of a batch for untrusted structures, and for structures labelled before."""

ROUND = 3
"""Picks in which the weight of novelty goes from nothing to ν."""

DIVERSITY = 5.0
"""Distance, in fingerprint tolerances, that the picks of a batch keep while others can be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A candidate for the reference method.

    ``score`` in eV/atom, as it was when the candidate was chosen (:func:`acquire`); ``why`` in
    words, with the numbers.
    """

    name: str
    score: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """The picks, the most promising first, and how many others were refused for which reason.

    ``lost``: nothing could be picked, and the committee can't be trusted with a single
    relaxation. Then it takes labels that it has no say in, of new random crystals.
    """

    picks: tuple[Pick, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    lost: bool = False


def acquire(
    relaxed: Sequence[Individual],
    labelled: Sequence[Known],
    settings: SearchSettings,
    *,
    calls_left: int,
    pending: Sequence[FloatArray] = (),
    others: Sequence[FloatArray] = (),
) -> Acquisition:
    """Choose the candidates whose labels promise most: low, uncertain, unlike what is known.

    One after the other is taken, each time the one of lowest score

        enthalpy − κ·spread − ν·c·distance        (eV/atom).

    The first two terms are a lower confidence bound. The distance, of fingerprints, is that to
    the nearest structure that is labelled, under way or picked before, so that each pick makes
    what is like it less attractive. It is there because a young potential is most wrong about
    bonding that it has never seen, and the committee, whose members share that ignorance, does
    not say so; without it a search can settle in the first funnel it finds. From one pick to the
    next c goes round 0, ½, 1 (:data:`ROUND`), whatever the size of a batch: the bound alone,
    then novelty as well. Within a batch those with the least c come first.

    - Refused are exploded relaxations, unphysical geometries, spreads above ``spread_max`` or
      ``force_spread_max``, and enthalpies more than ``energy_window`` above the lowest predicted.
    - A relaxation that the committee's disagreement stopped (``untrusted``) is what teaches the
      potential most; it may be two windows above and gets at most
      a third of the batch, more only while trusted candidates can't fill it.
    - A labelled structure (fingerprint within the tolerance) is sent again only with a question:
      where the committee still disagrees by more than ``spread_min`` and either by more than the
      convergence tolerance or predicts an enthalpy lower than its label, and where nothing lower
      is predicted, nothing unlike it labelled lower, and its minimum has moved, since what is
      found lowest has to be known well. At most a third of the batch.
    - Picks of one batch differ by :data:`DIVERSITY` fingerprint tolerances, by one where the
      batch would else not be full.

    Parameters
    ----------
    relaxed
        Relaxed candidates of the iteration; all predictions by the newest committee.
    labelled
        What the reference method has labelled.
    settings
        Of the search.
    calls_left
        Reference calls that the budget still allows.
    pending
        Fingerprints of structures that the reference method has or will have in hand.
    others
        Fingerprints of what is labelled and fits into no cell of the search: known, and no rival.

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
    suitors = suitors_of(fresh, labelled, settings, refused)
    seen = [*(one.fingerprint for one in labelled), *others, *pending]
    batch = _Batch(suitors, seen, size, settings.acquisition.novelty_weight)
    for apart in (DIVERSITY * tolerance, tolerance):
        batch.fill(apart)
    refused.update(batch.objections(tolerance))
    return Acquisition(
        picks=tuple(batch.picks),
        refused={why: n for why, n in refused.items() if n},
        lost=bool(relaxed) and not batch.picks and not trusted(relaxed, settings),
    )


class _Batch:
    """The picks, taken one after the other from the suitors.

    Parameters
    ----------
    suitors
        N that may be sent.
    seen
        Fingerprints of what is labelled or under way.
    size
        Places.
    weight
        ν, in eV/atom.
    """

    def __init__(
        self, suitors: Sequence[Suitor], seen: Sequence[FloatArray], size: int, weight: float
    ) -> None:
        self.picks: list[Pick] = []
        self._suitors = suitors
        self._size, self._weight = size, weight
        self._places = sorted((len(seen) + k) % ROUND for k in range(size))
        self._bounds = np.array([s.bound for s in suitors])
        self._from_seen = np.array([_nearest(s.one.fingerprint, seen) for s in suitors])
        self._from_picks = np.full(len(suitors), inf)
        self._chosen: list[int] = []
        self._most_again = ceil(SHARE * size)
        trusted = sum(not s.untrusted for s in suitors)
        self._most_untrusted = max(self._most_again, size - trusted)

    def fill(self, apart: float) -> None:
        """Take those of lowest score that are at least this far from every other pick."""
        while len(self._chosen) < self._size:
            distances = np.minimum(self._from_seen, self._from_picks)
            distances[~np.isfinite(distances)] = 0.0  # nothing is seen: all are alike new
            place = self._places[len(self._chosen)]
            scores = self._bounds - self._weight * place / (ROUND - 1) * distances
            order = np.argsort(scores, kind="stable").tolist()
            best = next((k for k in order if self._objection(k, apart) is None), None)
            if best is None:
                return
            self._take(best, float(scores[best]), float(distances[best]))

    def _take(self, place: int, score: float, distance: float) -> None:
        suitor = self._suitors[place]
        words = f"{suitor.why}, {distance:.3f} from the nearest known fingerprint"
        self.picks.append(Pick(name=suitor.one.name, score=score, why=words))
        self._chosen.append(place)
        prints = [other.one.fingerprint for other in self._suitors]
        apart = cosine_distances(suitor.one.fingerprint, prints)
        self._from_picks = np.minimum(self._from_picks, apart)

    def _objection(self, place: int, apart: float) -> Refusal | None:
        """Say what speaks against a suitor at this least distance from the other picks."""
        suitor, chosen = self._suitors[place], [self._suitors[k] for k in self._chosen]
        if self._from_picks[place] < apart:
            return "duplicate"
        if suitor.untrusted and sum(s.untrusted for s in chosen) >= self._most_untrusted:
            return "untrusted_share"
        if suitor.again and sum(s.again for s in chosen) >= self._most_again:
            return "known"
        return "number" if len(chosen) >= self._size else None

    def objections(self, apart: float) -> list[Refusal]:
        """Say of each that was not taken why."""
        left = [k for k in range(len(self._suitors)) if k not in self._chosen]
        return [self._objection(k, apart) or "number" for k in left]


def _nearest(one: FloatArray, others: Sequence[FloatArray]) -> float:
    """Give the distance to the nearest other fingerprint."""
    return float(cosine_distances(one, others).min(initial=inf))
