"""A user's own labelled frames: trained on, and relaxed at the end when they are the best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.config import Settings
from aga.store.handle import SearchHandle
from aga.store.repository import Repository
from aga.tasks.dispatch import advance
from aga.tasks.perform import perform
from aga.tasks.session import open_session

pytestmark = pytest.mark.embedded

DIAMOND = -4.62960  # eV/atom


def finished(tree: dict[str, Any], database: str) -> tuple[Repository, str]:
    """Perform every step of a search in this process."""
    settings = Settings.model_validate(tree)
    session = open_session(database)
    repository = session.repository
    repository.create_search(settings)
    search = settings.search_id()
    advance(repository, session.launchpad, search)
    while repository.get_search(search)["state"] == "running":
        for step in repository.list_steps(search, state="planned"):
            perform(step.id, session.launchpad)
    return repository, search


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
    repository, search = finished(tree, embedded_database)
    names = {frame.name for frame in repository.dataset_frames(search, 0)}
    assert {f"own-{k:05d}" for k in range(4)} <= names
    assert len(names) == 4 + initial
    card = repository.latest_committee(search)
    assert card is not None
    for digest in card["records"]:
        record = json.loads(repository.get_blob(digest))
        assert record["history"][-1]["passes"] == 5
        assert set(record["focal_weights"]) <= {f.name for f in repository.frames(search)}
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


def test_a_diverged_retraining_keeps_the_committee_in_service(
    tmp_path: Path, embedded_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every slope of a retraining is NaN the weights stay; the search goes on and says so."""
    from aga.training.objective import Objective

    honest = Objective.gradient

    def gradient(self: Objective, vector: Any, *rest: Any) -> Any:
        value, slope, losses = honest(self, vector, *rest)
        warm = self.part.count > 4
        return (value, slope * float("nan"), losses) if warm else (value, slope, losses)

    monkeypatch.setattr(Objective, "gradient", gradient)
    tree = {
        "search": {
            "composition": "Si2",
            "initial_structures": 4,
            "offspring": 6,
            "generations_per_iteration": 1,
            "final_relaxations": 1,
            "relax_steps": 20,
            "acquisition": {"picks_per_iteration": 3},
            "budget": {"iterations": 1},
        },
        "potential": {"hidden": [4], "members": 2},
        "training": {"passes": 5, "validation_fraction": 0.0},
        "machine": {"run_dir": str(tmp_path / "runs")},
    }
    repository, search = finished(tree, embedded_database)
    first, second = repository.list_committees(search)
    assert second["members"] == first["members"]
    told = [doc for doc in repository.find("events", {}) if doc["kind"] == "training_diverged"]
    assert [doc["message"].split(":")[0] for doc in told] == [
        f"the training of member {member} diverged" for member in (0, 1)
    ]
    assert all("its previous weights stay" in doc["message"] for doc in told)
