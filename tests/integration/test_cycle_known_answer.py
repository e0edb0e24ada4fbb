"""Searches with known answers, in one process: the ground state within the budget of calls."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from aga.config import Settings
from aga.cycle import Outcome, Trained, run_search
from aga.oracle.registry import build_oracle
from aga.potential.committee import NetworkCommittee
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

DIAMOND = -4.62960
"""eV/atom of relaxed diamond and of every other fourfold-coordinated polytype."""


def search(folder: Path, **settings: object) -> Outcome:
    """Run a whole search with the real reference method, training and relaxation."""
    tree = Settings.model_validate(settings)
    oracle = build_oracle(tree.oracle, tree.machine, tree.search.atom_counts())

    def train(frames: Sequence[Frame], iteration: int, previous: Trained | None) -> Trained:
        before = None if previous is None else previous.committee
        assert before is None or isinstance(before, NetworkCommittee)
        recipe = Recipe.of_search(tree)
        recipe = recipe if before is None else recipe.continued()
        models = [
            fit_member(
                frames,
                recipe,
                member=m,
                previous=None if before is None else before.models[m],
            ).model
            for m in range(tree.potential.members)
        ]
        committee = NetworkCommittee(models, version=f"v{iteration:03d}")
        relaxer = BatchedRelaxer.from_settings(committee, tree.search)
        return Trained(committee=committee, relaxer=relaxer)

    return run_search(tree, oracle, train, folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_si8_finds_diamond_or_a_polytype(seed: int, tmp_path: Path) -> None:
    outcome = search(
        tmp_path,
        search={"composition": "Si8", "seed": seed, "budget": {"reference_calls": 150}},
        oracle={"engine": "tersoff"},
    )
    best = outcome.results[0]
    sys.stderr.write(
        f"seed {seed}: {best.energy_per_atom:.5f} eV/atom, {outcome.calls} reference calls\n"
    )
    assert outcome.calls <= 150
    assert best.energy_per_atom == pytest.approx(DIAMOND, abs=0.001)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_search(tmp_path: Path) -> None:
    settings = {
        "search": {
            "composition": "TiO2",
            "formula_units": 1,
            "initial_structures": 8,
            "offspring": 8,
            "population_size": 6,
            "generations_per_iteration": 1,
            "final_relaxations": 1,
            "budget": {"iterations": 2},
        },
        "potential": {"hidden": [8]},
        "training": {"passes": 10},
    }
    first, again = (search(tmp_path / name, **settings) for name in ("first", "again"))
    assert [f.energy for f in first.frames] == [f.energy for f in again.frames]
    assert [(one.name, one.enthalpy_per_atom) for one in first.population.individuals] == [
        (one.name, one.enthalpy_per_atom) for one in again.population.individuals
    ]
