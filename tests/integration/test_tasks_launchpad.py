"""FireWorks' collections on a real server: one claim for each firework, whoever asks."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fireworks import Firework, FWAction, FWorker, LaunchPad, Workflow

from aga.tasks.collections import CarefulCollection, fits, is_plain
from aga.tasks.firetasks import StartTask
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.session import open_session

pytestmark = pytest.mark.embedded


@pytest.fixture
def launchpad(embedded_database: str) -> SearchLaunchPad:
    return open_session(embedded_database).launchpad


def add(launchpad: SearchLaunchPad, **spec: Any) -> int:
    task = StartTask(settings={})
    ids = launchpad.add_wf(Workflow([Firework([task], spec=spec)]))
    return int(next(iter(ids.values())))


def test_many_clients_claim_each_document_once(embedded_database: str) -> None:
    def client() -> CarefulCollection:
        database = open_session(embedded_database).repository.database
        return CarefulCollection(database.get_collection("claims"))

    first = client()
    first.insert_many([{"number": n, "state": "READY", "weight": n % 3} for n in range(60)])

    def claim_all(_: int) -> list[int]:
        collection, got = client(), []
        while True:
            found = collection.find_one_and_update(
                {"state": "READY"}, {"$set": {"state": "TAKEN"}}, sort=[("weight", -1)]
            )
            if found is None:
                return got
            got.append(int(found["number"]))

    with ThreadPoolExecutor(4) as threads:
        claimed = [n for part in threads.map(claim_all, range(4)) for n in part]
    assert Counter(claimed) == Counter(range(60))


def test_a_replacement_is_inserted_where_there_is_none(launchpad: SearchLaunchPad) -> None:
    launches: Any = launchpad.launches
    launches.find_one_and_replace({"launch_id": 7}, {"launch_id": 7, "n": 1})
    assert launches.count_documents({}) == 0
    for n in (1, 2):
        launches.find_one_and_replace({"launch_id": 7}, {"launch_id": 7, "n": n}, upsert=True)
        assert [d["n"] for d in launches.find({"launch_id": 7})] == [n]


def test_an_update_keeps_its_conditions(launchpad: SearchLaunchPad) -> None:
    launches: Any = launchpad.launches
    launches.insert_one({"launch_id": 7, "state": "COMPLETED", "n": 1})
    change = {"$set": {"n": 2}}
    running = {"launch_id": 7, "state": "RUNNING"}
    assert launches.update_one(running, change).matched_count == 0
    assert launches.update_one({"launch_id": 8, "state": "RUNNING"}, change).matched_count == 0
    assert launches.update_one({"launch_id": 7}, change).matched_count == 1


def test_firework_and_workflow_follow_the_launch(launchpad: SearchLaunchPad) -> None:
    """What stock FireWorks shows of a step is what happened to it."""
    for number, (state, step_id) in enumerate([("COMPLETED", "s/a"), ("FIZZLED", "s/b")]):
        fw_id = add(launchpad, step_id=step_id)
        firework, launch_id = launchpad.checkout_fw(FWorker("node"), f"launch-{number}")
        assert firework.fw_id == fw_id
        for expected in ("RUNNING", state):
            if expected != "RUNNING":
                launchpad.complete_launch(launch_id, FWAction(stored_data={"n": 1}), expected)
            stock = LaunchPad(**launchpad.to_dict())
            workflow = stock.get_wf_by_fw_id(fw_id)
            assert (workflow.state, workflow.fws[0].state) == (expected, expected)
            assert workflow.fw_states == {fw_id: expected}
        rerun = stock.rerun_fw(fw_id) if state == "FIZZLED" else []
        assert rerun == ([fw_id] if state == "FIZZLED" else [])


def test_the_first_that_fits_is_taken_and_no_other(launchpad: SearchLaunchPad) -> None:
    low = add(launchpad, _category="oracle", _priority=1)
    other = add(launchpad, _category="ga", _priority=9)
    high = add(launchpad, _category="oracle", _priority=5)
    worker = FWorker("node", category=["oracle"])
    taken = [launchpad._get_a_fw_to_run(worker.query) for _ in range(3)]
    assert [one.fw_id if one else None for one in taken] == [high, low, None]
    (left,) = launchpad.get_fw_ids({"state": "READY"})
    assert left == other


def test_equal_ones_are_taken_in_the_order_they_were_added(launchpad: SearchLaunchPad) -> None:
    """So the most promising pick of a batch is labelled first."""
    labels = [add(launchpad, _priority=5) for _ in range(3)]
    train = add(launchpad, _priority=7)
    taken = [launchpad.checkout_fw(FWorker("node"), f"launch-{n}")[0].fw_id for n in range(4)]
    assert taken == [train, *labels]


def test_a_firework_bound_to_a_worker_goes_to_that_worker(launchpad: SearchLaunchPad) -> None:
    bound = add(launchpad, _fworker="special")
    assert launchpad._get_a_fw_to_run(FWorker("node").query) is None
    found = launchpad._get_a_fw_to_run(FWorker("special").query)
    assert found is not None
    assert found.fw_id == bound


def test_what_is_asked_beyond_the_known_is_left_to_the_server(launchpad: SearchLaunchPad) -> None:
    add(launchpad, size=3)
    wanted = add(launchpad, size=8)
    worker = FWorker("node", query={"spec.size": {"$gt": 5}})
    found = launchpad._get_a_fw_to_run(worker.query)
    assert found is not None
    assert found.fw_id == wanted


@pytest.mark.parametrize(
    ("spec", "query", "answer"),
    [
        ({"a": 1}, {"spec.a": 1}, True),
        ({"a": 1}, {"spec.a": 2}, False),
        ({"a": 1}, {"spec.a": {"$in": [1, 2]}}, True),
        ({}, {"spec.a": {"$in": [1, 2]}}, False),
        ({}, {"$or": [{"spec._fworker": None}, {"spec._fworker": "x"}]}, True),
        ({"_fworker": "x"}, {"$or": [{"spec._fworker": None}, {"spec._fworker": "x"}]}, True),
        ({"_fworker": "y"}, {"$or": [{"spec._fworker": None}, {"spec._fworker": "x"}]}, False),
    ],
)
def test_a_query_is_understood(spec: dict[str, Any], query: dict[str, Any], answer: object) -> None:
    assert is_plain(query)
    assert fits({"spec": spec}, query) is answer


def test_other_queries_are_not() -> None:
    assert not is_plain({"spec.size": {"$gt": 5}})
    assert not is_plain({"$or": [{"spec.size": 5}]})
