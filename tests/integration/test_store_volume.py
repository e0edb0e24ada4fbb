"""Lists of a large search: what an index gives is what reading everything would give."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from aga.bench.volume import LISTS, VolumeOptions, measure_volume
from aga.bench.volume_fill import SHARES, fill
from aga.bench.volume_table import volume_tables
from aga.store.base import Store
from aga.store.handle import SearchHandle
from aga.store.query import parse_sort, parse_where
from aga.store.repository import Repository
from aga.store.sizes import LIMIT, largest_documents

pytestmark = pytest.mark.embedded

HEAVY = "numpy ase torch matplotlib pandas scipy pymatgen fireworks numba pyxtal"

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": lambda a, b: a is not None and a < b,
    "$gt": lambda a, b: a is not None and a > b,
    "$eq": lambda a, b: a == b,
}


@pytest.fixture(scope="module")
def large(embedded_server: str) -> Any:
    """Give a search of 1500 structures."""
    with Repository.open(f"{embedded_server}/volume") as repository:
        search_id = fill(repository, 1500, lambda _: None)
        other = {**repository.get_structure(search_id, "g000-000"), "search_id": "another"}
        repository.insert_new("structures", [{**other, "_id": "another/g000-000"}])
        yield SearchHandle(repository, search_id)
        repository.database.client.drop_database("volume")


def value(document: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None  # type: ignore[assignment] # at its end a value
    return document


def expected(documents: list[dict[str, Any]], where: str, sort: str) -> list[str]:
    """Filter and sort as the manual says, in Python."""
    ((path, direction),) = parse_sort(sort)
    chosen = [
        doc
        for doc in sorted(documents, key=lambda doc: doc["_id"])
        if all(
            OPERATORS[sign](value(doc, key), bound)
            for key, test in parse_where(where).items()
            for sign, bound in test.items()
        )
    ]
    having = [doc for doc in chosen if value(doc, path) is not None]
    having.sort(key=lambda doc: direction * value(doc, path))
    return [doc["name"] for doc in having + [doc for doc in chosen if value(doc, path) is None]]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [5, 40, None])
def test_a_list_is_the_one_of_reading_everything(
    name: str, limit: int | None, large: SearchHandle
) -> None:
    where, sort = LISTS[name]
    documents = large.repository.find("structures", {"search_id": large.id})
    assert {doc["stage"] for doc in documents} == set(SHARES)
    found = [one.name for one in large.structures(where, sort, limit)]
    assert found == expected(documents, where, sort)[:limit]


def test_the_best_are_the_lowest_labels(large: SearchHandle) -> None:
    documents = large.repository.find("structures", {"search_id": large.id})
    labelled = [doc for doc in documents if doc["stage"] == "labelled"]
    assert 3 < len(labelled) < 40
    labelled.sort(key=lambda doc: doc["reference"]["enthalpy_per_atom"])
    assert [one.name for one in large.best(3)] == [doc["name"] for doc in labelled[:3]]


def test_relaxed_structures_of_an_iteration(large: SearchHandle) -> None:
    repository = large.repository
    documents = repository.find("structures", {"search_id": large.id, "iteration": 1})
    known = {doc["name"]: doc for doc in documents if doc["committee"]}
    assert [one.candidate.name for one in repository.relaxed_structures(large.id, 1)] == sorted(
        known
    )
    free = [doc for doc in known.values() if doc["stage"] == "relaxed"]
    free.sort(key=lambda doc: doc["committee"]["enthalpy_per_atom"])
    lowest = repository.lowest_relaxed(large.id, 1, 4)
    assert [one.candidate.name for one, _ in lowest] == [doc["name"] for doc in free[:4]]
    assert all(fingerprint.size for _, fingerprint in lowest)


def test_documents_of_an_older_version_are_listed(repository: Repository) -> None:
    """They have the same fields; their collection lacks the newer indexes, until it is opened."""
    search_id = fill(repository, 1000, lambda _: None)
    before = [one.name for one in SearchHandle(repository, search_id).structures("", "energy", 30)]
    collection = repository.collection("structures")
    collection.drop_indexes()
    handle = SearchHandle(repository, search_id)
    assert [one.name for one in handle.structures("", "energy", 30)] == before
    repository.ensure_indexes()
    wanted = [list(i.keys) for i in Store.indexes if i.collection == "structures"]
    known = [list(i["key"]) for i in collection.index_information().values()]
    assert all(keys in known for keys in wanted)
    repository.ensure_indexes()
    assert len(collection.index_information()) == len(known)


def test_a_mistyped_name_is_looked_for_in_its_generation(large: SearchHandle) -> None:
    with pytest.raises(Exception, match="no structure 'g002-99x'; the nearest: g002-"):
        large.structure("g002-99x")


def test_the_largest_documents(large: SearchHandle) -> None:
    found = {one.collection: one for one in largest_documents(large.repository.database)}
    assert found["aga_structures"].count == 1501
    assert 1000 < found["aga_structures"].size < 20_000
    assert found["aga_populations"].size > found["aga_structures"].size
    assert all(0 < one.share < 0.05 for one in found.values())
    assert found["aga_searches"].id == large.id
    assert found["aga_steps"].share == found["aga_steps"].size / LIMIT


def test_the_benchmark_measures_everything(embedded_server: str) -> None:
    told: list[str] = []
    options = VolumeOptions(structures=1000, repetitions=1, database=embedded_server)
    document = measure_volume(options, told.append)
    json.dumps(document, allow_nan=False)
    assert {row["query"] for row in document["queries"]} == {
        *("best", "structures show", "status"),
        *LISTS,
    }
    assert all(row["seconds"] > 0 for row in document["queries"])
    assert [row["command"] for row in document["commands"]] == [
        *("aga --version", "aga best", "aga structures list")
    ]
    by_query = {row["query"]: row for row in document["queries"]}
    assert by_query["structures list"]["found"] == 20
    assert "aga_structures" in {row["collection"] for row in document["documents"]}
    assert document["within"] == all(
        math.isfinite(row["seconds"]) and row["seconds"] < document["target_s"]
        for row in [*document["commands"], by_query["best"], by_query["structures list"]]
    )
    assert len(volume_tables(document).renderables) == 3
    with Repository.open(f"{embedded_server}/x") as repository:
        names = repository.database.client.list_database_names()
    assert not [name for name in names if name.startswith("aga_volume_")]


@pytest.mark.parametrize("words", [["best"], ["structures", "list"]])
def test_what_only_reads_loads_nothing_heavy(words: list[str], large: SearchHandle) -> None:
    host, port = next(iter(large.repository.database.client.nodes))
    code = (
        "import sys; from aga.cli.main import main;"
        f"code = main({[*words, '-d', f'mongodb://{host}:{port}/volume']!r});"
        f"print([m for m in '{HEAVY}'.split() if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    assert "g00" in done.stdout
