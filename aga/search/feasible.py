"""Settings of a search that can't be met, told before anything is computed.

Nothing is refused on suspicion: either it is impossible by geometry, or a bounded number of
honest attempts to make a structure gave none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aga.config import SearchSettings, Settings
from aga.config.search import MIN_INITIAL
from aga.errors import AgaError, GenerationError, Problem
from aga.rng import stream
from aga.search.nursery import Nursery
from aga.search.operators import OPERATORS
from aga.search.population import Population
from aga.structure.candidate import Candidate
from aga.structure.cell_limits import CellLimits
from aga.structure.geometry import DistanceLimits
from aga.structure.prototypes import matching, substituted
from aga.structure.random_crystal import DrawOptions, draw_crystal
from aga.structure.seeds import read_seeds
from aga.structure.volume import target_volume_per_atom, volume_allowed

__all__ = ["check_search"]

DRAWS = 3
"""Random crystals tried of a size before it counts as impossible, each of bounded attempts."""

_SHAPE = ("cell_lengths", "cell_angles")

KEPLER = np.pi / np.sqrt(18.0)
"""Share of space that equal spheres fill at most (Hales, Ann. Math. 162, 1065 (2005))."""

_ANY = 2
"""Parents that an operator may ask for at most."""


def check_search(settings: Settings) -> list[Problem]:
    """Give every problem that a search would have with its composition, limits and seeds.

    Parameters
    ----------
    settings
        Valid settings. Seed files are read.

    Returns
    -------
    list
        With the key of each, and what to do about it as the hint.
    """
    search = settings.search
    try:
        target_volume_per_atom(search)
    except AgaError as error:
        return [Problem(key="search.volume_per_atom", message=error.message, hint=error.remedy)]
    cells = list(_cells(search))
    seeds, found = _seeds(search)
    problems = [*(cells or _sizes(search)), *_operators(search), *seeds, *_prototypes(search)]
    few = search.initial_structures + len(found) < MIN_INITIAL
    if few and not seeds and not settings.training.data:
        problems.append(
            Problem(
                key="search.initial_structures",
                message=f"with the {len(found)} seeds these are fewer than the {MIN_INITIAL} "
                "structures that the first training needs",
                hint=f"at least {MIN_INITIAL - len(found)}, or labelled frames in training.data",
            )
        )
    return [*problems, *_budget(search, found)]


def _budget(search: SearchSettings, seeds: Sequence[Candidate]) -> Iterator[Problem]:
    """See whether the first labels leave anything to spend on what is bred.

    Structures of earlier searches are known to the database alone; they come on top.
    """
    allowed = search.budget.reference_calls
    if search.initial_structures + len(seeds) < allowed:
        return
    nursery = Nursery(search, Population())
    seeds = [one for one in seeds if nursery.twin(one, known_too=False) is None]
    first = search.initial_structures + len(seeds)
    if first < allowed:
        return
    besides = f" and {len(seeds)} seeds" if seeds else ""
    batch = search.acquisition.picks_per_iteration
    yield Problem(
        key="search.budget.reference_calls",
        message=f"labelling the {search.initial_structures} initial structures{besides} takes "
        f"{first} calls at least, so that the {allowed} allowed are spent before anything is bred",
        hint=f"at least {first + batch}, which leaves one iteration its "
        f"search.acquisition.picks_per_iteration; or fewer search.initial_structures",
    )


def _cells(search: SearchSettings) -> Iterator[Problem]:
    """Compare the limits of the cell with the volumes that it may have."""
    low, high = CellLimits.from_settings(search).volumes()
    allowed = [_volumes(search, units) for units in search.unit_range()]
    if search.cell_lengths is None or any(low <= b and a <= high for a, b in allowed):
        return
    smallest, largest = allowed[0][0], allowed[-1][1]
    shape = f"cells of {low:.0f} to {high:.0f} Å³"
    yield Problem(
        key="search.cell_lengths",
        message=f"edges of {search.cell_lengths[0]:g} to {search.cell_lengths[1]:g} Å make "
        f"{shape}, but search.volume_range asks for {smallest:.0f} to {largest:.0f} Å³",
        hint=f"edges near {np.cbrt(smallest):.1f} to {np.cbrt(largest):.1f} Å fit",
    )


def _volumes(search: SearchSettings, units: int) -> tuple[float, float]:
    atoms = sum(search.atom_counts(units).values())
    low, high = search.volume_range
    target = target_volume_per_atom(search) * atoms
    return low * target, high * target


def _sizes(search: SearchSettings) -> Iterator[Problem]:
    """Try to make a structure of some size."""
    tight = _too_tight(search)
    if tight is not None:
        yield tight
        return
    said = _fits_nowhere(search)
    if not said:
        return
    shape = next((key for key in _SHAPE if getattr(search, key) is not None), None)
    anywhere = search.model_copy(update=dict.fromkeys(_SHAPE))
    if shape is not None and not _fits_nowhere(anywhere):
        yield Problem(
            key=f"search.{shape}",
            message=f"no structure of {search.composition} was found in such cells: {said}",
            hint=f"widen {' and '.join(f'search.{key}' for key in _SHAPE)}",
        )
        return
    yield Problem(
        key="search.composition",
        message=f"no structure of {search.composition} was found that meets search.volume_range "
        f"and the shortest distances: {said}",
        hint=f"lower search.min_distance_factor ({search.min_distance_factor:g}), or raise "
        f"search.volume_per_atom ({target_volume_per_atom(search):.1f} Å³)",
    )


def _fits_nowhere(search: SearchSettings) -> str:
    """Say why no structure of any size was found, empty where one was; the smallest size first."""
    said = ""
    for units in search.unit_range():
        said = _objection(search, units)
        if not said:
            break
    return said


def _too_tight(search: SearchSettings) -> Problem | None:
    """See whether spheres of the shortest distance of one element fill more than they can."""
    limits = DistanceLimits.from_settings(search)
    counts = search.atom_counts()
    available = _volumes(search, search.unit_range()[-1])[1]
    needs = {
        symbol: number * limits.of(symbol, symbol) ** 3 * np.pi / 6 / KEPLER
        for symbol, number in counts.items()
    }
    symbol = max(needs, key=lambda one: needs[one])
    if needs[symbol] <= available:
        return None
    return Problem(
        key="search.composition",
        message=f"{counts[symbol]} atoms of {symbol} at least {limits.of(symbol, symbol):.2f} Å "
        f"apart take {needs[symbol]:.0f} Å³ in the densest packing; search.volume_range allows "
        f"{available:.0f} Å³",
        hint="lower search.min_distance_factor or search.min_distances, or raise "
        "search.volume_per_atom",
    )


def _objection(search: SearchSettings, units: int) -> str:
    """Say why no structure of a size was found, empty where one was."""
    counts = search.atom_counts(units)
    low, high = _volumes(search, units)
    limits, options = DistanceLimits.from_settings(search), DrawOptions.from_settings(search)
    said = ""
    for index in range(DRAWS):
        rng = stream(search.seed, "feasible", units, index)
        volume = low + (high - low) * (0.9, 0.6, 0.3)[index]
        try:
            draw = draw_crystal(counts, rng, volume=volume, limits=limits, options=options)
        except GenerationError as error:
            said = error.message
            continue
        if volume_allowed(draw.candidate, search):
            return ""
        said = f"what was found takes {draw.candidate.volume:.0f} Å³"
    return said


def _operators(search: SearchSettings) -> Iterator[Problem]:
    """See whether any operator with a weight can work, with parents and a committee there."""
    counts, sizes = search.atom_counts(), len(search.unit_range())
    weighted = [op for op in OPERATORS.values() if getattr(search.operators, op.name) > 0]
    if any(op.applicable(counts, _ANY, sizes=sizes, forces=True) for op in weighted):
        return
    needs = []
    for operator in weighted:
        lacks = [
            f"two {what}"
            for what, has, wants in (
                ("elements", len(counts), operator.elements),
                ("atoms", sum(counts.values()), operator.atoms),
                ("sizes in search.formula_units", sizes, operator.sizes),
            )
            if has < wants
        ]
        needs.append(f"{operator.name} needs {' and '.join(lacks)}")
    yield Problem(
        key="search.operators",
        message=f"none that has a weight can be applied to {search.composition}: "
        + "; ".join(needs),
        hint="give another one a weight, such as random or strain",
    )


def _seeds(search: SearchSettings) -> tuple[list[Problem], list[Candidate]]:
    """Read the seed files; give their problems, and the structures that they hold."""
    problems: list[Problem] = []
    found: list[Candidate] = []
    for index, path in enumerate(search.seeds):
        try:
            found += read_seeds(path, search)
        except AgaError as error:
            key = f"search.seeds[{index}]"
            problems.append(Problem(key=key, message=error.message, hint=error.remedy))
    return problems, found


def _prototypes(search: SearchSettings) -> Iterator[Problem]:
    """See whether any prototype fits, where some are asked for."""
    if not search.prototypes:
        return
    try:
        choices = matching(search.composition.counts())
    except AgaError as error:
        yield Problem(key="search.prototypes", message=error.message, hint=error.remedy)
        return
    if any(substituted(*choice, search, name="trial") is not None for choice in choices):
        return
    why = "is in a cell of the size searched" if choices else "has this formula"
    yield Problem(
        key="search.prototypes",
        message=f"none of the known prototypes {why} ({search.composition})",
        hint="widen search.formula_units, or set it to 0" if choices else "set it to 0",
    )
