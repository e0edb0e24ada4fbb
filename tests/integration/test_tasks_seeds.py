"""Seeds in the database: from files and from an earlier search, labelled and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

from aga.config import Settings
from aga.errors import InputError, NotFoundError
from aga.store.repository import Repository
from aga.structure.candidate import Candidate
from aga.structure.symmetry import space_group
from aga.tasks.dispatch import advance
from aga.tasks.perform import perform
from aga.tasks.session import open_session
from aga.tasks.steps.seed import check_earlier, earlier_structures

pytestmark = pytest.mark.embedded


def settings_of(folder: Path, **search: Any) -> Settings:
    return Settings.model_validate(
        {
            "search": {
                "composition": "Si8",
                "initial_structures": 4,
                "offspring": 4,
                "generations_per_iteration": 1,
                "final_relaxations": 1,
                "relax_steps": 20,
                "acquisition": {"picks_per_iteration": 2},
                "budget": {"iterations": 1},
                **search,
            },
            "potential": {"hidden": [4], "members": 2},
            "training": {"passes": 5},
            "machine": {"run_dir": str(folder / "runs")},
        }
    )


def test_a_search_begins_with_files_and_with_the_best_of_an_earlier_one(
    tmp_path: Path, filled_search: str, embedded_database: str
) -> None:
    write(tmp_path / "two.extxyz", [bulk("Si", "fcc", a=3.9), bulk("Si", "sc", a=2.6)])
    settings = settings_of(
        tmp_path,
        seeds=[str(tmp_path / "two.extxyz")],
        seed_searches=[filled_search],
        prototypes=2,
        population_size=3,
    )
    session = open_session(embedded_database)
    repository = session.repository
    repository.create_search(settings)
    search = settings.search_id()
    advance(repository, session.launchpad, search)
    while repository.get_search(search)["state"] == "running":
        for step in repository.list_steps(search, state="planned"):
            perform(step.id, session.launchpad)
    first = {doc["name"]: doc for doc in repository.find_structures(search, {"iteration": 0})}
    lineages = {name: first[name]["lineage"] for name in sorted(first) if name[0] in "si"}
    assert [lineages[f"s000-00{k}"]["operator"] for k in range(4)] == [
        "file", "file", "search", "search",
    ]  # fmt: skip
    assert lineages["s000-000"]["stream"] == f"{tmp_path / 'two.extxyz'}#0"
    # its result, and the labelled structure with the next lowest energy: the third, which the
    # result comes from, is the same crystal
    assert lineages["s000-002"]["stream"] == f"{filled_search}/r000-g002-000"
    assert lineages["s000-003"]["stream"] == f"{filled_search}/g001-001"
    assert [lineages[f"i000-00{k}"]["operator"] for k in range(4)] == [
        "prototype", "prototype", "random", "random",
    ]  # fmt: skip
    diamond = Candidate.from_dict(first["s000-002"])
    assert space_group(diamond, 0.05).number == 227
    trained = set(repository.dataset_names(search, 0))
    assert trained == {name for name in first if name[0] in "si"}
    assert "s000-002" in trained
    (step,) = repository.list_steps(search, kind="seed")
    assert (step.result or {})["failed"]["search: duplicate"] == 1
    assert repository.get_search(search)["state"] == "finished"


def test_earlier_searches_that_can_not_help(
    tmp_path: Path, filled_search: str, repository: Repository
) -> None:
    def taken(**search: Any) -> list[Candidate]:
        return earlier_structures(repository, settings_of(tmp_path, **search).search)

    assert taken() == []
    with pytest.raises(NotFoundError, match="Si8-00000000"):
        taken(seed_searches=["Si8-00000000"])
    with pytest.raises(InputError, match=r"seed_searches\[0\].*the search is of Ge8") as caught:
        taken(composition="Ge8", seed_searches=[filled_search])
    assert "same formula" in str(caught.value.remedy)
    with pytest.raises(InputError, match="cell of 3 atoms"):
        taken(composition="Si3", formula_units=1, seed_searches=[filled_search])
    assert len(taken(seed_searches=[filled_search], population_size=2)) == 2


def test_earlier_searches_that_use_up_the_budget_are_refused_at_the_start(
    tmp_path: Path, filled_search: str, repository: Repository
) -> None:
    def check(calls: int) -> None:
        budget = {"reference_calls": calls}
        settings = settings_of(
            tmp_path, seed_searches=[filled_search], population_size=3, budget=budget
        )
        check_earlier(repository, settings.search)

    with pytest.raises(InputError, match="begins with 6 structures") as caught:
        check(6)  # four random crystals, two of the earlier search that differ
    assert "at least 8" in str(caught.value.remedy)
    check(7)


def test_an_earlier_search_without_labels(tmp_path: Path, repository: Repository) -> None:
    empty = settings_of(tmp_path, name="empty")
    repository.create_search(empty)
    settings = settings_of(tmp_path, seed_searches=[empty.search_id()])
    with pytest.raises(InputError, match="has labelled none yet"):
        earlier_structures(repository, settings.search)
