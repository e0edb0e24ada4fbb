"""A search read from Python: results, filters, status."""

from __future__ import annotations

import json

import pytest

import aga
from aga.errors import NotFoundError
from aga.store.handle import Found, SearchHandle
from aga.store.repository import Repository

pytestmark = pytest.mark.embedded

KEYS = {
    "id",
    "name",
    "formula",
    "n_atoms",
    "energy_per_atom",
    "enthalpy_per_atom",
    "space_group",
    "volume_per_atom",
    "reference",
    "generation",
    "iteration",
    "operator",
    "parents",
    "rank",
}


@pytest.fixture
def search(repository: Repository, filled_search: str) -> SearchHandle:
    return SearchHandle(repository, filled_search)


def names(found: list[Found]) -> list[str]:
    return [item.name for item in found]


def test_best_are_the_results(search: SearchHandle, embedded_database: str) -> None:
    with aga.open_search(embedded_database) as handle:
        assert handle.id == search.id
        best = handle.best(5)
    assert names(best) == ["r000-g002-000"]
    assert best[0].energy_per_atom == pytest.approx(-4.6296)
    assert best[0].reference == "tersoff"
    assert best[0].generation == 2
    assert best[0].candidate.lineage.parents == ("g002-000",)
    structure = best[0].to_pymatgen()
    assert structure.composition.formula == "Si8"
    assert len(best[0].to_ase()) == 8


def test_best_before_the_end_are_the_labelled(search: SearchHandle) -> None:
    search.repository.put_results(search.id, [])
    assert names(search.best(2)) == ["g002-000", "g001-001"]
    assert all(item.reference == "tersoff" for item in search.best(99))
    assert len(search.best(99)) == 5, "what only the committee has seen is no result"


def test_structures_are_filtered_and_sorted(search: SearchHandle) -> None:
    assert names(search.structures("energy_per_atom < -4.5", "energy")) == [
        "r000-g002-000",
        "g002-000",
        "g001-001",
    ]
    assert names(search.structures("space_group == 227 and stage != result")) == ["g002-000"]
    assert names(search.structures("parent == i000-001", "-name")) == ["g001-001", "g001-000"]
    assert names(search.structures("not (energy_per_atom < -4.3)", "-energy")) == [
        "i000-002",
        "i000-000",
    ]
    assert names(search.structures("reason == timeout")) == ["i000-003"]
    assert len(search.structures(sort="energy", limit=3)) == 3


def test_documents_are_plain_json(search: SearchHandle) -> None:
    document = search.best_document(3)
    assert document["schema"] == 1
    assert set(document["structures"][0]) >= KEYS
    assert document["structures"][0]["space_group"] == {"number": 227, "symbol": "Fd-3m"}
    for item in search.structures():
        assert set(item.to_dict()) == set(document["structures"][0])
        json.dumps(item.to_dict(), allow_nan=False)
    json.dumps(search.status(), allow_nan=False)


def test_status(search: SearchHandle) -> None:
    status = search.status()
    wanted = {
        "schema": 1,
        "search": search.id,
        "formula": "Si8",
        "state": "finished",
        "verdict": "converged",
        "generation": 2,
        "iteration": 1,
        "reference_calls": 6,
        "refine_calls": 9,
        "structures": 7,
        "spread": 0.004,
    }
    assert {key: status[key] for key in wanted} == wanted
    assert status["structures_by_stage"] == {"failed": 1, "labelled": 5, "relaxed": 1, "result": 1}
    assert status["steps"]["label"] == {"done": 5, "failed": 1}
    assert status["best_energy_per_atom"] == pytest.approx(-4.6296)
    assert status["budget"]["reference_calls"] == 150
    assert status["elapsed"] >= 0


def test_status_of_a_search_that_has_nothing_yet(repository: Repository) -> None:
    from aga.config import Settings

    tree = Settings.model_validate({"search": {"composition": "Si8"}})
    repository.create_search(tree)
    status = SearchHandle(repository, tree.search_id()).status()
    assert (status["structures"], status["best"], status["spread"]) == (0, None, None)
    assert status["state"] == "running"


def test_one_structure_and_its_ancestors(search: SearchHandle) -> None:
    assert search.structure(f"{search.id}/r000-g002-000").rank == 0
    assert names(search.ancestry("r000-g002-000")) == [
        "r000-g002-000",
        "g002-000",
        "g001-001",
        "i000-000",
        "i000-001",
    ]
    with pytest.raises(NotFoundError, match="g002-000"):
        search.structure("g002-00")


def test_unknown_search(embedded_database: str, filled_search: str) -> None:
    assert aga.open_search(embedded_database, "exam").id == filled_search
    with pytest.raises(NotFoundError, match="example"):
        aga.open_search(embedded_database, "exampl-0")
