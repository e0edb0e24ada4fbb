"""One iteration: who goes to the reference method, and what the answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from aga.config import SearchSettings
from aga.search.acquisition import Acquisition, acquire
from aga.search.convergence import IterationRecord, Verdict, assess, record_iteration
from aga.search.duplicates import twin_of
from aga.search.individual import Individual, Known, describe, known
from aga.search.initial import begin_anew
from aga.search.results import Finalist, final_relaxations
from aga.structure.allowed_cells import in_allowed_cell
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.fingerprint import fingerprint
from aga.structure.matching import CloseCalls
from aga.structure.protocols import Committee, Frame, Relaxed, Relaxer
from aga.units import ev_per_a3_from_gpa

__all__ = [
    "Labelled",
    "asked_again",
    "choose",
    "finalists",
    "judge",
    "known_structures",
    "newcomers",
    "prepared",
]


NO_PRINTS: Mapping[str, FloatArray] = {}


class Labelled(NamedTuple):
    """What is labelled and has the composition of a search.

    ``known``: what fits into a cell of the search, lowest enthalpy first; ``others``: fingerprints
    of the rest, which teaches the committee and is no rival.
    """

    known: list[Known]
    others: list[FloatArray]


def known_structures(
    frames: Sequence[Frame], settings: SearchSettings, prints: Mapping[str, FloatArray] = NO_PRINTS
) -> Labelled:
    """Tell what of the labelled structures a search compares its own with.

    A crystal in a larger cell than the search allows is there in the smaller one that it repeats,
    if it repeats one. Other compositions are left out: a user's own frames may have them.

    Parameters
    ----------
    frames
        Everything labelled.
    settings
        Of the search.
    prints
        Fingerprints known already, by name.
    """
    found = Labelled(known=[], others=[])
    for frame in _of_composition(frames, settings):
        cell = in_allowed_cell(frame.candidate, settings)
        one = known(frame, settings, prints.get(frame.name))
        if cell is None:
            found.others.append(one.fingerprint)
        else:
            found.known.append(replace(one, candidate=cell))
    found.known.sort(key=lambda one: (one.enthalpy_per_atom, one.name))
    return found


def _of_composition(frames: Sequence[Frame], settings: SearchSettings) -> list[Frame]:
    """Leave out what has other elements, or other shares of them."""
    counts = settings.atom_counts()
    total = sum(counts.values())
    share = {el: n / total for el, n in counts.items()}

    def fits(frame: Frame) -> bool:
        symbols = frame.candidate.symbols
        return set(symbols) == set(share) and all(
            abs(symbols.count(el) / len(symbols) - part) < 1e-9 for el, part in share.items()
        )

    return [frame for frame in frames if fits(frame)]


def choose(  # noqa: PLR0913 - what the choice rests on
    relaxed: Sequence[Relaxed],
    frames: Sequence[Frame],
    settings: SearchSettings,
    *,
    calls: int,
    number: int | None = None,
    pending: Sequence[Candidate] = (),
    prints: Mapping[str, FloatArray] = NO_PRINTS,
) -> Acquisition:
    """Choose what goes to the reference method, within what is left of the budget.

    Parameters
    ----------
    relaxed
        Candidates, relaxed on the committee in service.
    frames
        Everything labelled so far.
    settings
        Of the search.
    calls
        Reference calls spent so far, those of ``pending`` included.
    number
        Picks at most; ``picks_per_iteration`` where None.
    pending
        Structures whose labels are under way.
    prints
        Fingerprints known already, by name; the others are computed.
    """
    if number is not None:
        rule = settings.acquisition.model_copy(update={"picks_per_iteration": number})
        settings = settings.model_copy(update={"acquisition": rule})
    labelled = known_structures(frames, settings, prints)
    return acquire(
        [_described(one, settings, prints) for one in relaxed],
        labelled.known,
        settings,
        calls_left=max(0, settings.budget.reference_calls - calls),
        pending=[prints[one.name] if one.name in prints else fingerprint(one) for one in pending],
        others=labelled.others,
    )


def _described(
    relaxed: Relaxed, settings: SearchSettings, prints: Mapping[str, FloatArray]
) -> Individual:
    """Take over a known fingerprint."""
    name = relaxed.candidate.name
    if name not in prints:
        return describe(relaxed, settings)
    return Individual(relaxed=relaxed, fingerprint=prints[name])


def newcomers(
    acquisition: Acquisition,
    settings: SearchSettings,
    *,
    iteration: int,
    calls: int,
    number: int | None = None,
) -> list[Candidate]:
    """Draw new random crystals to be labelled where the committee is lost; else none.

    Parameters
    ----------
    acquisition
        What was chosen.
    settings
        Of the search.
    iteration
        Names them; in the concurrent schedule the number of the choice.
    calls
        Reference calls spent so far, those under way included.
    number
        How many at most; ``picks_per_iteration`` where None.
    """
    wanted = settings.acquisition.picks_per_iteration if number is None else number
    allowed = min(wanted, settings.budget.reference_calls - calls)
    if not acquisition.lost or allowed < 1:
        return []
    return list(begin_anew(settings, allowed, iteration=iteration).candidates)


def judge(  # noqa: PLR0913 - what the verdict rests on
    history: Sequence[IterationRecord],
    frames: Sequence[Frame],
    relaxed: Sequence[Relaxed],
    committee: Committee,
    settings: SearchSettings,
    *,
    calls: int,
    hours: float,
    picked: Sequence[Relaxed] | None = None,
) -> tuple[IterationRecord, Verdict]:
    """Sum up an iteration and decide whether the search goes on.

    Parameters
    ----------
    history
        Records of the iterations before, oldest first.
    frames
        Everything labelled so far.
    relaxed
        The candidates of this iteration as they were relaxed.
    committee
        The newest committee; asked about the best labelled structures and about the lowest
        candidates, whose predictions are older than it.
    settings
        Of the search.
    calls, hours
        Spent so far.
    picked
        Those whose labels are new, as they were predicted when they were chosen; where None,
        the labelled ones among ``relaxed``.
    """
    labelled = known_structures(frames, settings).known
    best = labelled[: 4 * settings.convergence.best_structures]
    said = committee.predict([one.candidate for one in best])
    spreads = {one.name: p.energy_spread for one, p in zip(best, said, strict=True)}
    record = record_iteration(
        len(history),
        labelled,
        [describe(one, settings) for one in asked_again(relaxed, committee, settings)],
        spreads,
        settings,
        reference_calls=calls,
        errors=_errors(relaxed if picked is None else picked, frames),
    )
    return record, assess([*history, record], settings, calls=calls, hours=hours)


def _errors(relaxed: Sequence[Relaxed], frames: Sequence[Frame]) -> list[float]:
    """Give |prediction − label| in eV/atom of those relaxed structures that were labelled."""
    labels = {frame.name: frame.energy_per_atom for frame in frames}
    return [
        abs(one.energy_per_atom - labels[one.candidate.name])
        for one in relaxed
        if one.candidate.name in labels
    ]


def asked_again(
    relaxed: Sequence[Relaxed], committee: Committee, settings: SearchSettings
) -> list[Relaxed]:
    """Give relaxed structures with the energies that a newer committee predicts for them."""
    sound = [one for one in relaxed if one.reason in {"converged", "step_limit"}]
    pressure = ev_per_a3_from_gpa(settings.pressure)
    return [
        replace(
            one,
            energy=said.energy,
            enthalpy=said.energy + pressure * one.candidate.volume,
            energy_spread=said.energy_spread,
            force_spread=said.force_spread,
        )
        for one, said in zip(sound, committee.predict([r.candidate for r in sound]), strict=True)
    ]


def finalists(
    frames: Sequence[Frame],
    relaxed: Sequence[Relaxed],
    committee: Committee,
    settings: SearchSettings,
) -> list[Finalist]:
    """Choose the structures that the reference method relaxes at the end."""
    predicted = [describe(one, settings) for one in asked_again(relaxed, committee, settings)]
    return final_relaxations(known_structures(frames, settings).known, predicted, settings)


def prepared(
    candidates: Sequence[Candidate], relaxer: Relaxer, settings: SearchSettings
) -> list[Candidate]:
    """Relax structures on the newest committee before the reference method relaxes them.

    A labelled structure lies where a committee of its time had the minimum; that of the newest
    is nearer to the reference method's, and each step towards it saves one that costs. Where the
    committee does not know the way – the relaxation is untrusted or explodes, or ends as another
    structure – the structure stays as it is.

    Parameters
    ----------
    candidates
        Finalists.
    relaxer
        The committee in service.
    settings
        Of the search.

    Returns
    -------
    list of Candidate
        One for each, in their order, under its name.
    """
    calls = CloseCalls(settings.fingerprint_tolerance)
    ends = [describe(one, settings) for one in relaxer.relax(candidates)]
    return [
        end.candidate if _is_still(start, end, calls) else start
        for start, end in zip(candidates, ends, strict=True)
    ]


def _is_still(start: Candidate, end: Individual, calls: CloseCalls) -> bool:
    """Tell whether a relaxation can be trusted and has ended as the structure it began with."""
    if end.relaxed.reason not in {"converged", "step_limit"} or not end.fingerprint.size:
        return False
    before = Known(
        candidate=start,
        enthalpy_per_atom=end.enthalpy_per_atom,
        fingerprint=fingerprint(start),
    )
    return twin_of(end, [before], calls, inf) is not None
