"""What the scheduler itself costs per job, with few and with many finished jobs."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from aga.bench.schedule.crew import Mission, crew
from aga.bench.schedule.steps import Pace
from aga.bench.schedule.throughput import Case, search_settings
from aga.config import Settings
from aga.search.initial import initial_structures
from aga.store.documents import Document, Step, chunks
from aga.tasks.dispatch import add_fireworks
from aga.tasks.session import Session, open_session

__all__ = ["Cost", "measure_cost"]

JOBS = 60
"""Jobs that a measurement takes the mean over."""

INSTANT = Pace(generation=0.0, oracle=0.0, member=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of one reference job without the reference method itself.

    ``worker_ms`` and ``server_ms`` are processor milliseconds of the worker and of the database
    server; ``commands`` counts the commands that the worker sent to the database, by name.
    """

    finished: int
    worker_ms: float
    server_ms: float | None
    commands: dict[str, float]

    @property
    def operations(self) -> float:
        """Commands per job."""
        return sum(self.commands.values())


def measure_cost(
    database: str,
    server: int | None,
    folder: Path,
    finished: tuple[int, int] = (100, 10_000),
    say: Callable[[str], None] = lambda _: None,
) -> list[Cost]:
    """Measure the cost of a job in a search that has done few of them, and in one with many.

    The first jobs of the search are done; between the measurements, copies of their documents, in
    the store and in FireWorks' collections, bring it to the larger number.

    Parameters
    ----------
    database
        Address of a database; a search is added to it.
    server
        Process number of its server where it runs on this machine.
    folder
        For logs and run directories; must not exist.
    finished
        Numbers of finished jobs, ascending.
    say
        Told how far it is.
    """
    few, many = finished
    case = Case(schedule="concurrent", ga=1, oracle=1, unit=0.0)
    settings = search_settings(case, folder / "runs")
    search = settings.model_copy(
        update={"search": settings.search.model_copy(update={"name": "cost"})}
    )
    session = open_session(database)
    _begin(session, search)
    bench = _Bench(session, search, database, server, folder)
    say(f"the first {few} jobs")
    bench.work(few)
    costs = [bench.work(JOBS)]
    say(f"copying documents up to {many} finished jobs")
    bench.multiply(many - few - JOBS)
    say("jobs after these")
    costs.append(bench.work(JOBS))
    return [replace(cost, finished=n) for cost, n in zip(costs, finished, strict=True)]


def _begin(session: Session, settings: Settings) -> None:
    """Add a search whose first committee is in service and whose island waits for a worker."""
    repository, search_id = session.repository, settings.search_id()
    repository.create_search(settings)

    def step(kind: Any, key: str, **fields: Any) -> Step:  # noqa: ANN401 - fields of a step
        return Step(search_id=search_id, kind=kind, iteration=0, key=key, **fields)

    verdict = {"verdict": "continue", "committee": 0, "refine": []}
    collected = {"new": 1, "dataset": 0, "committee": None}
    steps = [
        step("seed", "seed", state="done", result={"label": []}),
        step("collect", "frames", state="done", args={"choice": 0}, result=collected),
        step("train", "m0", state="done", args={"dataset": 0, "previous": None}, result={}),
        step("assess", "verdict", state="done", args={"committee": 0}, result=verdict),
        step("breed", "g001", generation=1, args={"island": 0, "population": 0}),
    ]
    repository.plan_steps(steps)


