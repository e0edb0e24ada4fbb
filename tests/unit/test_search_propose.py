from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.errors import GenerationError
from aga.search.individual import describe
from aga.search.initial import initial_structures
from aga.search.operators import OPERATORS, OperatorContext
from aga.search.population import Population
from aga.search.propose import propose
from aga.search.rates import OperatorRecord
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.fingerprint import cosine_distances, fingerprint
from aga.structure.geometry import DistanceLimits, too_close
from aga.structure.protocols import Relaxed
from aga.structure.volume import estimated_volume_per_atom, volume_allowed


def search(composition: str = "TiO2", **changes: object) -> SearchSettings:
    return SearchSettings(composition=composition, offspring=12, seed=5, **changes)


def population(settings: SearchSettings, size: int = 5) -> Population:
    several = settings.model_copy(update={"initial_structures": size})
    return Population(
        individuals=tuple(
            describe(
                Relaxed(
                    candidate=candidate, energy=-40.0 + k, enthalpy=-40.0 + k, energy_spread=0.01,
                    force_spread=0.1, max_force=0.01, steps=5, reason="converged",
                ),
                settings,
            )
            for k, candidate in enumerate(initial_structures(several))
        )
    )  # fmt: skip


@pytest.mark.parametrize("composition", ["Si8", "TiO2"])
def test_offspring_are_physical_distinct_and_of_the_composition(composition: str) -> None:
    settings = search(composition)
    parents = population(settings)
    bred = propose(parents, settings, generation=3)
    assert len(bred.candidates) + bred.missing == 12
    assert sum(bred.made.values()) == len(bred.candidates)
    assert bred.missing <= 2
    limits = DistanceLimits.from_settings(settings)
    for one in bred.candidates:
        assert Counter(one.symbols) == settings.atom_counts()
        assert not too_close(one, limits)
        assert volume_allowed(one, settings)
    prints = [fingerprint(one) for one in bred.candidates]
    for k, own in enumerate(prints):
        others = prints[:k] + [p.fingerprint for p in parents.individuals]
        assert cosine_distances(own, others).min() >= settings.fingerprint_tolerance


def test_names_and_lineage_tell_where_a_structure_comes_from() -> None:
    settings = search()
    parents = population(settings)
    known = {one.name for one in parents.individuals}
    for one in propose(parents, settings, generation=3).candidates:
        index = int(one.name.removeprefix("g003-"))
        assert one.lineage.stream == f"propose/3/{index}"
        assert one.lineage.generation == 3
        number = OPERATORS[one.lineage.operator].parents
        assert len(one.lineage.parents) == number
        assert set(one.lineage.parents) <= known


def same(one: Candidate, other: Candidate) -> bool:
    return one.to_dict() == other.to_dict()


def test_the_seed_decides() -> None:
    settings = search()
    parents = population(settings)
    one, again = (propose(parents, settings, generation=2).candidates for _ in range(2))
    assert len(one) == len(again)
    assert all(same(a, b) for a, b in zip(one, again, strict=True))
    other = propose(parents, settings.model_copy(update={"seed": 6}), generation=2).candidates
    later = propose(parents, settings, generation=3).candidates
    for others in (other, later):
        shapes = {a.positions.tobytes() for a in one} & {b.positions.tobytes() for b in others}
        assert not shapes


