from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.search.individual import Individual, Known, describe
from aga.search.population import Population, merge, select_parents
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Relaxed

MakeIndividual = Callable[..., Individual]
MakeKnown = Callable[..., Known]
FingerprintAt = Callable[..., FloatArray]


def search(**changes: object) -> SearchSettings:
    return SearchSettings(composition="Si8", **changes)


def names(population: Population) -> list[str]:
    return [one.name for one in population.individuals]


def test_the_lowest_are_kept_in_order(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    crowd = [
        make_individual(f"x{k}", -4.0 - 0.1 * k, fingerprint=fingerprint_at(0.5, axis=k + 1))
        for k in range(6)
    ]
    kept = merge(Population(), crowd, search(population_size=4))
    assert names(kept) == ["x5", "x4", "x3", "x2"]
    assert kept.dropped == {"too_high": 2}


def test_newcomers_compete_with_those_in_place(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    old = merge(Population(), [make_individual("old", -4.0)], search(population_size=2))
    new = [
        make_individual("better", -4.5, fingerprint=fingerprint_at(0.5)),
        make_individual("worse", -3.5, fingerprint=fingerprint_at(0.5, axis=2)),
    ]
    assert names(merge(old, new, search(population_size=2))) == ["better", "old"]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("converged", True), ("step_limit", True), ("untrusted", False), ("exploded", False)],
)
def test_energies_that_mean_nothing_are_dropped(
    make_individual: MakeIndividual,
    reason: str,
    kept: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    population = merge(Population(), [make_individual("x", -9.0, reason=reason)], search())
    assert (len(population) == 1) is kept
    assert population.dropped.get(reason, 0) == (not kept)


def test_of_duplicates_the_lower_is_kept(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    twins = [
        make_individual("high", -4.000),
        make_individual("low", -4.010, fingerprint=fingerprint_at(0.01)),
    ]
    kept = merge(Population(), twins, search())
    assert names(kept) == ["low"]
    assert kept.dropped == {"duplicate": 1}


def test_alike_but_of_other_energy_or_other_form_is_no_duplicate(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    crowd = [
        make_individual("a", -4.00),
        make_individual("other energy", -4.05),
        make_individual("other form", -4.00, fingerprint=fingerprint_at(0.07)),
    ]
    assert len(merge(Population(), crowd, search())) == 3


def bred(one: Individual, generation: int) -> Individual:
    """Give the individual as if it had been bred in a generation."""
    candidate = one.candidate
    lineage = replace(candidate.lineage, generation=generation)
    aged = candidate.renamed(candidate.name, lineage)
    return replace(one, relaxed=replace(one.relaxed, candidate=aged))


def polytypes() -> list[Individual]:
    """Silicon stacked as 3C, 4H and 6H, as a search with Tersoff's potential has it: degenerate."""
    places = {"A": (0.0, 0.0), "B": (1 / 3, 2 / 3), "C": (2 / 3, 1 / 3)}
    edge, crowd = 3.84, []
    for sequence in ("ABC", "ABCB", "ABCACB"):
        n = len(sequence)
        cell = edge * np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, n * np.sqrt(2 / 3)]])
        low = np.array([(*places[s], k / n) for k, s in enumerate(sequence)])
        scaled = np.concatenate([low, low + np.array([0, 0, 0.75 / n])])
        candidate = Candidate(
            name=sequence, numbers=[14] * 2 * n, positions=scaled @ cell, cell=cell
        )
        relaxed = Relaxed(
            candidate=candidate,
            energy=-4.6296 * 2 * n,
            enthalpy=-4.6296 * 2 * n,
            energy_spread=0.0,
            force_spread=0.0,
            max_force=0.0,
            steps=1,
            reason="converged",
        )
        crowd.append(describe(relaxed, search()))
    return crowd


def test_polytypes_of_one_energy_are_kept_apart() -> None:
    crowd = polytypes()
    assert len(merge(Population(), crowd, search())) == 3
    again = [replace_name(one, f"{one.name}-again") for one in crowd]
    both = merge(Population(), [*crowd, *again], search())
    assert names(both) == sorted(one.name for one in crowd)
    assert both.dropped == {"duplicate": 3}


def replace_name(one: Individual, name: str) -> Individual:
    relaxed = replace(one.relaxed, candidate=one.candidate.renamed(name))
    return replace(one, relaxed=relaxed)


