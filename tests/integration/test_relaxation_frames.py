"""Frames along the final relaxations: stored as data where asked for, and as nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.config import Settings
from aga.cycle import Outcome, Trained, run_search
from aga.oracle.registry import build_oracle
from aga.oracle.tersoff import Tersoff
from aga.potential.committee import NetworkCommittee
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.report.rows import unfinished_lines
from aga.store.handle import SearchHandle
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label
from aga.structure.relaxation_path import ALIKE, distance
from aga.tasks.steps import reference
from aga.training.data.formats import read_files
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

WANTED = 3


def tersoff() -> Tersoff:
    tree = Settings.model_validate(
        {"search": {"composition": "Si4"}, "oracle": {"engine": "tersoff"}}
    )
    found = build_oracle(tree.oracle, tree.machine, tree.search.atom_counts())
    assert isinstance(found, Tersoff)
    return found


def along(frames: Sequence[Frame]) -> list[Frame]:
    return [frame for frame in frames if ".ref.p" in frame.name]


def check(frames: Sequence[Frame], folder: Path) -> None:
    """What the frames along relaxations say is what the method says of these structures."""
    by_name, oracle = {frame.name: frame for frame in frames}, tersoff()
    found = along(frames)
    assert found
    for frame in found:
        start, _, number = frame.name.partition(".ref.p")
        assert 1 <= int(number) <= WANTED
        label = oracle.label(frame.candidate, folder)
        assert frame.energy == pytest.approx(label.energy, abs=1e-9)
        assert frame.forces is not None
        np.testing.assert_allclose(frame.forces, label.forces, atol=1e-8)
        assert frame.stress is not None
        assert label.stress is not None
        np.testing.assert_allclose(frame.stress, label.stress, atol=1e-9)
        assert frame.candidate.lineage.operator == "reference_relaxation"
        assert frame.candidate.lineage.parents == (start,)
        others = [by_name[one].candidate for one in (start, f"{start}.ref") if one in by_name]
        # a first crystal is labelled in a larger cell than the one it is relaxed in
        assert len(frame.candidate) == 4
        alike = [one for one in others if len(one) == 4]
        assert alike or f"{start}.ref" not in by_name
        assert all(distance(one, frame.candidate) >= ALIKE for one in alike)


@pytest.mark.embedded
def test_a_search_keeps_frames_along_its_relaxations_if_asked(
    new_search: Callable[..., Any], tmp_path: Path
) -> None:
    search = new_search(search={"relaxation_frames": WANTED})
    search.add()
    search.drain(until="refine")
    before = SearchHandle(search.repository, search.id).status()
    search.drain()
    repository, steps = search.repository, search.repository.list_steps(search.id, kind="refine")
    frames = repository.frames(search.id)
    check(frames, tmp_path)
    told = [name for step in steps for name in step.result["path"]]
    assert sorted(told) == sorted(frame.name for frame in along(frames))
    assert max(len(step.result["path"]) for step in steps) == WANTED
    # They are data and nothing else: no result, no structure, no calls, in no dataset.
    after = SearchHandle(repository, search.id).status()
    assert after["state"] == "finished"
    assert after["structures"] == before["structures"]
    assert after["reference_calls"] == before["reference_calls"]
    assert after["refine_calls"] == sum(step.result["evaluations"] for step in steps)
    assert len(repository.find_structures(search.id, {"stage": "result"})) <= len(steps)
    names = [doc["name"] for doc in repository.find("structures", {"search_id": search.id})]
    assert not any(".ref.p" in name for name in names)
    assert repository.count_pending(search.id) == 0
    latest = repository.latest_dataset(search.id)
    assert not any(
        ".ref.p" in one for one in repository.dataset_names(search.id, latest["version"])
    )


@pytest.mark.embedded
def test_without_being_asked_a_search_keeps_the_ends_alone(
    new_search: Callable[..., Any],
) -> None:
    search = new_search()
    search.add()
    search.drain()
    names = [frame.name for frame in search.repository.frames(search.id)]
    assert any(name.endswith(".ref") for name in names)
    assert not any(".ref.p" in name for name in names)
    steps = search.repository.list_steps(search.id, kind="refine")
    assert [step.result["path"] for step in steps] == [[]] * len(steps)


@pytest.mark.embedded
def test_a_second_attempt_adds_nothing(
    new_search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after the frames are stored: what is computed anew does not join them."""
    search = new_search(search={"relaxation_frames": WANTED})
    search.add()
    search.drain(until="refine")
    step, *_ = search.planned("refine")
    stored: list[dict[str, float]] = []

    def energies() -> dict[str, float]:
        return {frame.name: frame.energy for frame in search.repository.frames(search.id)}

    remove = reference.WaitingAnswer.remove

    performed = []

    def dies(waiting: Any) -> None:
        remove(waiting)
        performed.append(waiting.path.name)
        if not stored:
            stored.append(energies())
            raise ConnectionError("told to die")

    monkeypatch.setattr(reference.WaitingAnswer, "remove", dies)
    search.drain()
    assert search.state == "finished"
    assert sum(step.key in name for name in performed) == 2
    assert stored[0].items() <= energies().items()
    own = f"{step.key}.ref"
    assert {n for n in stored[0] if n.startswith(own)} == {
        n for n in energies() if n.startswith(own)
    }
    assert along(search.repository.frames(search.id))


