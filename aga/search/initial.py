"""What the first iteration of a search starts from: seeds, prototypes, random crystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from aga.config import SearchSettings
from aga.errors import GenerationError
from aga.rng import stream
from aga.search.nursery import Nursery, in_words
from aga.search.operators.rattle import displaced
from aga.search.population import Population
from aga.search.propose import TRIES
from aga.structure.candidate import Candidate, Lineage
from aga.structure.fingerprint import Shelf
from aga.structure.geometry import room
from aga.structure.prototypes import matching, substituted
from aga.structure.random_crystal import DrawOptions, draw_crystal
from aga.structure.seeds import read_seeds
from aga.structure.volume import target_volume_per_atom

__all__ = ["Beginning", "begin", "begin_anew", "initial_sizes", "initial_structures"]

INITIAL_VOLUMES = (0.75, 1.3)
"""Volumes of the initial structures in target volumes: the potential must learn both sides."""

INITIAL_RATTLE = (0.03, 0.08)
"""Displacement in (volume per atom)^⅓ of every third initial structure.

Forces vanish by symmetry on many sites of a symmetric crystal; displaced atoms feel them.
"""

ROOMIEST_OF = 4
"""Random crystals of which the one whose atoms have most room is labelled.

A random crystal is dense somewhere, and its label tells of that alone, or is refused for its
forces: of 240 random crystals of Ti4O8 (Matsui–Akaogi) 32 % had forces above 100 eV/Å, of the
roomiest of four 7 %; of Ti2O4 24 % and none; of Si8 (Tersoff) the median label fell by 1 eV/atom.
"""

FEW_ATOMS = 6
"""A cell with fewer has few forms, most of them without forces."""

LEAST_ATOMS = 8
"""Atoms of the first random crystals of a search with so small cells, at least.

