"""Searches with known answers, in one process: the ground state within the budget of calls."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aga.config import Settings
from aga.cycle import Outcome, Trained, choose, run_search
from aga.oracle.ase_engine import AseEngine
from aga.oracle.registry import build_oracle
from aga.potential.committee import NetworkCommittee
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.search.acquisition import Acquisition
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

DIAMOND = -4.62960
"""eV/atom of relaxed diamond and of every other fourfold-coordinated polytype."""


SMALL: dict[str, Any] = {
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
"""Two iterations in seconds; nothing is found."""


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


def test_the_most_promising_pick_is_labelled_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    labelled: list[str] = []

    def watched_choice(*args: Any, **words: Any) -> Acquisition:
        acquisition = choose(*args, **words)
        chosen.extend(pick.name for pick in acquisition.picks)
        return acquisition

    def watched_label(self: AseEngine, candidate: Candidate, run_dir: Path) -> Label:
        labelled.append(candidate.name)
        return label(self, candidate, run_dir)

    label = AseEngine.label
    monkeypatch.setattr("aga.cycle.whole.choose", watched_choice)
    monkeypatch.setattr(AseEngine, "label", watched_label)
    search(tmp_path, **SMALL)
    assert labelled[8:] == chosen
    assert chosen != sorted(chosen)  # else nothing is shown


@pytest.mark.slow
def test_the_same_seed_gives_the_same_search(tmp_path: Path) -> None:
    first, again = (search(tmp_path / name, **SMALL) for name in ("first", "again"))
    assert [f.energy for f in first.frames] == [f.energy for f in again.frames]
    assert [(one.name, one.enthalpy_per_atom) for one in first.population.individuals] == [
        (one.name, one.enthalpy_per_atom) for one in again.population.individuals
    ]
