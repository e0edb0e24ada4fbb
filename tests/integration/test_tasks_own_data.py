"""A user's own labelled frames: trained on, and relaxed at the end when they are the best."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.config import Settings
from aga.store.handle import SearchHandle
from aga.tasks.dispatch import advance
from aga.tasks.perform import perform
from aga.tasks.session import open_session

pytestmark = pytest.mark.embedded

DIAMOND = -4.62960  # eV/atom


@pytest.mark.parametrize("initial", [4, 0])
def test_the_best_may_come_from_the_data(
    initial: int, tmp_path: Path, embedded_database: str
) -> None:
    """The data join the random initial structures, or stand in for them."""
    images = []
    for edge, energy in ((5.40, -4.6287), (5.60, -4.60), (5.20, -4.56), (5.80, -4.5)):
        atoms = bulk("Si", "diamond", a=edge).repeat((2, 1, 1))
        atoms.calc = SinglePointCalculator(atoms, energy=energy * len(atoms))
        images.append(atoms)
    write(tmp_path / "own.extxyz", images)
    tree = {
        "search": {
            "composition": "Si4",
            "initial_structures": initial,
            "offspring": 4,
            "generations_per_iteration": 1,
            "final_relaxations": 1,
            "relax_steps": 20,
            "budget": {"iterations": 1},
        },
        "potential": {"hidden": [4]},
        "training": {"passes": 5, "data": [str(tmp_path / "own.extxyz")]},
        "machine": {"run_dir": str(tmp_path / "runs")},
    }
    settings = Settings.model_validate(tree)
    session = open_session(embedded_database)
    repository = session.repository
    repository.create_search(settings)
    search = settings.search_id()
    advance(repository, session.launchpad, search)
    while repository.get_search(search)["state"] == "running":
        for step in repository.list_steps(search, state="planned"):
            perform(step.id, session.launchpad)

    names = {frame.name for frame in repository.dataset_frames(search, 0)}
    assert {f"own-{k:05d}" for k in range(4)} <= names
    assert len(names) == 4 + initial
    weights = {doc["name"]: doc["focal_weights"] for doc in repository.find("frames", {})}
    trained = {member for name in names for member in weights[name].get("v000", {})}
    assert trained == {"m0", "m1", "m2", "m3"}
    assert all(w > 0 for name in names for w in weights[name].get("v000", {}).values())
    (best,) = SearchHandle(repository, search).best(1)
    assert best.stage == "result"
    assert best.energy_per_atom == pytest.approx(DIAMOND, abs=1e-4)
    assert best.space_group is not None
    assert best.space_group["number"] == 227
    assert best.candidate.lineage.parents == ("own-00000",)
