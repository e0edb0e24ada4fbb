"""What goes wrong in a step: one candidate is lost, or the search waits; nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aga.errors import DiskFullError, SiteError
from aga.store.handle import SearchHandle
from aga.tasks.perform import MAX_ATTEMPTS, perform
from aga.tasks.recovery import recover, retry_failed
from aga.tasks.worker import WorkerOptions, work

pytestmark = pytest.mark.embedded

FAULTS = {
    "raise": "unexpected",
    "crash": "crashed",
    "timeout": "timeout",
    "not_converged": "not_converged",
    "mute": "incomplete",
    "pushed": "garbage",
    "nan": "non_finite",
    "hot": "exploded",
}
"""What the engine does → the reason that the candidate is marked with."""


def failures(search: Any) -> dict[str, str]:
    """Reason of each initial structure that failed (bred ones may explode on the committee)."""
    found = SearchHandle(search.repository, search.id).structures("stage == failed")
    return {
        item.name: item.failure["reason"]
        for item in found
        if item.failure and item.name.startswith("i")
    }


def events(search: Any, kind: str) -> list[dict[str, Any]]:
    return [e for e in search.repository.events(search.id) if e["kind"] == kind]


def test_failing_reference_runs_cost_their_candidates_alone(
    new_search: Callable[..., Any],
) -> None:
    search = new_search(initial=12)
    search.add()
    search.drain(until="label")
    names = [step.key for step in search.planned("label")]
    told = dict(zip(names, FAULTS, strict=False))
    search.faults({f"label {name}": fault for name, fault in told.items()})
    search.drain()
    assert search.state == "finished"
    assert failures(search) == {name: FAULTS[fault] for name, fault in told.items()}
    assert len(search.repository.frames(search.id)) >= 12 - len(FAULTS)
    status = SearchHandle(search.repository, search.id).status()
    assert status["reference_calls"] == len(search.repository.list_steps(search.id, kind="label"))
    messages = " ".join(e["message"] for e in events(search, "candidate_failed"))
    assert all(name in messages for name, fault in told.items() if fault != "raise")


@pytest.mark.parametrize("fault", ["blow up", "raise", "nan"])
def test_a_final_relaxation_that_fails_costs_its_result_alone(
    small_search: Any, fault: str
) -> None:
    small_search.drain(until="refine")
    first, *rest = small_search.planned("refine")
    small_search.faults({f"refine {first.key}": fault})
    small_search.drain()
    assert small_search.state == "finished"
    results = SearchHandle(small_search.repository, small_search.id).structures("stage == result")
    assert len(results) == len(rest)
    kept = small_search.repository.get_structure(small_search.id, first.key)
    assert kept["stage"] == "labelled", "its own label is still good"
    assert small_search.repository.get_search(small_search.id)["refine_calls"] > len(rest)


def test_without_labels_the_search_fails_and_computes_them_again_once_mended(
    small_search: Any,
) -> None:
    small_search.faults({"label": "crash"})
    small_search.drain()
    search = small_search.repository.get_search(small_search.id)
    assert search["state"] == "failed"
    assert "6 × crashed" in search["reason"]
    assert "aga recover --retry" in search["remedy"]
    collect = small_search.repository.list_steps(small_search.id, kind="collect")
    assert collect[0].attempts == 1, "trying again without new labels is in vain"

    retry_failed(small_search.repository, small_search.launchpad, small_search.id)
    small_search.drain()
    assert small_search.state == "failed", "nothing was mended"

    small_search.faults()
    retry_failed(small_search.repository, small_search.launchpad, small_search.id)
    assert small_search.state == "running"
    assert not failures(small_search)
    small_search.drain()
    search = small_search.repository.get_search(small_search.id)
    assert search["state"] == "finished"
    assert search["remedy"] is None
    assert not failures(small_search)


def test_an_iteration_without_any_label_stops_the_search_where_the_machine_is_at_fault(
    new_search: Callable[..., Any],
) -> None:
    trusting = {"picks_per_iteration": 3, "spread_max": 100.0}  # enough for three picks
    small_search = new_search(search={"acquisition": trusting})
    small_search.add()
    small_search.drain(until="acquire")
    small_search.faults({"label": "crash"})
    small_search.drain()
    search = small_search.repository.get_search(small_search.id)
    assert search["state"] == "failed"
    assert "no reference job of iteration 1 gave a label" in search["reason"]
    small_search.faults()
    retry_failed(small_search.repository, small_search.launchpad, small_search.id)
    small_search.drain()
    assert small_search.state == "finished"
    assert len(small_search.repository.list_steps(small_search.id, kind="label")) == 9


def test_an_iteration_of_unlucky_structures_does_not_stop_the_search(small_search: Any) -> None:
    small_search.drain(until="acquire")
    small_search.faults({"label": "not_converged"})
    small_search.drain()
    assert small_search.state == "finished"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [("full", DiskFullError, "no space left"), ("missing", SiteError, "pw.x is not here")],
)
def test_what_the_machine_lacks_costs_no_candidate(
    small_search: Any, fault: str, error: type[Exception], words: str
) -> None:
    small_search.drain(until="label")
    small_search.faults({"label": fault})
    step = small_search.planned("label")[0]
    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(error, match=words):
            perform(step.id, small_search.launchpad)
    now = small_search.repository.get_step(step.id)
    assert (now.state, now.attempts) == ("planned", 0)
    assert isinstance(small_search.launchpad.trouble, error)
    search = small_search.repository.get_search(small_search.id)
    assert search["state"] == "running"
    assert words in search["reason"]
    assert search["remedy"]
    assert len(events(small_search, "held_up")) == 1, "said once, not once per attempt"

    small_search.faults()
    perform(step.id, small_search.launchpad)
    assert small_search.launchpad.trouble is None
    assert small_search.repository.get_search(small_search.id)["reason"] is None
    small_search.drain()
    assert small_search.state == "finished"
    assert not failures(small_search)


def worker(search: Any, folder: Path, patience: float = 0.0) -> int:
    options = WorkerOptions(search_id=search.id, launch_dir=folder, patience=patience, max_idle=1.0)
    return work(search.repository, search.launchpad, options)


@pytest.mark.parametrize(("fault", "error"), [("full", DiskFullError), ("missing", SiteError)])
def test_a_worker_on_an_unfit_machine_ends_and_leaves_the_steps_to_others(
    small_search: Any, tmp_path: Path, fault: str, error: type[Exception]
) -> None:
    small_search.faults({"label": fault})
    with pytest.raises(error):
        worker(small_search, tmp_path / "launches")
    labels = small_search.repository.list_steps(small_search.id, kind="label")
    assert {step.state for step in labels} == {"planned"}
    assert small_search.state == "running"
    fizzled = small_search.launchpad.fireworks.count_documents({"state": "FIZZLED"})
    assert fizzled == 1, "it went through the queue instead of waiting"

    small_search.faults()
    found = recover(small_search.repository, small_search.launchpad, small_search.id, grace=0.0)
    assert len(found.handed_out) == 1
    worker(small_search, tmp_path / "launches")
    assert small_search.state == "finished"
    assert not failures(small_search)


def test_a_worker_waits_for_space_and_goes_on(
    small_search: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aga.tasks.worker.SHORTEST_WAIT", 0.01)
    small_search.faults({"label": "full"})
    asked = []

    def note(repository: Any, search_id: str, error: Any) -> None:
        asked.append(error)
        if len(asked) == 3:  # somebody has made room
            small_search.faults()

    monkeypatch.setattr("aga.tasks.worker.note_trouble", note)
    worker(small_search, tmp_path / "launches", patience=60.0)
    recover(small_search.repository, small_search.launchpad, small_search.id, grace=0.0)
    worker(small_search, tmp_path / "launches", patience=60.0)
    assert len(asked) == 3
    assert small_search.state == "finished"
    assert not failures(small_search)


def test_launch_files_that_cannot_be_written_are_told_before_a_step_is_taken(
    small_search: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SiteError, match="file"):
        worker(small_search, tmp_path / "file" / "launches")
    assert small_search.launchpad.fireworks.count_documents({"state": "READY"}) == 1


def test_a_run_directory_that_cannot_be_made_costs_no_candidate(
    new_search: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    search = new_search(run_dir=str(tmp_path / "file" / "runs"))
    search.add()
    search.drain(until="label")
    with pytest.raises(SiteError, match="file") as caught:
        perform(search.planned("label")[0].id, search.launchpad)
    assert caught.value.exit_code == 3
    assert "machine.run_dir" in caught.value.remedy


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"espresso_command": "/nowhere/pw.x"}, "pw.x"),
        ({"espresso_command": "true", "pseudo_dir": "/nowhere"}, "machine.pseudo_dir: /nowhere"),
    ],
)
def test_a_worker_without_program_or_pseudopotential_costs_no_candidate(
    new_search: Callable[..., Any], machine: dict[str, str], words: str
) -> None:
    search = new_search(oracle="espresso", initial=4, **machine)
    search.add()
    search.drain(until="label")
    step = search.planned("label")[0]
    with pytest.raises(SiteError, match=words):
        perform(step.id, search.launchpad)
    assert search.repository.get_step(step.id).state == "planned"
    assert not failures(search)


def test_an_engine_that_this_machine_cannot_import_costs_no_candidate(
    small_search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_search.drain(until="label")
    monkeypatch.setitem(sys.modules, "faulty_engine", None)
    step = small_search.planned("label")[0]
    with pytest.raises(SiteError, match=r"(?s)faulty_engine.*PYTHONPATH"):
        perform(step.id, small_search.launchpad)
    assert small_search.repository.get_step(step.id).state == "planned"


def test_a_committee_that_refuses_everything_gets_new_random_crystals(
    new_search: Callable[..., Any],
) -> None:
    """Nothing above the bound is sent, and yet the search learns."""
    doubting = {"picks_per_iteration": 3, "spread_max": 1e-6}
    search = new_search(search={"acquisition": doubting})
    search.add()
    search.drain()
    assert search.state == "finished"
    labels = search.repository.list_steps(search.id, kind="label", iteration=1)
    assert [step.key for step in labels] == ["i001-000", "i001-001", "i001-002"]
    known = {frame.name for frame in search.repository.frames(search.id)}
    assert {step.key for step in labels} <= known
    document = search.repository.get_structure(search.id, "i001-000")
    assert "could not be trusted" in document["pick"]["why"]
    assert document["iteration"] == 1
    (chosen,) = search.repository.list_steps(search.id, kind="acquire")
    assert set(chosen.result["refused"]) <= {"spread", "exploded"}