@pytest.mark.embedded
def test_the_answer_on_disk_has_the_frames_and_no_more(
    new_search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = new_search(search={"relaxation_frames": WANTED})
    search.add()
    search.drain(until="refine")
    sizes: list[int] = []
    save = reference.save_answer

    def spy(path: Path, digest: str, candidate: Candidate | None, label: Label) -> None:
        sizes.append(len(label.path))
        save(path, digest, candidate, label)

    monkeypatch.setattr(reference, "save_answer", spy)
    search.drain()
    assert max(sizes) == WANTED


@pytest.mark.embedded
def test_steps_of_another_basis_are_told_of(
    new_search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = new_search(search={"relaxation_frames": WANTED})
    search.add()
    search.drain(until="refine")
    relax = Tersoff.relax

    def unlike(self: Tersoff, candidate: Candidate, run_dir: Path, *, pressure: float) -> Any:
        relaxed, label = relax(self, candidate, run_dir, pressure=pressure)
        details = label.details | {"unlike_single_points": len(label.path)}
        return relaxed, Label(
            energy=label.energy, forces=label.forces, stress=label.stress, details=details
        )

    monkeypatch.setattr(Tersoff, "relax", unlike)
    search.drain()
    assert search.state == "finished"
    told = [e for e in search.repository.events(search.id) if e["kind"] == "path_left_out"]
    assert len(told) == len(search.repository.list_steps(search.id, kind="refine"))
    assert all("cutoff" in event["message"] for event in told)
    assert all(event["facts"]["steps"] > 0 for event in told)


@pytest.mark.embedded
def test_a_relaxation_that_is_not_at_rest_is_told_of(new_search: Callable[..., Any]) -> None:
    search = new_search(oracle={"engine": "tersoff", "relax_steps": 1})
    search.add()
    search.drain()
    assert search.state == "finished"
    relaxed = search.repository.list_steps(search.id, kind="refine")
    told = [e for e in search.repository.events(search.id) if e["kind"] == "relaxation_unfinished"]
    assert {event["facts"]["name"] for event in told} == {step.key for step in relaxed}
    assert all("oracle.relax_steps" in event["message"] for event in told)
    status = SearchHandle(search.repository, search.id).status()
    assert status["unfinished_relaxations"] == [step.key for step in relaxed]
    (line,) = unfinished_lines(status)
    assert all(step.key in line for step in relaxed)


@pytest.mark.embedded
def test_a_later_search_learns_from_them(new_search: Callable[..., Any], tmp_path: Path) -> None:
    """By way of a file, as the tutorial exports labels."""
    search = new_search(search={"relaxation_frames": WANTED})
    search.add()
    search.drain()
    frames = search.repository.frames(search.id)
    images = []
    for frame in frames:
        atoms = frame.candidate.to_ase()
        atoms.calc = SinglePointCalculator(
            atoms, energy=frame.energy, forces=frame.forces, stress=frame.stress
        )
        images.append(atoms)
    write(tmp_path / "known.extxyz", images)
    read = read_files([tmp_path / "known.extxyz"], ["Si"])
    assert len(read) == len(frames)
    assert [f.energy for f in read] == pytest.approx([f.energy for f in frames])


def run(folder: Path, number: int) -> Outcome:
    """Run a small search in this process."""
    tree = Settings.model_validate(
        {
            "search": {
                "composition": "Si4",
                "seed": 3,
                "initial_structures": 6,
                "offspring": 6,
                "population_size": 5,
                "generations_per_iteration": 1,
                "final_relaxations": 2,
                "relax_steps": 30,
                "budget": {"iterations": 1},
                "relaxation_frames": number,
            },
            "potential": {"hidden": [4], "members": 2},
            "training": {"passes": 5},
            "oracle": {"engine": "tersoff"},
        }
    )

    def train(frames: Sequence[Frame], iteration: int, previous: Trained | None) -> Trained:
        recipe = Recipe.of_search(tree)
        models = [fit_member(frames, recipe, member=m, previous=None).model for m in range(2)]
        committee = NetworkCommittee(models, version=f"v{iteration:03d}")
        relaxer = BatchedRelaxer.from_settings(committee, tree.search)
        return Trained(committee=committee, relaxer=relaxer)

    return run_search(tree, tersoff(), train, folder)


def test_a_search_in_one_process_keeps_them_too(tmp_path: Path) -> None:
    without, with_them = (run(tmp_path / str(number), number) for number in (0, WANTED))
    assert not along(without.frames)
    check(with_them.frames, tmp_path)
    rest = [frame for frame in with_them.frames if frame not in along(with_them.frames)]
    assert [f.name for f in rest] == [f.name for f in without.frames]
    assert with_them.calls == without.calls
    told = [
        [(one.candidate.name, one.enthalpy_per_atom) for one in o.results]
        for o in (without, with_them)
    ]
    assert told[0] == told[1]
    assert with_them.history == without.history
