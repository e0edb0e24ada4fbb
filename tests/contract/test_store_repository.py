"""What every database has to do for a search: the same tests on each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from aga.config import Settings
from aga.errors import ModelError, NotFoundError
from aga.store.documents import ResultDoc
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Relaxed

SID = "Si2-00000000"


MONGODB = os.environ.get("AGA_TEST_MONGODB")  # mongodb://host:port of a server for tests
SERVERS: list[Any] = [pytest.param("embedded", marks=pytest.mark.embedded)]
SERVERS += ["mongodb"] if MONGODB else []


@pytest.fixture(params=SERVERS)
def repo(request: pytest.FixtureRequest) -> Iterator[Repository]:
    if request.param == "embedded":
        uri = request.getfixturevalue("embedded_database")
    else:
        uri = f"{str(MONGODB).rstrip('/')}/test_{uuid.uuid4().hex[:12]}"
    with Repository.open(uri) as opened:
        yield opened
        opened.database.client.drop_database(opened.database.name)


def candidate(name: str, *, parents: tuple[str, ...] = (), generation: int = 1) -> Candidate:
    rng = np.random.default_rng([ord(c) for c in name])
    return Candidate(
        name=name,
        numbers=np.array([14, 14]),
        positions=rng.random((2, 3)) * 3,
        cell=np.eye(3) * (3 + rng.random()),
        lineage=Lineage(operator="crossover", parents=parents, generation=generation),
    )


def relaxed(name: str, energy: float = -9.0) -> Relaxed:
    return Relaxed(
        candidate=candidate(name),
        energy=energy,
        enthalpy=energy + 0.5,
        energy_spread=0.01,
        force_spread=0.1,
        max_force=0.01,
        steps=12,
        reason="converged",
    )


def label(energy: float = -9.25) -> Label:
    return Label(energy=energy, forces=np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]]))


def settings(**machine: Any) -> Settings:
    return Settings.model_validate({"search": {"composition": "TiO2"}, "machine": machine})


# searches


def test_search_is_created_once(repo: Repository) -> None:
    tree = settings(database="mongodb://anna:geheim@db.example/aga")
    assert repo.create_search(tree)
    repo.update_search(tree.search_id(), {"iteration": 3})
    assert not repo.create_search(tree)
    found = repo.get_search(tree.search_id())
    assert found["iteration"] == 3
    assert found["formula"] == "O4Ti2"
    assert found["digest"] == tree.digest()
    assert "geheim" not in str(found)
    assert Settings.model_validate(found["settings"]).digest() == tree.digest()


def test_search_is_found_by_its_beginning(repo: Repository) -> None:
    with pytest.raises(NotFoundError, match="no search yet"):
        repo.resolve_search()
    first, second = settings(), Settings.model_validate({"search": {"composition": "Si8"}})
    repo.create_search(first)
    repo.update_search(
        first.search_id(), {"created": repo.get_search(first.search_id())["created"]}
    )
    repo.create_search(second)
    assert repo.resolve_search(second.search_id()[:4]) == second.search_id()
    assert repo.resolve_search(first.search_id()) == first.search_id()
    with pytest.raises(NotFoundError, match=first.search_id()):
        repo.get_search(first.search_id()[:-1] + "x")
    with pytest.raises(NotFoundError, match="could be"):
        repo.resolve_search("")


def test_search_changes_only_from_the_expected_state(repo: Repository) -> None:
    tree = settings()
    repo.create_search(tree)
    sid = tree.search_id()
    assert repo.update_search(sid, {"state": "finished"}, expect={"state": "running"})
    assert not repo.update_search(sid, {"state": "failed"}, expect={"state": "running"})
    assert repo.get_search(sid)["state"] == "finished"
    assert not repo.update_search("nobody", {"state": "failed"})


# structures


def test_structures_keep_every_bit_of_their_geometry(repo: Repository) -> None:
    wanted = candidate("g001-000", parents=("i000-001",))
    assert repo.put_candidates(SID, 1, [wanted, candidate("g001-001")]) == 2
    assert repo.put_candidates(SID, 1, [wanted]) == 0
    back = Candidate.from_dict(repo.get_structure(SID, "g001-000"))
    assert (back.positions == wanted.positions).all()
    assert (back.cell == wanted.cell).all()
    assert back.lineage == wanted.lineage


def test_stages_never_go_back(repo: Repository) -> None:
    name = "g001-000"
    repo.put_candidates(SID, 1, [candidate(name)])
    item = relaxed(name)
    extras = {name: {"space_group": {"number": 227, "symbol": "Fd-3m"}, "fingerprint": [0.5]}}
    repo.put_relaxed(SID, 1, 4, [item], extras)
    assert repo.get_structure(SID, name)["stage"] == "relaxed"
    repo.mark_picked(SID, {name: {"score": -4.6, "why": "low energy"}})
    moved = Relaxed.from_dict(
        item.to_dict() | {"candidate": candidate("other").renamed(name).to_dict()}
    )
    repo.put_relaxed(SID, 1, 5, [moved])
    stored = repo.get_structure(SID, name)
    assert stored["stage"] == "picked"
    assert stored["committee"]["version"] == 4
    assert stored["positions"] == item.candidate.positions.tolist()
    repo.mark_labelled(SID, name, label(), engine="tersoff", pressure=0.1)
    assert not repo.mark_failed(SID, name, "timeout", "late")
    repo.mark_picked(SID, {name: {"score": -4.7, "why": "again"}})
    assert repo.put_candidates(SID, 1, [candidate(name)]) == 0
    stored = repo.get_structure(SID, name)
    assert stored["stage"] == "labelled"
    assert stored["failure"] is None
    assert stored["space_group"]["number"] == 227


def test_enthalpy_is_energy_plus_pv(repo: Repository) -> None:
    repo.put_candidates(SID, 0, [candidate("i000-000")])
    repo.mark_labelled(SID, "i000-000", label(-9.0), engine="espresso", pressure=0.05)
    stored = repo.get_structure(SID, "i000-000")
    volume = candidate("i000-000").volume
    assert stored["reference"]["energy_per_atom"] == -4.5
    assert stored["reference"]["enthalpy_per_atom"] == pytest.approx(-4.5 + 0.05 * volume / 2)
    assert stored["reference"]["max_force"] == pytest.approx(5.0)
    assert stored["reference"]["engine"] == "espresso"


def test_failed_structure_can_still_be_labelled(repo: Repository) -> None:
    repo.put_candidates(SID, 0, [candidate("i000-000")])
    assert repo.mark_failed(SID, "i000-000", "timeout", "killed after 3600 s")
    assert repo.get_structure(SID, "i000-000")["failure"]["reason"] == "timeout"
    repo.mark_labelled(SID, "i000-000", label(), engine="tersoff")
    assert repo.get_structure(SID, "i000-000")["stage"] == "labelled"


def test_forgiven_structures_stand_where_they_stood(repo: Repository) -> None:
    repo.put_candidates(SID, 0, [candidate(name) for name in ("a", "b", "c", "d")])
    repo.mark_picked(SID, {"b": {"score": -4.0, "why": "low"}})
    for name in ("a", "b", "d"):
        repo.mark_failed(SID, name, "crashed", "no output")
    repo.mark_labelled(SID, "c", label(), engine="tersoff")
    repo.forgive(SID, ["a", "b", "c"])
    stages = {name: repo.get_structure(SID, name)["stage"] for name in "abcd"}
    assert stages == {"a": "proposed", "b": "picked", "c": "labelled", "d": "failed"}
    assert repo.get_structure(SID, "a")["failure"] is None


def test_machine_settings_change_and_hide_the_password(repo: Repository) -> None:
    repo.create_search(settings())
    sid = settings().search_id()
    assert repo.put_machine(settings(workers=7, database="mongodb://me:secret@host/aga"))
    stored = repo.get_search(sid)
    assert stored["settings"]["machine"]["workers"] == 7
    assert "secret" not in str(stored)
    assert stored["settings"]["search"] == settings().model_dump(mode="json")["search"]


def test_numbers_that_are_none_become_null(repo: Repository) -> None:
    item = Relaxed.from_dict(relaxed("g001-000").to_dict() | {"energy": float("nan")})
    repo.put_relaxed(SID, 1, 1, [item])
    assert repo.get_structure(SID, "g001-000")["committee"]["energy_per_atom"] is None
    assert repo.relaxed_structures(SID, 1) == [], "nobody can go on with it"


def test_relaxed_structures_come_back_with_every_bit(repo: Repository) -> None:
    items = [relaxed(f"g001-{k:03d}", -9.0 - k / 3) for k in range(3)]
    repo.put_relaxed(SID, 1, 0, items[::-1])
    repo.put_relaxed(SID, 2, 0, [relaxed("g002-000")])
    back = repo.relaxed_structures(SID, 1)
    assert [item.to_dict() for item in back] == [item.to_dict() for item in items]


def test_withdrawn_picks_stand_as_they_did(repo: Repository) -> None:
    """Those that were bred are relaxed, those that were drawn to be labelled are not."""
    repo.put_relaxed(SID, 1, 0, [relaxed("g001-000"), relaxed("g001-001")])
    repo.put_candidates(SID, 1, [candidate("i001-000")])
    repo.mark_picked(SID, {n: {"why": "x"} for n in ("g001-000", "g001-001", "i001-000")})
    repo.withdraw_picks(SID, ["g001-000", "i001-000"])
    stored = {name: repo.get_structure(SID, name) for name in ("g001-000", "g001-001", "i001-000")}
    assert [one["stage"] for one in stored.values()] == ["relaxed", "picked", "proposed"]
    assert [one["pick"] is None for one in stored.values()] == [True, False, True]


def result(rank: int, name: str, energy: float) -> ResultDoc:
    return ResultDoc(rank=rank, candidate=candidate(name), label=label(energy), engine="tersoff")


def test_results_replace_those_of_an_earlier_call(repo: Repository) -> None:
    repo.put_candidates(SID, 1, [candidate("g001-000"), candidate("g001-001")])
    repo.put_results(SID, [result(0, "g001-000", -9.2), result(1, "g001-001", -9.1)])
    repo.put_results(SID, [result(0, "g001-001", -9.3)])
    found = repo.find_structures(SID, {"stage": "result"}, sort=[("rank", 1)])
    assert [doc["name"] for doc in found] == ["r000-g001-001"]
    assert found[0]["lineage"]["parents"] == ["g001-001"]
    assert found[0]["lineage"]["operator"] == "reference_relaxation"
    assert repo.count_stages(SID) == {"proposed": 2, "result": 1}


def test_structures_without_the_value_come_last(repo: Repository) -> None:
    repo.put_candidates(SID, 1, [candidate(f"g001-{k:03d}") for k in range(4)])
    repo.mark_labelled(SID, "g001-002", label(-9.0), engine="tersoff")
    repo.mark_labelled(SID, "g001-003", label(-9.5), engine="tersoff")

    def names(direction: int, limit: int | None = None) -> list[str]:
        order = [("reference.energy_per_atom", direction)]
        return [doc["name"][-1] for doc in repo.find_structures(SID, sort=order, limit=limit)]

    assert names(1) == ["3", "2", "0", "1"]
    assert names(-1) == ["2", "3", "0", "1"]
    assert names(1, 3) == ["3", "2", "0"]
    assert names(1, 2) == ["3", "2"]
    assert len(repo.find_structures(limit=1)) == 1
    assert repo.find_structures("nobody") == []


def test_ancestry_names_each_ancestor_once(repo: Repository) -> None:
    family = [
        candidate("i000-000", generation=0),
        candidate("g001-000", parents=("i000-000",)),
        candidate("g001-001", parents=("i000-000", "lost")),
        candidate("g002-000", parents=("g001-001", "g001-000"), generation=2),
    ]
    repo.put_candidates(SID, 1, family)
    names = [doc["name"] for doc in repo.ancestry(SID, "g002-000")]
    assert names == ["g002-000", "g001-001", "g001-000", "i000-000"]
    with pytest.raises(NotFoundError, match="g002-000"):
        repo.ancestry(SID, "g002-00")


# what the committee learns from


def frame(name: str, energy: float = -9.0) -> Frame:
    return Frame(candidate=candidate(name), energy=energy, forces=np.full((2, 3), 0.1))


def test_datasets_grow_from_their_parents(repo: Repository) -> None:
    for name in ("c", "a", "b"):
        assert repo.put_frame(SID, 0, frame(name))
    assert not repo.put_frame(SID, 0, frame("a", energy=77.0))
    first = repo.commit_dataset(SID, 0, None, ["b", "a"])
    second = repo.commit_dataset(SID, 1, 0, ["c", "a"])
    assert first["count"] == 2
    assert second["added"] == [f"{SID}/c"]
    assert second["count"] == 3
    assert [item.name for item in repo.dataset_frames(SID, 1)] == ["a", "b", "c"]
    assert [item.name for item in repo.dataset_frames(SID, 0)] == ["a", "b"]
    assert repo.dataset_frames(SID, 0)[0].energy == -9.0
    assert repo.commit_dataset(SID, 1, 0, ["b"]) == second
    assert (repo.latest_dataset(SID) or {})["version"] == 1


def test_dataset_hash_tells_contents_apart(repo: Repository) -> None:
    for sid, energy in (("one", -9.0), ("two", -9.0), ("three", -9.0000001)):
        repo.put_frames(sid, 0, [frame("a", energy), frame("b")])
    hashes = [
        repo.commit_dataset(sid, 0, None, ["a", "b"])["hash"] for sid in ("one", "two", "three")
    ]
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_dataset_of_missing_frames_is_refused(repo: Repository) -> None:
    repo.put_frame(SID, 0, frame("a"))
    with pytest.raises(NotFoundError, match="no frame b"):
        repo.commit_dataset(SID, 0, None, ["a", "b"])
    with pytest.raises(NotFoundError, match="dataset d007"):
        repo.commit_dataset(SID, 8, 7, ["a"])
    with pytest.raises(NotFoundError):
        repo.get_dataset(SID, 0)


def test_frames_remember_their_focal_weights(repo: Repository) -> None:
    repo.put_frames(SID, 0, [frame("a"), frame("b")])
    repo.record_weights(SID, 2, 0, {"a": 1.5, "b": np.float64(0.25)})
    repo.record_weights(SID, 2, 1, {"a": 0.5})
    repo.record_weights(SID, 3, 0, {"a": 2.0})
    stored = {doc["name"]: doc["focal_weights"] for doc in repo.find("frames", {"search_id": SID})}
    assert stored == {
        "a": {"v002": {"m0": 1.5, "m1": 0.5}, "v003": {"m0": 2.0}},
        "b": {"v002": {"m0": 0.25}},
    }


def test_first_committee_of_a_version_stays(repo: Repository) -> None:
    assert repo.latest_committee(SID) is None
    card = {"dataset": 0, "members": ["x"], "metrics": {"energy_mae": float("nan")}, "seed": 7}
    stored = repo.commit_committee(SID, 0, card)
    assert stored["metrics"] == {"energy_mae": None}
    assert repo.commit_committee(SID, 0, card | {"seed": 8}) == stored
    repo.commit_committee(SID, 1, card | {"dataset": 1})
    assert (repo.latest_committee(SID) or {})["version"] == 1
    assert [doc["version"] for doc in repo.list_committees(SID)] == [0, 1]
    with pytest.raises(NotFoundError, match="committee v002"):
        repo.get_committee(SID, 2)


def test_population_comes_back_with_every_bit(repo: Repository) -> None:
    items = [relaxed(f"g001-{k:03d}", -9.0 - k / 3) for k in range(3)]
    assert repo.latest_population(SID) is None
    assert repo.put_population(SID, 1, 0, 2, items)
    assert not repo.put_population(SID, 1, 0, 2, items[:1])
    back = repo.get_population(SID, 1)
    assert [item.to_dict() for item in back] == [item.to_dict() for item in items]
    assert repo.population_operators(SID, 1) == {}
    record = {"made": {"rattle": 40 / 3, "random": 2.0}, "entered": {"rattle": 0.8**5}}
    repo.put_population(SID, 2, 0, 2, items[:1], record)
    assert repo.population_operators(SID, 2) == record
    latest = repo.latest_population(SID) or {}
    assert (latest["generation"], latest["committee"]) == (2, 2)
    for ask in (repo.get_population, repo.population_operators):
        with pytest.raises(NotFoundError):
            ask(SID, 3)


# blobs


def test_equal_blobs_are_stored_once(repo: Repository) -> None:
    content = os.urandom(700_000)  # several GridFS pieces
    digest = repo.put_blob(content)
    assert repo.put_blob(content) == digest
    assert repo.get_blob(digest) == content
    assert repo.database["aga_blobs.files"].count_documents({}) == 1
    assert repo.get_blob(repo.put_blob(b"")) == b""
    with pytest.raises(NotFoundError):
        repo.get_blob("0" * 64)


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damaged_blob_is_refused(repo: Repository, damage: str) -> None:
    digest = repo.put_blob(b"weights" * 1000)
    pieces = repo.database["aga_blobs.chunks"]
    if damage == "changed":
        pieces.update_one({}, {"$set": {"data": b"wEights" * 1000}})
    else:
        pieces.delete_many({})
    with pytest.raises(ModelError, match="checksum"):
        repo.get_blob(digest)


def test_upload_cut_off_by_a_crash_does_not_block_the_next(repo: Repository) -> None:
    content = b"weights" * 1000
    digest = repo.put_blob(content)
    repo.database["aga_blobs.files"].delete_many({})  # the pieces are there, the file is not
    assert repo.put_blob(content) == digest
    assert repo.get_blob(digest) == content


# events


def test_events_come_in_order_and_after_the_last_seen(repo: Repository) -> None:
    seen = [repo.log(SID, "note", f"event {k}", number=np.int64(k)) for k in range(3)]
    repo.log("another", "note", "not ours")
    events = repo.events(SID)
    assert [event["_id"] for event in events] == sorted(seen)
    assert {event["facts"]["number"] for event in events} == {0, 1, 2}
    assert repo.events(SID, after=events[0]["_id"]) == events[1:]
    assert repo.events(SID, limit=2) == events[1:]
    assert repo.events(SID, after=events[-1]["_id"]) == []
