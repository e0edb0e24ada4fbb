"""The step that joins new labels to the dataset, and what it means when none come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aga.config.schema import MIN_INITIAL
from aga.errors import SearchFailedError
from aga.store.documents import Step
from aga.tasks.context import StepContext

__all__ = ["all_failed", "collect"]

MANY = 3
"""Reference jobs whose common failure is no accident."""

MACHINE_REASONS = frozenset(
    {"crashed", "timeout", "incomplete", "garbage", "unexpected", "worker_died"}
)
"""Failures that say more about the machine than about a structure."""


def collect(context: StepContext) -> dict[str, Any]:
    """Join the new labels to the dataset.

    Raises
    ------
    aga.errors.SearchFailedError
        There is too little to learn from, or every reference job failed as they do where the
        machine is at fault; the message counts the reasons.
    """
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    sequential = context.settings.search.schedule == "sequential"
    labels = []  # in the concurrent schedule only the first ones belong to a round
    if sequential or iteration == 0:
        labels = repository.list_steps(search_id, kind="label", iteration=iteration)
    names = repository.pending_frames(search_id)
    committee, parent = repository.latest_committee(search_id), repository.latest_dataset(search_id)
    before, known = _older(parent, iteration), parent
    if known is not None and known["version"] == iteration:  # by an earlier attempt: it stands
        names = [one.removeprefix(f"{search_id}/") for one in known["added"]]
    count = len(names) + (0 if before is None else int(before["count"]))
    failed = _failures(labels)
    if count < MIN_INITIAL:
        what = f"only {count} labelled structures, {MIN_INITIAL} are needed"
        raise _no_labels(what, failed)
    result = {"new": len(names), "failed": len(failed)}
    if not names:
        all_failed(labels, f"iteration {iteration}")
        serving = None if committee is None else committee["version"]
        return result | {"dataset": before and before["version"], "committee": serving}
    repository.commit_dataset(
        search_id, iteration, None if before is None else before["version"], names
    )
    serving = _older(committee, iteration)
    return result | {"dataset": iteration, "committee": serving and serving["version"]}


def _older(document: dict[str, Any] | None, version: int) -> dict[str, Any] | None:
    """Leave away what this very step committed in an earlier attempt."""
    return document if document is not None and document["version"] < version else None


def _failures(labels: Sequence[Step]) -> list[str]:
    """Give the reasons of the reference jobs that gave no label."""
    outcomes = [step.result or {"reason": (step.error or {}).get("kind")} for step in labels]
    return [str(o.get("reason")) for o in outcomes if not o.get("frame")]


def all_failed(labels: Sequence[Step], where: str) -> None:
    """Stop the search where every reference job failed as they do on a broken machine.

    Raises
    ------
    aga.errors.SearchFailedError
        They did; the message counts the reasons.
    """
    failed = _failures(labels)
    if MANY <= len(failed) == len(labels) and set(failed) <= MACHINE_REASONS:
        raise _no_labels(f"no reference job of {where} gave a label", failed)


def _no_labels(what: str, failed: list[str]) -> SearchFailedError:
    reasons = ", ".join(f"{n} × {reason}" for reason, n in Counter(failed).most_common())
    return SearchFailedError(
        f"{what}; reference jobs that failed: {reasons or 'none'}",
        remedy='`aga structures list --where "stage == failed"` shows each reason. If the machine '
        "is at fault, mend it and give the same command again (or `aga recover --retry`): these "
        "structures are computed again. If the oracle settings are, correct them: `aga run` then "
        "starts a new search",
        retry="label",
    )
