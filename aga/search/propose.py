"""What a generation breeds, and what the first iteration starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aga.config import SearchSettings
from aga.errors import GenerationError
from aga.rng import stream
from aga.search.operators import OPERATORS, Operator, OperatorContext
from aga.search.operators.rattle import displaced
from aga.search.population import Population, select_parents
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.fingerprint import cosine_distances, fingerprint
from aga.structure.geometry import too_close
from aga.structure.random_crystal import draw_crystal
from aga.structure.volume import volume_allowed

__all__ = ["Proposals", "initial_structures", "propose"]

TRIES = 12
"""Attempts with the drawn operator before a random immigrant takes the place."""

HOPELESS = 2
"""Places that stay empty at the start of a generation before it is given up."""

INITIAL_VOLUMES = (0.75, 1.3)
"""Volumes of the initial structures in target volumes: the potential must learn both sides."""

INITIAL_RATTLE = (0.03, 0.08)
"""Displacement in (volume per atom)^⅓ of every third initial structure.

Forces vanish by symmetry on many sites of a symmetric crystal; displaced atoms feel them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """The offspring of a generation.

    ``made`` counts the candidates of each operator; ``failed`` the tries that gave no
    acceptable structure, by ``operator: reason``; ``missing`` places that stayed empty.
    """

    candidates: tuple[Candidate, ...]
    made: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0


class _Nursery:
    """Collects offspring and refuses those that are unphysical or there already."""

    def __init__(self, settings: SearchSettings, population: Population) -> None:
        self.settings = settings
        self.context = OperatorContext.from_settings(settings)
        self.population = [one.fingerprint for one in population.individuals]
        self.bred: list[FloatArray] = []
        self.candidates: list[Candidate] = []
        self.failed: Counter[str] = Counter()

    def objection(self, candidate: Candidate, *, known_too: bool) -> str | None:
        """Say why a structure can't join; None where it can, and then it does."""
        if not volume_allowed(candidate, self.settings):
            return "volume"
        if too_close(candidate, self.context.limits):
            return "too_close"
        own = fingerprint(candidate)
        others = self.bred + (self.population if known_too else [])
        if others and cosine_distances(own, others).min() < self.settings.fingerprint_tolerance:
            return "duplicate"
        self.bred.append(own)
        self.candidates.append(candidate)
        return None


def propose(population: Population, settings: SearchSettings, *, generation: int) -> Proposals:
    """Breed one generation.

    Every offspring has a random stream of its own, ``propose/GENERATION/INDEX``, from which its
    operator (by the weights of the settings), parents and structure come. Structures with atoms
    too close, with a volume out of range, or like one of the population or of this generation
    are bred anew, at most :data:`TRIES` times; then a random immigrant takes the place, and
    where that fails too it stays empty.

    Parameters
    ----------
    population
        May be empty: then all offspring are immigrants.
    settings
        Of the search.
    generation
        Counted over the whole search; part of the names ``g003-017``.

    Raises
    ------
    aga.errors.GenerationError
        Not a single acceptable structure was found.
    """
    nursery = _Nursery(settings, population)
    made: Counter[str] = Counter()
    for index in range(settings.offspring):
        operator = _bred(nursery, population, generation, index)
        if operator is not None:
            made[operator] += 1
        elif not made and index + 1 >= HOPELESS:
            break
    if not made:
        raise GenerationError(
            f"generation {generation}: no acceptable structure ({_text(nursery.failed)})",
            remedy="widen search.volume_range or lower search.min_distance_factor",
            generation=generation,
        )
    return Proposals(
        candidates=tuple(nursery.candidates),
        made=dict(made),
        failed=dict(nursery.failed),
        missing=settings.offspring - len(nursery.candidates),
    )


def _bred(nursery: _Nursery, population: Population, generation: int, index: int) -> str | None:
    """Breed one offspring; give the name of the operator that made it, None where none did."""
    names = ("propose", generation, index)
    rng = stream(nursery.settings.seed, *names)
    drawn = _drawn_operator(nursery.settings, len(population), rng)
    for attempt in range(2 * TRIES):
        operator = drawn if attempt < TRIES else OPERATORS["random"]
        parents = select_parents(population, operator.parents, rng)
        try:
            child = operator.function([p.candidate for p in parents], rng, nursery.context)
        except GenerationError as error:
            nursery.failed[f"{operator.name}: {error.reason}"] += 1
            if operator.parents == 0:
                return None  # it has made its own tries, many and slow ones
            continue
        lineage = Lineage(
            operator=operator.name,
            parents=tuple(parent.name for parent in parents),
            generation=generation,
            stream="/".join(map(str, names)),
        )
        child = child.renamed(f"g{generation:03d}-{index:03d}", lineage)
        # once only immigrants are left, one like the population is better than none
        known_too = attempt < TRIES + TRIES // 2
        objection = nursery.objection(child, known_too=known_too)
        if objection is None:
            return operator.name
        nursery.failed[f"{operator.name}: {objection}"] += 1
    return None


def _drawn_operator(
    settings: SearchSettings, population: int, rng: np.random.Generator
) -> Operator:
    """Draw an operator by its weight; what can't be applied leaves its share to the others."""
    counts = settings.atom_counts()
    usable = [op for op in OPERATORS.values() if op.applicable(counts, population)]
    weight = np.array([getattr(settings.operators, op.name) for op in usable])
    if weight.sum() <= 0:
        return OPERATORS["random"]
    return usable[int(rng.choice(len(usable), p=weight / weight.sum()))]


def _text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {n}" for key, n in sorted(counts.items()))


def initial_structures(settings: SearchSettings) -> list[Candidate]:
    """Make the random symmetric structures of iteration 0, ``i000-000`` and so on.

    Their volumes are spread evenly over :data:`INITIAL_VOLUMES` (within ``volume_range``), and
    every third is rattled lightly. Alike structures are drawn again a few times, then kept: a
    small cell has few forms.

    Raises
    ------
    aga.errors.GenerationError
        The atoms do not fit at the shortest distances allowed.
    """
    number = settings.initial_structures
    low, high = np.clip(INITIAL_VOLUMES, *settings.volume_range)
    order = stream(settings.seed, "initial", "volumes").permutation(number)
    nursery = _Nursery(settings, Population())
    for index in range(number):
        share = (order[index] + 0.5) / number
        _initial(nursery, index, float(low * (high / low) ** share))
    return nursery.candidates


def _initial(nursery: _Nursery, index: int, stretch: float) -> None:
    settings, context = nursery.settings, nursery.context
    names = ("initial", index)
    rng = stream(settings.seed, *names)
    name = f"i000-{index:03d}"
    lineage = Lineage(operator="random", stream="/".join(map(str, names)))
    for attempt in range(2 * TRIES):
        crystal = draw_crystal(
            context.counts,
            rng,
            volume=stretch * context.volume,
            limits=context.limits,
            name=name,
        ).candidate
        if index % 3 == 2:
            amplitude = rng.uniform(*INITIAL_RATTLE) * float(np.cbrt(crystal.volume / len(crystal)))
            crystal = displaced(crystal, rng, amplitude)
        if attempt == TRIES:
            nursery.bred.clear()
        if nursery.objection(crystal.renamed(name, lineage), known_too=False) is None:
            return
    raise GenerationError(
        f"{name}: no structure of {dict(context.counts)} in {2 * TRIES} tries "
        f"({_text(nursery.failed)})",
        remedy="lower search.min_distance_factor or set search.volume_per_atom",
        structure=name,
    )