@pytest.mark.parametrize(("islands", "spared"), [(1, 4), (2, 6)])
def test_the_old_leave_and_the_elites_stay(
    make_individual: MakeIndividual, islands: int, spared: int
) -> None:
    crowd = [
        bred(make_individual(f"x{k}", -4.5 + 0.1 * k), generation)
        for k, generation in
        # the newest is of generation 9; 3 generations of its own island before is 6, or 3
        enumerate([1, 2, 2, 9, 7, 4, 3, 2])
    ]
    settings = search(elites=2, max_age=3, islands=islands)
    kept = merge(Population(individuals=tuple(crowd[:4])), crowd[4:], settings)
    assert names(kept)[:2] == ["x0", "x1"], "the elites, however old"
    assert len(kept) == spared
    assert kept.dropped == {"age": 8 - spared}
    assert "x3" in names(kept)


def test_nobody_leaves_by_age_unless_asked(make_individual: MakeIndividual) -> None:
    crowd = [bred(make_individual(f"x{k}", -4.5 + 0.1 * k), k) for k in range(1, 12)]
    kept = merge(Population(), crowd, search())
    assert len(kept) == 11
    assert "age" not in kept.dropped


def test_a_niche_stays_filled_through_generations(
    make_individual: MakeIndividual, fingerprint_at: FingerprintAt
) -> None:
    """Offspring of the lowest funnel come again and again; the others keep their places."""
    settings = search(population_size=12, max_age=30)
    population = merge(
        Population(),
        [
            make_individual(f"o{k:02d}", -3.0 + 0.03 * k, fingerprint=fingerprint_at(0.5, k + 1))
            for k in range(11)
        ],
        settings,
    )
    for generation in range(1, 20):
        offspring = [
            bred(
                make_individual(
                    f"f{generation:02d}-{k:02d}",
                    -4.6 + 0.03 * k - 0.001 * generation,
                    fingerprint=fingerprint_at(0.035, axis=k + 1),
                ),
                generation,
            )
            for k in range(11)
        ]
        population = merge(population, offspring, settings)
    families = Counter(name[0] for name in names(population))
    assert families == {"f": 3, "o": 9}
    assert all(name.startswith("f19") for name in names(population)[:3]), "and it gets better"


def test_one_funnel_does_not_take_the_whole_population(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    # 20 low ones in one niche (distances 0.03 within a radius of 0.1), 20 higher ones elsewhere
    funnel = [
        make_individual(f"f{k:02d}", -4.6 + 0.03 * k, fingerprint=fingerprint_at(0.03, axis=1))
        for k in range(20)
    ]
    outside = [
        make_individual(f"o{k:02d}", -3.0 + 0.03 * k, fingerprint=fingerprint_at(0.5, k % 11 + 1))
        for k in range(20)
    ]
    kept = merge(Population(), [*funnel, *outside], search(population_size=12))
    families = Counter(name[0] for name in names(kept))
    assert families["f"] == 3  # a quarter of 12
    assert names(kept)[:3] == ["f00", "f01", "f02"]


def test_a_lone_funnel_fills_the_places_that_would_be_empty(
    make_individual: MakeIndividual,
) -> None:
    funnel = [make_individual(f"f{k:02d}", -4.6 + 0.03 * k) for k in range(10)]
    assert len(merge(Population(), funnel, search(population_size=8))) == 8


def test_merging_does_not_depend_on_the_order_of_arrival(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    rng = np.random.default_rng(0)
    crowd = [
        make_individual(
            f"x{k:02d}",
            float(rng.uniform(-4.6, -4.5)),
            fingerprint=fingerprint_at(float(rng.uniform(0, 0.3)), int(rng.integers(1, 12))),
        )
        for k in range(30)
    ]
    one = merge(Population(), crowd, search(population_size=10))
    other = merge(Population(), [crowd[k] for k in rng.permutation(30)], search(population_size=10))
    assert names(one) == names(other)


def test_parents_are_different_and_the_low_ones_likelier(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    population = Population(
        individuals=tuple(make_individual(f"x{k}", -4.0 + 0.1 * k) for k in range(6))
    )
    rng = np.random.default_rng(0)
    chosen: Counter[str] = Counter()
    for _ in range(400):
        pair = [one.name for one in select_parents(population, 2, rng)]
        assert len(set(pair)) == 2
        chosen.update(pair)
    assert chosen["x0"] > 2 * chosen["x3"]
    assert chosen["x5"] > 0


def test_no_more_parents_than_there_are(make_individual: MakeIndividual) -> None:
    population = Population(individuals=(make_individual("x", -4.0),))
    assert select_parents(population, 0, np.random.default_rng(0)) == ()
    with pytest.raises(ValueError, match="2 parents"):
        select_parents(population, 2, np.random.default_rng(0))
