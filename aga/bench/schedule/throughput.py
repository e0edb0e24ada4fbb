"""New structures in a given time, by the schedule and the number of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aga.bench.schedule.crew import Crew, Mission, crew
from aga.bench.schedule.steps import Pace
from aga.config import SearchSettings, Settings
from aga.errors import SiteError
from aga.report.timeline import Panel, Span, busy_share
from aga.store.documents import Step
from aga.structure.fingerprint import cosine_distances
from aga.tasks.dispatch import advance
from aga.tasks.session import Session, open_session

__all__ = ["Case", "Row", "measure_case", "search_settings"]

MEMBERS = 4
FIRST_COMMITTEE = 200.0
"""Units of time until which the first committee must be there."""

Schedule = Literal["sequential", "concurrent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measurement.

    ``ga``, ``oracle`` and ``train`` count the workers; ``unit`` is the time of a generation in
    seconds, of which a reference job takes ``oracle_time`` and a retraining ``training_time``;
    ``window`` is how many units are measured, from the first committee on.
    """

    schedule: Schedule
    ga: int
    oracle: int
    train: int = 1
    unit: float = 2.0
    oracle_time: float = 5.0
    training_time: float = 10.0
    window: float = 48.0

    @property
    def workers(self) -> int:
        """Number of workers of all kinds."""
        return self.ga + self.oracle + self.train

    @property
    def pace(self) -> Pace:
        """Seconds of each job; the members are trained side by side where there are workers."""
        rounds = -(-MEMBERS // min(self.train, MEMBERS))
        return Pace(
            generation=self.unit,
            oracle=self.unit * self.oracle_time,
            member=self.unit * self.training_time / rounds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a case gave.

    ``saved`` counts the structures that were labelled within the window and are like none labelled
    before; ``busy`` is the share of the workers' time that steps took, also by kind of worker.
    """

    case: Case
    saved: int
    labelled: int
    generations: int
    trainings: int
    busy: float
    busy_by_kind: dict[str, float]
    panel: Panel

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        case = self.case
        return {
            "schedule": case.schedule,
            "ga_workers": case.ga,
            "oracle_workers": case.oracle,
            "train_workers": case.train,
            "unit": case.unit,
            "window": case.window * case.unit,
            "saved": self.saved,
            "labelled": self.labelled,
            "generations": self.generations,
            "trainings": self.trainings,
            "busy_share": self.busy,
            "busy_share_by_kind": self.busy_by_kind,
        }


def search_settings(case: Case, run_dir: Path) -> Settings:
    """Give the settings of the search that a case runs: one that never ends by itself."""
    picks = max(4, case.oracle)
    return Settings.model_validate(
        {
            "search": {
                "name": f"{case.schedule}-{case.ga}-{case.oracle}",
                "composition": "Si8",
                "schedule": case.schedule,
                "islands": case.ga,
                "generations_per_iteration": 1,
                "generations_per_committee": 1_000_000,
                "initial_structures": max(8, case.oracle),
                "offspring": 8,
                "population_size": 10,
                "acquisition": {"picks_per_iteration": picks},
                "budget": {"reference_calls": 10_000_000, "iterations": 10_000_000},
            },
            "potential": {"members": MEMBERS},
            "training": {"retrain_after": max(4, case.oracle // 4)},
            "oracle": {
                "engine": "aga.bench.schedule.reference:SlowTersoff",
                "options": {"seconds": case.pace.oracle},
            },
            "machine": {"run_dir": str(run_dir)},
        }
    )


def measure_case(
    case: Case, database: str, folder: Path, say: Callable[[str], None] = lambda _: None
) -> Row:
    """Run a search with the workers of a case, and see what they get done within the window.

    Parameters
    ----------
    case
        What to measure.
    database
        Address of a database; a search is added to it.
    folder
        For logs and run directories; must not exist.
    say
        Told how far it is.

    Raises
    ------
    aga.errors.SiteError
        A worker did not come up or died.
    """
    settings = search_settings(case, folder / "runs")
    session = open_session(database)
    session.repository.create_search(settings)
    search = settings.search_id()
    mission = Mission(
        database=database,
        search=search,
        pace=case.pace,
        numbers={"ga": case.ga, "oracle": case.oracle, "train": case.train},
    )
    with crew(mission, folder / "workers", say) as workers:
        advance(session.repository, session.launchpad, search)
        workers.begin()
        begin = _first_committee(session, search, case, say)
        end = begin + case.window * case.unit
        while time.time() < end:
            say(f"measuring: {max(0.0, end - time.time()):.0f} s left")
            time.sleep(min(1.0, max(0.0, end - time.time())))
        steps = session.repository.list_steps(search)
        session.repository.update_search(search, {"state": "stopped"})
        workers.end()
    return _row(case, session, workers, steps, (begin, end))


def _first_committee(
    session: Session, search: str, case: Case, say: Callable[[str], None]
) -> float:
    deadline = time.monotonic() + FIRST_COMMITTEE * case.unit
    while time.monotonic() < deadline:
        step = session.repository.newest_step(search, "assess", state="done")
        if step is not None and step.ended_at is not None:
            return step.ended_at.timestamp()
        say("waiting for the first committee")
        time.sleep(0.1)
    raise SiteError(
        f"{search}: no committee after {FIRST_COMMITTEE * case.unit:g} s",
        remedy="read the logs of the workers; a longer --unit leaves a busy machine more time",
    )


def _row(
    case: Case, session: Session, workers: Crew, steps: Sequence[Step], window: tuple[float, float]
) -> Row:
    begin, end = window
    spans = [span for step in steps if (span := _span(step, workers, end)) is not None]
    done = [s for s in steps if s.state == "done" and s.ended_at is not None]
    within = [s for s in done if begin < _seconds(s.ended_at) <= end]
    kinds = [s.kind for s in within]
    own = {
        kind: busy_share([s for s in spans if s.worker.startswith(kind)], number, window)
        for kind, number in (("ga", case.ga), ("oracle", case.oracle), ("train", case.train))
    }
    name = f"{case.schedule}: {case.ga} GA, {case.oracle} DFT, {case.train} training"
    saved = _distinct(session, done, window)
    return Row(
        case=case,
        saved=saved,
        labelled=kinds.count("label"),
        generations=kinds.count("breed"),
        trainings=kinds.count("assess"),
        busy=busy_share(spans, case.workers, window),
        busy_by_kind=own,
        panel=Panel(
            title=f"{name} – {saved} new structures",
            spans=spans,
            workers=workers.names,
            window=window,
        ),
    )


def _span(step: Step, workers: Crew, end: float) -> Span | None:
    if step.worker is None or step.started_at is None:
        return None
    stop = end if step.ended_at is None else _seconds(step.ended_at)
    return Span(
        worker=workers.name_of(step.worker.pid),
        kind=step.kind,
        start=_seconds(step.started_at),
        end=stop,
    )


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()


def _distinct(session: Session, done: Sequence[Step], window: tuple[float, float]) -> int:
    """Count the labels of the window whose structure is like none that was labelled before."""
    begin, end = window
    labels = [s for s in done if s.kind == "label" and (s.result or {}).get("frame")]
    labels.sort(key=lambda step: _seconds(step.ended_at))
    tolerance = SearchSettings.model_fields["fingerprint_tolerance"].default
    prints = session.repository.frame_fingerprints(labels[0].search_id) if labels else {}
    seen: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    count = 0
    for step in labels:
        own = prints[step.key]
        new = not seen or bool(cosine_distances(own, seen).min() >= tolerance)
        seen.append(own)
        count += new and begin < _seconds(step.ended_at) <= end
    return count
