"""A whole small search on each Deep Potential descriptor, in one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from aga.config import Settings
from aga.cycle import Outcome, Trained, run_search
from aga.oracle.registry import build_oracle
from aga.potential.kinds import AnyCommittee, AnyModel, load_model, make_committee
from aga.potential.relax.relaxer import BatchedRelaxer, Limits
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

SMALL = {
    "search": {
        "composition": "Si4",
        "formula_units": 1,
        "initial_structures": 10,
        "offspring": 6,
        "population_size": 5,
        "generations_per_iteration": 1,
        "final_relaxations": 1,
        "budget": {"iterations": 2},
    },
    "training": {"passes": 60},
}


def search(folder: Path, descriptor: str) -> tuple[Outcome, list[AnyCommittee]]:
    """Run a whole search; every committee goes through its files, as between processes."""
    potential = {
        "members": 2,
        "hidden": [8],
        "descriptor": descriptor,
        "deep": {"embedding": [8], "axis_neurons": 4},
    }
    tree = Settings.model_validate(SMALL | {"potential": potential})
    oracle = build_oracle(tree.oracle, tree.machine, tree.search.atom_counts())
    committees: list[AnyCommittee] = []

    def train(frames: Sequence[Frame], iteration: int, previous: Trained | None) -> Trained:
        before: Sequence[AnyModel | None] = committees[-1].models if previous else [None, None]
        stored = [
            fit_member(
                frames, Recipe.of_search(tree), member=m, previous=before[m]
            ).model.to_bytes()
            for m in range(2)
        ]
        committee = make_committee([load_model(data) for data in stored], f"v{iteration:03d}")
        committees.append(committee)
        return Trained(
            committee=committee,
            relaxer=BatchedRelaxer(committee, Limits.from_settings(tree.search)),
        )

    return run_search(tree, oracle, train, folder), committees


@pytest.mark.parametrize("descriptor", ["deep_smooth", "deep_local_frame"])
def test_a_search_runs_and_repeats_itself(descriptor: str, tmp_path: Path) -> None:
    outcome, committees = search(tmp_path / "first", descriptor)
    again, _ = search(tmp_path / "again", descriptor)
    assert [f.energy for f in outcome.frames] == [f.energy for f in again.frames]
    assert [one.facts["start"] for c in committees for one in c.models] == [
        *["fresh"] * 2,
        *["previous"] * (2 * len(committees) - 2),
    ]
    assert len(committees) >= 2
    first = np.mean([f.energy_per_atom for f in outcome.frames[:10]])
    assert outcome.results[0].energy_per_atom < first - 0.2