class _Bench:
    """One search, and what it takes to have its jobs done."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        database: str,
        server: int | None,
        folder: Path,
    ) -> None:
        self.session = session
        self.settings = settings
        self.search = settings.search_id()
        self.database = database
        self.server = None if server is None else psutil.Process(server)
        self.folder = folder
        self.choice = 0

    def work(self, number: int) -> Cost:
        """Have a number of jobs done by one worker."""
        self._plan(number)
        mission = Mission(
            database=self.database,
            search=self.search,
            pace=INSTANT,
            numbers={"oracle": 1},
            max_idle=0.5,
        )
        with crew(mission, self.folder / f"choice-{self.choice}") as workers:
            before = self._server_cpu()
            workers.begin()
            (report,) = workers.reports(patience=10.0 * number)
        after = self._server_cpu()
        jobs = int(report["jobs"])
        if jobs != number:
            raise RuntimeError(f"{jobs} of {number} jobs were done")
        server = None if before is None or after is None else (after - before) / jobs * 1000
        commands = {name: n / jobs for name, n in Counter(report["commands"]).most_common()}
        return Cost(
            finished=0, worker_ms=report["cpu"] / jobs * 1000, server_ms=server, commands=commands
        )

    def multiply(self, number: int) -> None:
        """Add copies of what the jobs so far have left in the database."""
        repository, launchpad = self.session.repository, self.session.launchpad
        own = {"search_id": self.search}
        done = repository.find("steps", {**own, "kind": "label", "state": "done"})
        steps = [doc for doc in done if doc["result"]["frame"]]
        frames = {doc["name"]: doc for doc in repository.find("frames", own)}
        structures = {doc["name"]: doc for doc in repository.find("structures", own)}
        ids = [doc["fw_id"] for doc in steps]
        fireworks = {d["fw_id"]: d for d in launchpad.fireworks.find({"fw_id": {"$in": ids}})}
        launches = {d["fw_id"]: d for d in launchpad.launches.find({"fw_id": {"$in": ids}})}
        workflows = {d["nodes"][0]: d for d in launchpad.workflows.find({"nodes": {"$in": ids}})}
        for group in chunks(range(number), 500):
            first = launchpad.get_new_fw_id(len(group))
            new: dict[str, list[Document]] = {}
            for place, n in enumerate(group):
                step = steps[n % len(steps)]
                name, fw_id, old = f"copy-{n:06d}", first + place, step["fw_id"]
                renamed = {"_id": f"{self.search}/{name}", "name": name}
                place_of = {
                    "_id": f"{self.search}/label/1/{name}",
                    "key": name,
                    "fw_id": fw_id,
                    "iteration": 1,  # a choice that has ended
                }
                _add(new, "steps", step | place_of)
                _add(new, "frames", frames[step["key"]] | renamed | {"pending": False})
                _add(new, "structures", structures[step["key"]] | renamed)
                launch_id = launchpad.get_new_launch_id()
                _add(new, "fireworks", _fresh(fireworks[old], fw_id=fw_id, launches=[launch_id]))
                _add(new, "launches", _fresh(launches[old], fw_id=fw_id, launch_id=launch_id))
                _add(new, "workflows", _workflow(workflows[old], fw_id))
            for collection in ("steps", "frames", "structures"):
                repository.collection(collection).insert_many(new[collection])
            for collection in ("fireworks", "launches", "workflows"):
                getattr(launchpad, collection).insert_many(new[collection])
        repository.count_reference(self.search)

    def _plan(self, number: int) -> None:
        """Choose new random structures for the reference method."""
        self.choice += 1
        repository, search = self.session.repository, self.settings.search
        drawn = search.model_copy(update={"initial_structures": number, "seed": self.choice})
        candidates = [
            one.renamed(f"c{self.choice}-{n:03d}")
            for n, one in enumerate(initial_structures(drawn))
        ]
        repository.put_candidates(self.search, self.choice, candidates)
        names = [one.name for one in candidates]
        chosen = Step(
            search_id=self.search,
            kind="acquire",
            iteration=self.choice,
            key="picks",
            state="done",
            args={"number": number, "bred": 0},
            result={"label": names},
        )
        labels = [
            Step(search_id=self.search, kind="label", iteration=self.choice, key=name)
            for name in names
        ]
        repository.plan_steps([chosen])
        add_fireworks(repository, self.session.launchpad, repository.plan_steps(labels))

    def _server_cpu(self) -> float | None:
        if self.server is None:
            return None
        family = [self.server, *self.server.children(recursive=True)]
        return float(sum(sum(one.cpu_times()[:2]) for one in family))


def _add(new: dict[str, list[Document]], collection: str, document: Document) -> None:
    new.setdefault(collection, []).append(document)


def _fresh(document: Document, **fields: Any) -> Document:  # noqa: ANN401 - values of a document
    """Copy a document of FireWorks under new numbers."""
    copied: Document = copy.deepcopy(document) | fields
    del copied["_id"]
    return copied


def _workflow(document: Document, fw_id: int) -> Document:
    copied = _fresh(document, nodes=[fw_id], links={str(fw_id): []}, parent_links={})
    copied["fw_states"] = {str(fw_id): "COMPLETED"}
    return copied