def test_streams_are_the_same_in_another_process() -> None:
    code = (
        "from aga.config import SearchSettings as S\n"
        "from aga.search.initial import initial_structures as i\n"
        "from aga.search.propose import propose\n"
        "from aga.search.population import Population\n"
        "s = S(composition='Si4', offspring=3, initial_structures=2, seed=1)\n"
        "both = [*i(s), *propose(Population(), s, generation=1).candidates]\n"
        "import hashlib, sys\n"
        "print(hashlib.sha256(b''.join(c.positions.tobytes() for c in both)).hexdigest())\n"
        "print('torch' in sys.modules, 'pymongo' in sys.modules)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1
    assert outputs.pop().splitlines()[1] == "False False"


def test_weights_decide_about_operators() -> None:
    weights = dict.fromkeys(OPERATORS, 0.0)
    settings = search(operators={**weights, "rattle": 1.0})
    bred = propose(population(settings), settings, generation=1)
    assert bred.made["rattle"] >= 9


def test_without_parents_there_are_only_immigrants() -> None:
    weights = dict.fromkeys(OPERATORS, 0.0)
    settings = search(operators={**weights, "crossover": 1.0})
    bred = propose(Population(), settings, generation=1)
    assert bred.made == {"random": len(bred.candidates)}


def test_permutation_is_left_to_compounds() -> None:
    weights = dict.fromkeys(OPERATORS, 0.0)
    settings = search("Si8", operators={**weights, "permutation": 1.0})
    bred = propose(population(settings, 2), settings, generation=1)
    assert set(bred.made) == {"random"}


def test_failed_tries_are_counted_and_an_immigrant_takes_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(
        parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
    ) -> NoReturn:
        raise GenerationError("no")

    settings = search(operators={"random": 0.0})
    parents = population(settings, 3)
    for name in set(OPERATORS) - {"random"}:
        broken = replace(OPERATORS[name], function=never)
        monkeypatch.setitem(OPERATORS, name, broken)
    bred = propose(parents, settings, generation=1)
    assert bred.made == {"random": len(bred.candidates)}
    assert sum(n for key, n in bred.failed.items() if key.endswith("no_structure")) == 12 * 12
    assert all(one.lineage.operator == "random" for one in bred.candidates)


def test_an_impossible_search_ends_with_advice() -> None:
    settings = search("Si2", min_distance_factor=1.5, volume_per_atom=6.0)
    with pytest.raises(GenerationError, match="no acceptable structure") as caught:
        propose(Population(), settings, generation=1)
    assert "min_distance_factor" in str(caught.value.remedy)
    with pytest.raises(GenerationError):
        initial_structures(settings)


def test_shares_follow_the_record_unless_they_are_fixed() -> None:
    settings = search()
    parents = population(settings)
    made = {"rattle": 30, "crossover": 30}
    record = OperatorRecord(made=made, entered={"rattle": 25})
    plain = propose(parents, settings, generation=1).shares
    adapted = propose(parents, settings, generation=1, record=record)
    assert adapted.shares["rattle"] > 1.5 * plain["rattle"]
    assert 0 < adapted.shares["crossover"] < plain["crossover"]
    again = propose(parents, settings, generation=1, record=record)
    assert all(same(a, b) for a, b in zip(adapted.candidates, again.candidates, strict=True))
    fixed = search(adapt_operators=False)
    assert propose(parents, fixed, generation=1, record=record).shares == plain
    assert "soft_mode" not in plain
    assert "add_unit" not in plain


def test_soft_modes_where_there_are_forces() -> None:
    settings = search(operators={**dict.fromkeys(OPERATORS, 0.0), "soft_mode": 1.0})
    parents = population(settings)
    asked: list[str] = []

    def forces(candidates: Sequence[Candidate]) -> list[FloatArray]:
        asked.append(candidates[0].name)
        return [np.cos(one.positions) for one in candidates]

    bred = propose(parents, settings, generation=1, forces=forces)
    assert bred.made["soft_mode"] >= 8
    assert len(asked) == len(set(asked)), "a Hessian was computed twice"
    assert set(propose(parents, settings, generation=1).made) == {"random"}


def test_sizes_mix_where_formula_units_are_a_range() -> None:
    settings = search(formula_units=(2, 4))
    parents = population(settings, 8)
    bred = propose(parents, settings, generation=1)
    sizes = Counter(len(one) for one in bred.candidates)
    assert set(sizes) <= {6, 9, 12}
    assert len(sizes) >= 2
    for one in bred.candidates:
        assert Counter(one.symbols) == settings.atom_counts(len(one) // 3)
    assert bred.shares["add_unit"] > 0
    growing = search(
        formula_units=(2, 4), operators={**dict.fromkeys(OPERATORS, 0.0), "add_unit": 1}
    )
    assert propose(parents, growing, generation=1).made["add_unit"] >= 6


@pytest.mark.parametrize("composition", ["Si8", "Si2", "TiO2"])
def test_initial_structures_cover_the_volumes(composition: str) -> None:
    settings = search(composition, initial_structures=10)
    made = initial_structures(settings)
    assert [one.name for one in made] == [f"i000-{k:03d}" for k in range(10)]
    counts = settings.atom_counts()
    ratios = np.array([one.volume / len(one) for one in made]) / estimated_volume_per_atom(counts)
    assert ratios.min() < 0.85
    assert ratios.max() > 1.15
    assert ratios.min() > 0.74
    limits = DistanceLimits.from_settings(settings)
    copies = {"Si8": 1, "Si2": 4, "TiO2": 1}[composition]
    for one in made:
        assert Counter(one.symbols) == {element: copies * n for element, n in counts.items()}
        assert not too_close(one, limits)
        assert one.lineage.operator == "random"
