"""A small finished search in the database, and a small one to work on, with a faulty engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase.build import bulk
from slurm_cluster import queued, slurm  # noqa: F401 - fixtures

from aga.config import Settings
from aga.store.documents import ResultDoc, Step, StepKind, Worker, utcnow
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Relaxed


class StoredSearch:
    """What a search of two iterations leaves in the database, with made-up energies."""

    ENERGIES: ClassVar[dict[str, float]] = {  # eV/atom
        "i000-000": -4.21,
        "i000-001": -4.38,
        "i000-002": -4.05,
        "g001-001": -4.51,
        "g002-000": -4.6284,
    }

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        tree = {"composition": "Si8", "name": "example", "seed": 7, "initial_structures": 4}
        self.settings = Settings.model_validate({"search": tree})
        self.id = self.settings.search_id()

    def candidate(self, name: str, operator: str = "random", *parents: str) -> Candidate:
        generation = int(name[1:4]) if name.startswith("g") else 0
        atoms = bulk("Si", "diamond", a=5.432, cubic=True)
        if name != "g002-000":
            atoms.rattle(0.3, seed=int(name[-3:]) + 10 * generation)
        stream = f"{generation}/{operator}/{name[-3:]}"
        lineage = Lineage(operator=operator, parents=parents, generation=generation, stream=stream)
        return Candidate.from_ase(atoms, name=name, lineage=lineage)

    def step(self, kind: StepKind, iteration: int, key: str = "0", **result: Any) -> None:
        step = Step(search_id=self.id, kind=kind, iteration=iteration, key=key)
        self.repository.plan_steps([step])
        attempt = self.repository.claim(step.id, worker=Worker.current(), lease=60)
        assert attempt is not None
        if "error" in result:
            self.repository.fail(attempt, result, retry=False)
        else:
            self.repository.complete(attempt, result)

    def label(self, iteration: int, candidate: Candidate) -> None:
        energy = self.ENERGIES[candidate.name] * len(candidate)
        forces = np.zeros((len(candidate), 3))
        label = Label(energy=energy, forces=forces, stress=np.zeros(6))
        self.repository.mark_labelled(self.id, candidate.name, label, engine="tersoff")
        frame = Frame(candidate=candidate, energy=energy, forces=forces, stress=label.stress)
        self.repository.put_frame(self.id, iteration, frame)
        self.step("label", iteration, candidate.name, structure=candidate.name, evaluations=1)

    def relaxed(self, candidate: Candidate, energy: float) -> Relaxed:
        return Relaxed(
            candidate=candidate,
            energy=energy * len(candidate),
            enthalpy=energy * len(candidate),
            energy_spread=0.004,
            force_spread=0.05,
            max_force=0.01,
            steps=42,
            reason="converged",
        )

    def train(self, version: int, names: list[str], iteration: int) -> None:
        self.repository.commit_dataset(self.id, version, version - 1 if version else None, names)
        members = [self.repository.put_blob(f"member {version}.{k}".encode()) for k in range(4)]
        card = {
            "dataset": version,
            "members": members,
            "metrics": {"energy_mae": 0.006, "force_mae": 0.09},
            "settings_digest": self.settings.digest(),
            "seed": 7,
            "code_version": "0.1.0",
        }
        self.repository.commit_committee(self.id, version, card)
        for member in range(4):
            self.repository.record_weights(self.id, version, member, dict.fromkeys(names, 1.5))
        self.step("train", iteration, committee=version)

    def fill(self) -> str:
        store, diamond = self.repository, {"number": 227, "symbol": "Fd-3m"}
        store.create_search(self.settings)
        store.log(self.id, "created", "search example created")
        initial = [self.candidate(f"i000-{k:03d}") for k in range(4)]
        store.put_candidates(self.id, 0, initial)
        self.step("seed", 0, structures=4)
        for item in initial[:3]:
            self.label(0, item)
        store.mark_failed(self.id, "i000-003", "timeout", "no result within 3600 s")
        self.step("label", 0, "i000-003", error="OracleError", message="no result within 3600 s")
        self.train(0, ["i000-000", "i000-001", "i000-002"], 0)
        first = self.candidate("g001-000", "rattle", "i000-001")
        second = self.candidate("g001-001", "crossover", "i000-000", "i000-001")
        third = self.candidate("g002-000", "strain", "g001-001")
        bred = [(first, -4.30), (second, -4.49), (third, -4.62)]
        relaxed = [self.relaxed(item, energy) for item, energy in bred]
        extras = {"g002-000": {"space_group": diamond, "fingerprint": [0.0, 0.5, 1.0]}}
        store.put_relaxed(self.id, 1, 0, relaxed, extras)
        store.put_population(self.id, 1, 1, 0, relaxed[1::-1])
        store.put_population(self.id, 2, 1, 0, relaxed[::-1])
        self.step("breed", 1, "1", generation=1)
        self.step("breed", 1, "2", generation=2)
        picks = {"g002-000": -4.624, "g001-001": -4.494}
        why = "low energy − κ·spread"
        store.mark_picked(self.id, {n: {"score": s, "why": why} for n, s in picks.items()})
        self.step("acquire", 1, picks=list(picks))
        self.label(1, second)
        self.label(1, third)
        self.train(1, list(picks), 1)
        self.step("assess", 1, verdict="converged")
        perfect = Label(energy=-4.6296 * 8, forces=np.zeros((8, 3)), evaluations=9)
        store.put_results(
            self.id,
            [
                ResultDoc(
                    rank=0,
                    candidate=third,
                    label=perfect,
                    engine="tersoff",
                    iteration=1,
                    space_group=diamond,
                )
            ],
        )
        self.step("refine", 1, "g002-000", evaluations=9)
        store.count_reference(self.id)
        fields = {
            "state": "finished",
            "verdict": "converged",
            "reason": "the best structure is unchanged for 2 iterations",
            "iteration": 1,
            "generation": 2,
            "phase": "finish",
            "finished": utcnow(),
        }
        store.update_search(self.id, fields, expect={"state": "running"})
        store.log(self.id, "finished", "converged", best="r000-g002-000")
        return self.id


@pytest.fixture
def filled_search(repository: Repository) -> str:
    """Store a small finished search for Si8 through the repository; gives its identifier."""
    return StoredSearch(repository).fill()


FAULTY_ENGINE = '''\
"""The Tersoff potential with the faults that faults.json beside it names, by candidate."""

import errno
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
    Tersoff_PRB_39_5566_Si_C,
)

from aga.errors import MissingExecutableError, OracleError
from aga.oracle.tersoff import Tersoff

FILE = Path(__file__).with_name("faults.json")


def fault_of(kind, name):
    faults = json.loads(FILE.read_text())
    return faults.get(f"{kind} {name}") or faults.get(kind)


class Broken(Manybody):
    """Computes, then tells something else."""

    fault = None

    def calculate(self, atoms, properties, system_changes):
        super().calculate(atoms, properties, system_changes)
        found = self.results
        if self.fault == "nan":
            found["energy"] = found["free_energy"] = np.nan
        elif self.fault == "shifted":
            found["energy"] = found["free_energy"] = found["free_energy"] + 1.0
        elif self.fault == "hot":
            found["forces"] = np.array(found["forces"])
            found["forces"][0] += 1e6
            found["forces"][1] -= 1e6
        elif self.fault == "mute":
            del found["forces"]
        elif self.fault == "pushed":
            found["forces"] = np.array(found["forces"]) + 1.0
        elif self.fault == "crash":
            raise ZeroDivisionError("a calculator that dies")
        elif self.fault == "blow up":
            found["stress"] = np.array([-5.0, -5.0, -5.0, 0.0, 0.0, 0.0])


class Faulty(Tersoff):
    name = "faulty"

    def calculator(self):
        calculator = Broken(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
        calculator.fault = self.fault
        return calculator

    def label(self, candidate, run_dir):
        self.misbehave(fault_of("label", candidate.name), run_dir)
        return super().label(candidate, run_dir)

    def relax(self, candidate, run_dir, *, pressure):
        self.misbehave(fault_of("refine", candidate.name), run_dir)
        return super().relax(candidate, run_dir, pressure=pressure)

    def misbehave(self, fault, run_dir):
        self.fault = fault
        if fault == "raise":
            raise RuntimeError("an engine that dies")
        if fault in ("timeout", "not_converged"):
            raise OracleError(f"told to: {fault}", reason=fault)
        if fault == "full":
            raise OSError(errno.ENOSPC, "No space left on device", str(run_dir / "scratch"))
        if fault == "missing":
            raise MissingExecutableError("pw.x is not here", remedy="install it")
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "slow":
            time.sleep(1.0)
'''


class SmallSearch:
    """A search of Si4 in a database of its own, worked off in this process or by workers.

    ``faults`` maps ``label``, ``refine``, ``label i000-001`` … to what the engine does then.
    """

    TREE: ClassVar[dict[str, Any]] = {
        "search": {
            "composition": "Si4",
            "seed": 3,
            "offspring": 6,
            "population_size": 5,
            "generations_per_iteration": 1,
            "final_relaxations": 2,
            "relax_steps": 30,
            "acquisition": {"picks_per_iteration": 3},
            "budget": {"iterations": 1, "reference_calls": 20},
        },
        "potential": {"hidden": [4]},
        "training": {"passes": 5},
        "oracle": {"engine": "faulty_engine:Faulty", "max_force": 1e5},
    }

    def __init__(
        self,
        engine: Path,
        folder: Path,
        uri: str,
        *,
        initial: int = 6,
        oracle: str | dict[str, Any] | None = None,
        search: dict[str, Any] | None = None,
        **machine: Any,
    ) -> None:
        from aga.tasks.session import open_session

        self.engine, self.folder, self.uri = engine, folder, uri
        tree = self.TREE | {"machine": {"run_dir": str(folder / "runs"), **machine}}
        tree["search"] = {**tree["search"], "initial_structures": initial, **(search or {})}
        if oracle:
            tree["oracle"] = {"engine": oracle} if isinstance(oracle, str) else oracle
        self.settings = Settings.model_validate(tree)
        self.file = folder / "si4.yaml"
        self.file.write_text(json.dumps(tree))  # JSON is YAML
        self.id = self.settings.search_id()
        session = open_session(uri)
        self.repository, self.launchpad = session.repository, session.launchpad
        self.faults()

    def faults(self, faults: dict[str, str] | None = None) -> None:
        (self.engine / "faults.json").write_text(json.dumps(faults or {}))

    def add(self) -> None:
        from aga.tasks.dispatch import advance

        self.repository.create_search(self.settings)
        advance(self.repository, self.launchpad, self.id)

    @property
    def state(self) -> str:
        return str(self.repository.get_search(self.id)["state"])

    def planned(self, kind: str | None = None) -> list[Step]:
        only = {"kind": kind} if kind else {}
        return self.repository.list_steps(self.id, state="planned", **only)

    def drain(self, until: str | None = None) -> None:
        """Perform steps in this process; stop before the first step of the kind ``until``."""
        from aga.tasks.perform import RetryStepError, perform

        while self.state == "running" and (steps := self.planned()):
            for step in steps:
                if step.kind == until:
                    return
                try:
                    perform(step.id, self.launchpad)
                except RetryStepError:
                    continue

    def environment(self) -> dict[str, str]:
        from aga.tasks.local import worker_environment

        paths = {"PYTHONPATH": str(self.engine), "AGA_DATABASE": self.uri}
        return {**worker_environment(), **paths}


@pytest.fixture(scope="session")
def faulty_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the module ``faulty_engine`` and of the file that says what it does."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "faulty_engine.py").write_text(FAULTY_ENGINE)
    return folder


@pytest.fixture
def new_search(
    faulty_engine: Path,
    tmp_path: Path,
    embedded_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., SmallSearch]:
    """Make a small search of ``initial`` structures.

    ``search`` are settings of that section; unknown keywords are machine settings.
    """
    monkeypatch.syspath_prepend(str(faulty_engine))
    monkeypatch.chdir(tmp_path)

    def make(uri: str = embedded_database, **others: Any) -> SmallSearch:
        return SmallSearch(faulty_engine, tmp_path, uri, **others)

    return make


@pytest.fixture
def small_search(new_search: Callable[..., SmallSearch]) -> SmallSearch:
    """Give a small search, added to an empty database."""
    search = new_search()
    search.add()
    return search