One of eight atoms tells of many surroundings at once. Of silicon searches with two atoms by
density functional theory, five of 32 never saw bonding like diamond's while their first crystals
had two atoms too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The structures of iteration 0.

    ``failed`` counts what was turned away on the way to them, by ``operator: reason``.
    """

    candidates: tuple[Candidate, ...]
    failed: Mapping[str, int] = field(default_factory=dict)


def initial_structures(settings: SearchSettings) -> list[Candidate]:
    """Give only the candidates of :func:`begin`."""
    return list(begin(settings).candidates)


def initial_sizes(settings: SearchSettings) -> list[int]:
    """Give the numbers of atoms that the first random crystals have, ascending."""
    units = {_sizes(one, settings)[0] for one in settings.unit_range()}
    return sorted(sum(settings.atom_counts(one).values()) for one in units)


def begin(settings: SearchSettings, earlier: Sequence[Candidate] = ()) -> Beginning:
    """Make the structures of iteration 0.

    First the seeds, ``s000-000`` and so on, each once: those of the files, then ``earlier`` ones.
    Then ``initial_structures`` others, ``i000-000`` and so on: as many prototypes as are asked
    for and fit, the rest random crystals. These are shared out among the sizes that a cell may
    have (one that can't be filled leaves its share to the others); for a size of fewer than
    :data:`FEW_ATOMS` stands the multiple that has :data:`LEAST_ATOMS`, if it can be filled. Their
    volumes are spread evenly over :data:`INITIAL_VOLUMES` (within ``volume_range``), each is the
    roomiest of :data:`ROOMIEST_OF`, and every third is rattled lightly. Alike ones are drawn a few
    times again, then kept: a small cell has few forms.

    Parameters
    ----------
    settings
        Of the search.
    earlier
        Best structures of earlier searches, in cells that this one allows.

    Raises
    ------
    aga.errors.StructureError
        A seed can't be read or does not belong to the search.
    aga.errors.GenerationError
        The atoms fit in no cell at the shortest distances allowed.
    """
    nursery = Nursery(settings, Population())
    _seeds(nursery, [one for path in settings.seeds for one in read_seeds(path, settings)])
    _seeds(nursery, earlier)
    known = _prototypes(nursery)
    _crystals(nursery, settings.initial_structures - known, first=known)
    return Beginning(candidates=tuple(nursery.candidates), failed=dict(nursery.failed))


def begin_anew(settings: SearchSettings, number: int, *, iteration: int) -> Beginning:
    """Make more random crystals for a committee that knows too little to be trusted.

    They are drawn like those of :func:`begin` and called ``i007-000`` and so on in iteration 7.

    Parameters
    ----------
    settings
        Of the search.
    number
        How many.
    iteration
        Names them and their random streams; from 1.

    Raises
    ------
    aga.errors.GenerationError
        The atoms fit in no cell at the shortest distances allowed.
    """
    nursery = Nursery(settings, Population())
    _crystals(nursery, number, iteration=iteration)
    return Beginning(candidates=tuple(nursery.candidates), failed=dict(nursery.failed))


def _crystals(nursery: Nursery, number: int, *, first: int = 0, iteration: int = 0) -> None:
    """Draw random crystals of all sizes and volumes, numbered from ``first``."""
    settings, begun = nursery.settings, ("initial", iteration) if iteration else ("initial",)
    low, high = np.clip(INITIAL_VOLUMES, *settings.volume_range)
    order = stream(settings.seed, *begun, "volumes").permutation(number)
    sizes = stream(settings.seed, *begun, "sizes").permutation(number)
    choices = [_sizes(units, settings) for units in settings.unit_range()]
    for k in range(number):
        share = (order[k] + 0.5) / number
        place = _Place(
            name=f"i{iteration:03d}-{first + k:03d}",
            stream=(*begun, first + k),
            stretch=float(low * (high / low) ** share),
            rattled=k % 3 == 2,
        )
        _of_some_size(nursery, place, int(sizes[k]), choices)


def _seeds(nursery: Nursery, seeds: Sequence[Candidate]) -> None:
    for seed in seeds:
        objection = nursery.twin(seed.renamed(f"s000-{len(nursery.bred):03d}"), known_too=False)
        if objection is not None:
            nursery.failed[f"{seed.lineage.operator}: {objection}"] += 1


def _prototypes(nursery: Nursery) -> int:
    """Let prototypes join in a random order; give how many did."""
    settings = nursery.settings
    if not settings.prototypes:
        return 0
    choices = matching(settings.composition.counts())
    joined = 0
    for k in stream(settings.seed, "initial", "prototypes").permutation(len(choices)):
        if joined == settings.prototypes:
            break
        candidate = substituted(*choices[int(k)], settings, name=f"i000-{joined:03d}")
        objection = "size" if candidate is None else nursery.objection(candidate, known_too=False)
        if objection is None:
            joined += 1
        else:
            nursery.failed[f"prototype: {objection}"] += 1
    return joined


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What a random crystal is to be: name, random stream, volume in target volumes, rattled."""

    name: str
    stream: tuple[str | int, ...]
    stretch: float
    rattled: bool


def _of_some_size(nursery: Nursery, place: _Place, draw: int, choices: list[list[int]]) -> None:
    """Make a crystal of the size drawn; a size that can't be filled is taken out of the lists."""
    while True:
        size = choices[draw % len(choices)][0]
        try:
            _random(nursery, place, size)
            return
        except GenerationError:
            left = [[units for units in one if units != size] for one in choices]
            choices[:] = [one for one in left if one]
            if not choices:
                raise
            nursery.failed[f"random: {size} formula units"] += 1


def _sizes(units: int, settings: SearchSettings) -> list[int]:
    """Give the sizes that stand for one of the search: where it is small itself as a way out."""
    atoms = sum(settings.atom_counts(units).values())
    return [units] if atoms >= FEW_ATOMS else [units * ceil(LEAST_ATOMS / atoms), units]


def _random(nursery: Nursery, place: _Place, units: int) -> None:
    settings = nursery.settings
    rng, name = stream(settings.seed, *place.stream), place.name
    lineage = Lineage(operator="random", stream="/".join(map(str, place.stream)))
    counts = settings.atom_counts(units)
    volume = place.stretch * target_volume_per_atom(settings) * sum(counts.values())
    options = DrawOptions.from_settings(settings)

    def drawn() -> Candidate:
        draw = draw_crystal(
            counts, rng, volume=volume, limits=nursery.limits, name=name, options=options
        )
        nursery.failed.update({f"random: {reason}": n for reason, n in draw.failed.items()})
        return draw.candidate

    for attempt in range(2 * TRIES):
        crystal = max((drawn() for _ in range(ROOMIEST_OF)), key=room)
        if place.rattled:
            amplitude = rng.uniform(*INITIAL_RATTLE) * float(np.cbrt(crystal.volume / len(crystal)))
            crystal = displaced(crystal, rng, amplitude)
        if attempt == TRIES:
            nursery.bred = Shelf()
        objection = nursery.objection(crystal.renamed(name, lineage), known_too=False)
        if objection is None:
            return
        nursery.failed[f"random: {objection}"] += 1
    raise GenerationError(
        f"{name}: no structure of {counts} in {2 * TRIES} tries ({in_words(nursery.failed)})",
        remedy="lower search.min_distance_factor, set search.volume_per_atom, or widen "
        "search.volume_range, search.cell_lengths and search.cell_angles",
        structure=name,
    )
